package objectstore

import (
	"context"
	"fmt"
)

// GetInto is b.Get with memory for the bytes: they lie in buf if it has room for them and the
// bucket knows how, else in new memory. Who reads much and keeps little of it saves what new memory
// costs: as much as the reading, where the objects are near.
//
// A Bucket that knows how has a method GetInto, which reads exactly len(buf) bytes from offset into
// buf. After an error what is in buf is anything.
func GetInto(ctx context.Context, b Bucket, key string, offset, length int64, buf []byte) ([]byte, error) {
	into, ok := b.(intoGetter)
	if !ok || length < 0 || length > int64(cap(buf)) {
		return b.Get(ctx, key, offset, length)
	}
	buf = buf[:length]
	if err := into.GetInto(ctx, key, offset, buf); err != nil {
		return nil, err
	}
	return buf, nil
}

type intoGetter interface {
	GetInto(ctx context.Context, key string, offset int64, buf []byte) error
}

// getInto is GetInto for a Bucket that wraps b.
func getInto(ctx context.Context, b Bucket, key string, offset int64, buf []byte) error {
	data, err := GetInto(ctx, b, key, offset, int64(len(buf)), buf)
	if err != nil {
		return err
	}
	if len(data) != len(buf) {
		return fmt.Errorf("get %s: %d bytes, asked for %d", key, len(data), len(buf))
	}
	if len(buf) > 0 && &data[0] != &buf[0] {
		copy(buf, data)
	}
	return nil
}
