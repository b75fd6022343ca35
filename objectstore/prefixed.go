package objectstore

import (
	"context"
	"io"
	"strings"
)

// Prefixed returns a view of b in which every key has prefix in front of it,
// so that several owners can share one bucket. Prefix is a key followed by
// "/"; the empty one returns b itself. The view does not own b: its Close does
// nothing. Errors name the whole key.
func Prefixed(b Bucket, prefix string) Bucket {
	if prefix == "" {
		return b
	}
	return &prefixed{b: b, prefix: prefix}
}

type prefixed struct {
	b      Bucket
	prefix string
}

var _ Bucket = (*prefixed)(nil)

func (p *prefixed) Put(ctx context.Context, key string, data []byte, opts PutOptions) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	return p.b.Put(ctx, p.prefix+key, data, opts)
}

func (p *prefixed) PutFile(ctx context.Context, key string, r io.ReadSeeker, size int64) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	return p.b.PutFile(ctx, p.prefix+key, r, size)
}

func (p *prefixed) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	return p.b.Get(ctx, p.prefix+key, offset, length)
}

// GetInto asks the bucket below.
func (p *prefixed) GetInto(ctx context.Context, key string, offset int64, buf []byte) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	return getInto(ctx, p.b, p.prefix+key, offset, buf)
}

func (p *prefixed) Reader(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	return p.b.Reader(ctx, p.prefix+key)
}

func (p *prefixed) Copy(ctx context.Context, dst, src string) error {
	if err := CheckKey(dst); err != nil {
		return err
	}
	if err := CheckKey(src); err != nil {
		return err
	}
	return p.b.Copy(ctx, p.prefix+dst, p.prefix+src)
}

func (p *prefixed) Delete(ctx context.Context, key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	return p.b.Delete(ctx, p.prefix+key)
}

func (p *prefixed) List(ctx context.Context, prefix string, f func(Info) error) error {
	if err := CheckPrefix(prefix); err != nil {
		return err
	}
	return p.b.List(ctx, p.prefix+prefix, func(info Info) error {
		info.Key = strings.TrimPrefix(info.Key, p.prefix)
		return f(info)
	})
}

func (p *prefixed) URL() string {
	place, query, found := strings.Cut(p.b.URL(), "?")
	place = strings.TrimSuffix(place, "/") + "/" + strings.TrimSuffix(p.prefix, "/")
	if found {
		place += "?" + query
	}
	return place
}

func (p *prefixed) Close() error { return nil }

// ConditionalPut asks the bucket below.
func (p *prefixed) ConditionalPut(ctx context.Context) (bool, error) {
	return HasConditionalPut(ctx, p.b)
}
