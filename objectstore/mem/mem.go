// Package mem is an object store in memory, for tests and for trying things
// out. It keeps the whole contract of objectstore.Bucket except that "durable"
// means as long as the process.
package mem

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cairnstream/cairn/objectstore"
)

// Bucket is a bucket in memory.
type Bucket struct {
	name string

	mu      sync.RWMutex
	objects map[string]object // guarded by mu
}

// object's data is never written to after it is stored.
type object struct {
	data     []byte
	modified time.Time
}

var _ objectstore.Bucket = (*Bucket)(nil)

// New returns an empty bucket of its own.
func New() *Bucket { return newBucket("unnamed") }

func newBucket(name string) *Bucket {
	return &Bucket{name: name, objects: map[string]object{}}
}

var named struct {
	sync.Mutex
	buckets map[string]*Bucket // guarded by Mutex
}

// Open returns the process's bucket of that name, empty at the first call.
// Close leaves its objects, so that it can be opened again.
func Open(name string) *Bucket {
	named.Lock()
	defer named.Unlock()
	b, ok := named.buckets[name]
	if !ok {
		b = newBucket(name)
		if named.buckets == nil {
			named.buckets = map[string]*Bucket{}
		}
		named.buckets[name] = b
	}
	return b
}

// Put implements objectstore.Bucket.
func (b *Bucket) Put(ctx context.Context, key string, data []byte, opts objectstore.PutOptions) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if old, ok := b.objects[key]; ok && opts.IfAbsent {
		if bytes.Equal(old.data, data) {
			return nil
		}
		return fmt.Errorf("put %s: %w", key, objectstore.ErrExists)
	}
	b.objects[key] = object{data: bytes.Clone(data), modified: time.Now()}
	return nil
}

// PutFile implements objectstore.Bucket.
func (b *Bucket) PutFile(ctx context.Context, key string, r io.ReadSeeker, size int64) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	if size < 0 {
		return fmt.Errorf("put %s: %d bytes", key, size)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(r, data); err != nil {
		return fmt.Errorf("put %s: read %d bytes: %w", key, size, err)
	}
	return b.Put(ctx, key, data, objectstore.PutOptions{})
}

// Get implements objectstore.Bucket.
func (b *Bucket) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	o, err := b.object(ctx, "get", key)
	if err != nil {
		return nil, err
	}
	n, err := objectstore.CheckRange(key, offset, length, int64(len(o.data)))
	if err != nil {
		return nil, fmt.Errorf("get %w", err)
	}
	return slices.Clone(o.data[offset : offset+n]), nil
}

// Reader implements objectstore.Bucket.
func (b *Bucket) Reader(ctx context.Context, key string) (io.ReadCloser, error) {
	o, err := b.object(ctx, "read", key)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(o.data)), nil
}

// Copy implements objectstore.Bucket.
func (b *Bucket) Copy(ctx context.Context, dst, src string) error {
	if err := check(ctx, dst); err != nil {
		return err
	}
	o, err := b.object(ctx, "copy", src)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects[dst] = object{data: o.data, modified: time.Now()}
	return nil
}

// Delete implements objectstore.Bucket.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.objects, key)
	return nil
}

// List implements objectstore.Bucket. It lists what was there when it began.
func (b *Bucket) List(ctx context.Context, prefix string, f func(objectstore.Info) error) error {
	if err := objectstore.CheckPrefix(prefix); err != nil {
		return err
	}
	for _, info := range b.infos(prefix) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(info); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (b *Bucket) infos(prefix string) []objectstore.Info {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var infos []objectstore.Info
	for key, o := range b.objects {
		if strings.HasPrefix(key, prefix) {
			infos = append(infos, objectstore.Info{Key: key, Size: int64(len(o.data)), Modified: o.modified})
		}
	}
	slices.SortFunc(infos, func(a, b objectstore.Info) int { return strings.Compare(a.Key, b.Key) })
	return infos
}

// URL implements objectstore.Bucket.
func (b *Bucket) URL() string { return "mem://" + b.name }

// Close implements objectstore.Bucket.
func (b *Bucket) Close() error { return nil }

func (b *Bucket) object(ctx context.Context, verb, key string) (object, error) {
	if err := check(ctx, key); err != nil {
		return object{}, err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	o, ok := b.objects[key]
	if !ok {
		return object{}, fmt.Errorf("%s %s: %w", verb, key, objectstore.ErrNotFound)
	}
	return o, nil
}

func check(ctx context.Context, key string) error {
	if err := objectstore.CheckKey(key); err != nil {
		return err
	}
	return ctx.Err()
}
