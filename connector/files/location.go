package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/objectstore"
)

// list finds the files of a source, in order of their names.
func (s *Source[T]) list(ctx context.Context, env connector.Env) ([]splitData, error) {
	if s.FS != nil {
		return listFS(s.FS, s.Location)
	}
	bucket, pattern, err := parseLocation(s.Location)
	if err != nil {
		return nil, err
	}
	if bucket == "" {
		return listDisk(pattern)
	}
	return listBucket(ctx, env, bucket, pattern)
}

// parseLocation tells a local path (bucket is empty) from a bucket's URL and
// the pattern of keys below it.
func parseLocation(location string) (bucket, pattern string, err error) {
	if !strings.Contains(location, "://") {
		return "", location, nil
	}
	u, err := url.Parse(location)
	if err != nil {
		return "", "", err
	}
	if u.Scheme == "file" {
		return "", filepath.FromSlash(u.Path), nil
	}
	fixed := u.Path
	if i := strings.IndexAny(fixed, `*[?\`); i >= 0 {
		fixed = fixed[:i]
	}
	cut := strings.LastIndexByte(fixed, '/') + 1
	pattern, u.Path = u.Path[cut:], strings.TrimSuffix(u.Path[:cut], "/")
	if pattern == "" {
		return "", "", fmt.Errorf("%w: a folder; name a file or end with /*", ErrNoFile)
	}
	return u.String(), pattern, nil
}

func listFS(fsys fs.FS, pattern string) ([]splitData, error) {
	names, err := fs.Glob(fsys, pattern)
	if err != nil {
		return nil, err
	}
	return describe(names, func(name string) (fs.FileInfo, error) { return fs.Stat(fsys, name) })
}

func listDisk(pattern string) ([]splitData, error) {
	names, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	return describe(names, os.Stat)
}

func describe(names []string, stat func(string) (fs.FileInfo, error)) ([]splitData, error) {
	var out []splitData
	for _, name := range names {
		info, err := stat(name)
		if err != nil {
			return nil, err
		}
		if info.Mode().IsRegular() {
			out = append(out, splitData{Path: name, Size: info.Size()})
		}
	}
	return out, nil
}

func listBucket(ctx context.Context, env connector.Env, bucketURL, pattern string) (out []splitData, err error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, err
	}
	b, err := env.OpenBucket(ctx, bucketURL)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	prefix := pattern
	if i := strings.IndexAny(pattern, `*[?\`); i >= 0 {
		prefix = pattern[:i]
	}
	err = b.List(ctx, prefix, func(o objectstore.Info) error {
		if ok, err := path.Match(pattern, o.Key); !ok || err != nil {
			return err
		}
		out = append(out, splitData{Bucket: bucketURL, Path: o.Key, Size: o.Size})
		return nil
	})
	return out, err
}

// open opens a split's file and checks that it is still the same.
func (s *Source[T]) open(ctx context.Context, env connector.Env, d splitData) (*file, error) {
	switch {
	case d.Bucket != "":
		b, err := env.OpenBucket(ctx, d.Bucket)
		if err != nil {
			return nil, err
		}
		return openRemote(ctx, b, d.Path, d.Size), nil
	case s.FS != nil:
		f, err := s.FS.Open(d.Path)
		if err != nil {
			return nil, err
		}
		return openLocal(f, d.Size)
	default:
		f, err := os.Open(d.Path)
		if err != nil {
			return nil, err
		}
		return openLocal(f, d.Size)
	}
}

// openLocal takes an open file that should have at least size bytes.
func openLocal(f fs.File, size int64) (*file, error) {
	info, err := f.Stat()
	if err == nil && info.Size() < size {
		err = fmt.Errorf("%w: it had %d bytes and has %d", ErrChanged, size, info.Size())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	at, ok := f.(io.ReaderAt)
	if !ok {
		b, err := io.ReadAll(f)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		at = strings.NewReader(string(b))
	}
	return &file{at: at, size: size, now: info.Size(), close: f.Close}, nil
}
