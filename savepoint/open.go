package savepoint

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/objectstore"
)

// ErrNotCanonical is returned for a metadata object of a checkpoint or a native savepoint.
var ErrNotCanonical = errors.New("it is no canonical savepoint")

// Open reads what a savepoint's folder says of itself. The keys in it are relative to the
// folder, wherever that is now: a restore has them behind a prefix. A folder without a
// metadata object is objectstore.ErrNotFound: the savepoint was not finished. The files are
// checked when they are read.
func Open(ctx context.Context, bucket objectstore.Bucket, folder string) (*checkpointstore.Metadata, error) {
	key := Prefix(folder) + checkpointstore.SavepointMetadata
	data, err := bucket.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, fmt.Errorf("open savepoint %s: %w", folder, err)
	}
	m, err := checkpointstore.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("open savepoint %s: %s: %w", folder, key, err)
	}
	if m.Folder == nil {
		return nil, fmt.Errorf("open savepoint %s: %s: %w", folder, key, ErrNotCanonical)
	}
	return m, nil
}

// Prefix is what the keys of a folder's files begin with: a person may give the folder with or
// without a '/' at its end, or the metadata object in it.
func Prefix(folder string) string {
	if path.Base(folder) == checkpointstore.SavepointMetadata {
		folder = strings.TrimSuffix(folder, checkpointstore.SavepointMetadata)
	}
	if folder = strings.TrimSuffix(folder, "/"); folder == "" {
		return ""
	}
	return folder + "/"
}

// Verify reads all files of a savepoint and holds them against its metadata. It returns all
// that is missing or damaged, with operator and state: objectstore.ErrNotFound or
// ErrCorrupt. Another error of the store ends it.
func Verify(ctx context.Context, bucket objectstore.Bucket, folder string) error {
	m, err := Open(ctx, bucket, folder)
	if err != nil {
		return err
	}
	var bad []error
	for _, f := range m.Folder.Files {
		err := verifyFile(ctx, bucket, Prefix(folder)+f.Name, f)
		if err != nil {
			err = fmt.Errorf("operator %q: %s %q: %w", f.Operator, f.Kind, f.State, err)
		}
		if err != nil && !errors.Is(err, objectstore.ErrNotFound) && !errors.Is(err, objectstore.ErrCorrupt) {
			return fmt.Errorf("verify savepoint %s: %w", folder, err)
		}
		bad = append(bad, err)
	}
	return errors.Join(bad...)
}

func verifyFile(ctx context.Context, bucket objectstore.Bucket, key string, f checkpointstore.FolderFile) error {
	data, err := bucket.Get(ctx, key, 0, -1)
	if err != nil {
		return fmt.Errorf("get %s: %w", key, err)
	}
	if int64(len(data)) != f.Size {
		return fmt.Errorf("%s: %w: %d bytes, want %d", key, objectstore.ErrCorrupt, len(data), f.Size)
	}
	if sum := objectstore.CRC32C(data); sum != f.CRC32C {
		return fmt.Errorf("%s: %w: CRC32C %08x, want %08x", key, objectstore.ErrCorrupt, sum, f.CRC32C)
	}
	return nil
}
