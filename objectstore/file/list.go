package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cairnstream/cairn/objectstore"
)

// List implements objectstore.Bucket. Objects that come or go while it runs may
// be listed or not.
func (b *Bucket) List(ctx context.Context, prefix string, f func(objectstore.Info) error) error {
	if err := objectstore.CheckPrefix(prefix); err != nil {
		return err
	}
	// Only the deepest folder that the prefix names whole has to be read.
	folder := prefix[:strings.LastIndexByte(prefix, '/')+1]
	return b.list(ctx, folder, prefix, f)
}

// list lists the objects in folder ("" or ending in "/") and below.
func (b *Bucket) list(ctx context.Context, folder, prefix string, f func(objectstore.Info) error) error {
	names, err := b.names(folder)
	if err != nil {
		return fmt.Errorf("list %s: %w", folder, err)
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		key := folder + name
		if !strings.HasPrefix(key, prefix) && !strings.HasPrefix(prefix, key) {
			continue
		}
		if strings.HasSuffix(key, "/") {
			err = b.list(ctx, key, prefix, f)
		} else {
			err = b.listFile(key, prefix, f)
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// names returns what is in a folder, folders with a "/" behind, which is what
// makes the order of the names that of the keys. A missing folder is empty.
func (b *Bucket) names(folder string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(b.root, filepath.FromSlash(folder)))
	if err != nil {
		if errors.Is(notFound(err), objectstore.ErrNotFound) {
			return nil, nil
		}
		return nil, err
	}
	var names []string
	for _, e := range entries {
		switch {
		case folder == "" && e.Name() == objectstore.Reserved:
		case e.IsDir():
			names = append(names, e.Name()+"/")
		case e.Type().IsRegular():
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// listFile tells f of one object, unless it has gone meanwhile or its name
// could not be a key: then somebody else put the file there.
func (b *Bucket) listFile(key, prefix string, f func(objectstore.Info) error) error {
	if !strings.HasPrefix(key, prefix) || objectstore.CheckKey(key) != nil {
		return nil
	}
	info, err := os.Stat(filepath.Join(b.root, filepath.FromSlash(key)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list %s: %w", key, err)
	}
	return f(objectstore.Info{Key: key, Size: info.Size(), Modified: info.ModTime()})
}
