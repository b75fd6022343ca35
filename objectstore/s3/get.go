package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/cairnstream/cairn/objectstore"
)

// offsetMax is far beyond the largest object of any server, and small enough
// that no server's arithmetic on it overflows.
const offsetMax = 1 << 50

// Get implements objectstore.Bucket.
func (b *Bucket) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	whole, err := b.key(key)
	if err != nil {
		return nil, err
	}
	data, err := b.get(ctx, whole, offset, length, nil)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	return data, nil
}

// GetInto is Get into memory of the caller's: see objectstore.GetInto.
func (b *Bucket) GetInto(ctx context.Context, key string, offset int64, buf []byte) error {
	whole, err := b.key(key)
	if err != nil {
		return err
	}
	if _, err := b.get(ctx, whole, offset, int64(len(buf)), buf); err != nil {
		return fmt.Errorf("get %s: %w", key, err)
	}
	return nil
}

// get reads a range, into buf if that has its length.
func (b *Bucket) get(ctx context.Context, whole string, offset, length int64, buf []byte) ([]byte, error) {
	if offset < 0 || offset > offsetMax || length < -1 || length == 0 || length > offsetMax {
		return b.getNothing(ctx, whole, offset, length)
	}
	var data []byte
	size := length
	if length == -1 {
		size = objectBytesMax // not known
	}
	err := b.retry(ctx, transferTimeout(size), func(ctx context.Context) (err error) {
		data, err = b.getOnce(ctx, whole, offset, length, buf)
		return err
	})
	if response(err).StatusCode == http.StatusRequestedRangeNotSatisfiable {
		return b.getNothing(ctx, whole, offset, length)
	}
	return data, err
}

// getNothing answers for ranges that HTTP can't express, or the server refused:
// they are empty or wrong, and the object's size tells which.
func (b *Bucket) getNothing(ctx context.Context, whole string, offset, length int64) ([]byte, error) {
	info, err := b.stat(ctx, whole)
	if err != nil {
		return nil, err
	}
	n, err := objectstore.CheckRange(whole, offset, length, info.Size)
	if err != nil {
		return nil, err
	}
	if n != 0 {
		return nil, fmt.Errorf("server refuses %d bytes from %d of %d", length, offset, info.Size)
	}
	return []byte{}, nil
}

func (b *Bucket) stat(ctx context.Context, whole string) (info minio.ObjectInfo, err error) {
	err = b.retry(ctx, listTimeout, func(ctx context.Context) (err error) {
		info, err = b.core.StatObject(ctx, b.config.Bucket, whole, minio.StatObjectOptions{})
		return err
	})
	return info, err
}

func (b *Bucket) getOnce(ctx context.Context, whole string, offset, length int64, buf []byte) ([]byte, error) {
	r, size, err := b.openRange(ctx, whole, offset, length)
	if err != nil {
		return nil, err
	}
	defer r.Close() // only read from
	data := buf
	if int64(len(data)) != size {
		data = make([]byte, size)
	}
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, err
	}
	return data, nil
}

// openRange asks for a range that is not empty and returns its body and size. A
// server that has less than was asked for answers with what it has; here that
// is an ErrRange.
func (b *Bucket) openRange(ctx context.Context, whole string, offset, length int64) (io.ReadCloser, int64, error) {
	var options minio.GetObjectOptions
	switch {
	case length > 0:
		options.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	case offset > 0:
		options.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	r, info, header, err := b.core.GetObject(ctx, b.config.Bucket, whole, options)
	if err != nil {
		return nil, 0, err
	}
	if length > 0 && info.Size != length {
		err := fmt.Errorf("%w: asked for %d bytes from %d, got %d, object has %d", objectstore.ErrRange, length, offset, info.Size, total(header))
		return nil, 0, errPermanent{errors.Join(err, r.Close())}
	}
	return r, info.Size, nil
}

// total is the object's size by a Content-Range such as "bytes 0-9/30", or -1.
func total(header http.Header) int64 {
	_, after, found := strings.Cut(header.Get("Content-Range"), "/")
	n, err := strconv.ParseInt(after, 10, 64)
	if !found || err != nil {
		return -1
	}
	return n
}

// Reader implements objectstore.Bucket. When the stream breaks it goes on where
// it was; ctx ends it.
func (b *Bucket) Reader(ctx context.Context, key string) (io.ReadCloser, error) {
	whole, err := b.key(key)
	if err != nil {
		return nil, err
	}
	s := &stream{key: key, tries: b.config.Tries, reopen: func(offset int64) (r io.ReadCloser, size int64, err error) {
		err = b.retry(ctx, 0, func(ctx context.Context) (err error) {
			r, size, err = b.openRange(ctx, whole, offset, -1)
			return err
		})
		return r, size, err
	}}
	if s.body, s.size, err = s.reopen(0); err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return s, nil
}

// stream reads an object through as many requests as it takes.
type stream struct {
	key          string
	reopen       func(offset int64) (io.ReadCloser, int64, error)
	body         io.ReadCloser
	offset, size int64
	tries        int // that are left
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	for {
		n, err := s.body.Read(p)
		s.offset += int64(n)
		if err == io.EOF && s.offset < s.size {
			err = io.ErrUnexpectedEOF
		}
		if n > 0 || len(p) == 0 || err == nil {
			if err != io.EOF {
				err = nil // a failure comes back with the next call
			}
			return n, err
		}
		if err == io.EOF {
			return 0, err
		}
		if err := s.resume(err); err != nil {
			return 0, fmt.Errorf("read %s from %d: %w", s.key, s.offset, err)
		}
	}
}

// resume opens the stream again behind what was read, or returns cause.
func (s *stream) resume(cause error) error {
	if s.tries--; s.tries < 1 {
		return cause
	}
	body, rest, err := s.reopen(s.offset)
	if err != nil {
		return errors.Join(cause, err)
	}
	closing := s.body.Close() // it is broken; the answer changes nothing
	s.body = body
	if rest != s.size-s.offset {
		return errors.Join(fmt.Errorf("%w: %d bytes from %d, want %d", objectstore.ErrCorrupt, rest, s.offset, s.size-s.offset), cause, closing)
	}
	return nil
}

// Close implements io.Closer.
func (s *stream) Close() error { return s.body.Close() }
