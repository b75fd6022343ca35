package objectstore

import (
	"context"
	"io"
	"sync/atomic"
)

// Counting is a Bucket that counts what passes through it. The counters grow
// only, count successes and failures alike where nothing else is said, and may
// be read at any time.
type Counting struct {
	Bucket
	puts, putBytes, gets, getBytes, copies, deletes, lists atomic.Int64
}

// Counts is a reading of a Counting bucket.
type Counts struct {
	Puts     int64 `json:"puts"`      // Put and PutFile
	PutBytes int64 `json:"put_bytes"` // of those that succeeded
	Gets     int64 `json:"gets"`      // Get and Reader
	GetBytes int64 `json:"get_bytes"` // bytes that came
	Copies   int64 `json:"copies"`
	Deletes  int64 `json:"deletes"`
	Lists    int64 `json:"lists"`
}

// Count returns a view of b that counts. Its Close closes b.
func Count(b Bucket) *Counting { return &Counting{Bucket: b} }

// Counts reads the counters, each by itself: they need not be of one moment.
func (c *Counting) Counts() Counts {
	return Counts{
		Puts: c.puts.Load(), PutBytes: c.putBytes.Load(),
		Gets: c.gets.Load(), GetBytes: c.getBytes.Load(),
		Copies: c.copies.Load(), Deletes: c.deletes.Load(), Lists: c.lists.Load(),
	}
}

// Put implements Bucket.
func (c *Counting) Put(ctx context.Context, key string, data []byte, opts PutOptions) error {
	c.puts.Add(1)
	err := c.Bucket.Put(ctx, key, data, opts)
	if err == nil {
		c.putBytes.Add(int64(len(data)))
	}
	return err
}

// PutFile implements Bucket.
func (c *Counting) PutFile(ctx context.Context, key string, r io.ReadSeeker, size int64) error {
	c.puts.Add(1)
	err := c.Bucket.PutFile(ctx, key, r, size)
	if err == nil {
		c.putBytes.Add(size)
	}
	return err
}

// Get implements Bucket.
func (c *Counting) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	c.gets.Add(1)
	data, err := c.Bucket.Get(ctx, key, offset, length)
	c.getBytes.Add(int64(len(data)))
	return data, err
}

// GetInto counts as Get does: see the function of that name.
func (c *Counting) GetInto(ctx context.Context, key string, offset int64, buf []byte) error {
	c.gets.Add(1)
	err := getInto(ctx, c.Bucket, key, offset, buf)
	if err == nil {
		c.getBytes.Add(int64(len(buf)))
	}
	return err
}

// Reader implements Bucket.
func (c *Counting) Reader(ctx context.Context, key string) (io.ReadCloser, error) {
	c.gets.Add(1)
	r, err := c.Bucket.Reader(ctx, key)
	if err != nil {
		return nil, err
	}
	return &countedReader{ReadCloser: r, n: &c.getBytes}, nil
}

// Copy implements Bucket.
func (c *Counting) Copy(ctx context.Context, dst, src string) error {
	c.copies.Add(1)
	return c.Bucket.Copy(ctx, dst, src)
}

// Delete implements Bucket.
func (c *Counting) Delete(ctx context.Context, key string) error {
	c.deletes.Add(1)
	return c.Bucket.Delete(ctx, key)
}

// List implements Bucket.
func (c *Counting) List(ctx context.Context, prefix string, f func(Info) error) error {
	c.lists.Add(1)
	return c.Bucket.List(ctx, prefix, f)
}

// ConditionalPut asks the bucket below.
func (c *Counting) ConditionalPut(ctx context.Context) (bool, error) {
	return HasConditionalPut(ctx, c.Bucket)
}

type countedReader struct {
	io.ReadCloser
	n *atomic.Int64
}

func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.n.Add(int64(n))
	return n, err
}
