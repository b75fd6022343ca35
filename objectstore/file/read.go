package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cairnstream/cairn/objectstore"
)

// Get implements objectstore.Bucket.
func (b *Bucket) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	f, size, err := b.open(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	defer f.Close() // only read from
	n, err := objectstore.CheckRange(key, offset, length, size)
	if err != nil {
		return nil, fmt.Errorf("get %w", err)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(f, offset, n), data); err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	return data, nil
}

// GetInto is Get into memory of the caller's: see objectstore.GetInto.
func (b *Bucket) GetInto(ctx context.Context, key string, offset int64, buf []byte) error {
	f, size, err := b.open(ctx, key)
	if err != nil {
		return fmt.Errorf("get %s: %w", key, err)
	}
	defer f.Close() // only read from
	if _, err := objectstore.CheckRange(key, offset, int64(len(buf)), size); err != nil {
		return fmt.Errorf("get %w", err)
	}
	if _, err := io.ReadFull(io.NewSectionReader(f, offset, int64(len(buf))), buf); err != nil {
		return fmt.Errorf("get %s: %w", key, err)
	}
	return nil
}

// Reader implements objectstore.Bucket.
func (b *Bucket) Reader(ctx context.Context, key string) (io.ReadCloser, error) {
	f, _, err := b.open(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return f, nil
}

// open opens an object's file and tells its size, which never changes.
func (b *Bucket) open(ctx context.Context, key string) (*os.File, int64, error) {
	path, err := b.path(ctx, key)
	if err != nil {
		return nil, 0, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, notFound(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = objectstore.ErrNotFound // a folder of objects is none
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// confirm returns nil if path holds exactly data, durably, else ErrExists.
func confirm(path string, data []byte) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // only read from
	same, err := equal(f, data)
	if err != nil {
		return err
	}
	if !same {
		return objectstore.ErrExists
	}
	return f.Sync()
}

func equal(f *os.File, data []byte) (bool, error) {
	info, err := f.Stat()
	if err != nil || info.Size() != int64(len(data)) {
		return false, err
	}
	found := make([]byte, len(data))
	if _, err := io.ReadFull(f, found); err != nil {
		return false, err
	}
	return bytes.Equal(found, data), nil
}

func sameFile(a, b string) (bool, error) {
	ai, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	bi, err := os.Stat(b)
	if err != nil {
		return false, err
	}
	return os.SameFile(ai, bi), nil
}

// copyAll copies size bytes of r, from its beginning, until ctx ends.
func copyAll(ctx context.Context, f *os.File, r io.ReadSeeker, size int64) error {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(untilDone{ctx, r}, size))
	if err == nil && n != size {
		err = fmt.Errorf("read %d bytes, want %d: %w", n, size, io.ErrUnexpectedEOF)
	}
	return err
}

// untilDone is a reader for the time of one call: it ends with its context.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}
