package connectortest

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"

	"github.com/cairnstream/cairn/objectstore"
)

// errFlaky is what a flaky bucket fails with.
var errFlaky = errors.New("injected fault")

// flaky is a Bucket whose operations sometimes fail: before they have done
// anything, or after they have done all of it.
type flaky struct {
	objectstore.Bucket

	mu    sync.Mutex
	rand  *rand.Rand
	share float64 // of operations that fail
}

// fail rolls the dice for one operation.
func (f *flaky) fail() (before, after error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch x := f.rand.Float64(); {
	case x < f.share/2:
		return errFlaky, nil
	case x < f.share:
		return nil, errFlaky
	}
	return nil, nil
}

func (f *flaky) do(op func() error) error {
	before, after := f.fail()
	if before != nil {
		return before
	}
	if err := op(); err != nil {
		return err
	}
	return after
}

func (f *flaky) Put(ctx context.Context, key string, data []byte, o objectstore.PutOptions) error {
	return f.do(func() error { return f.Bucket.Put(ctx, key, data, o) })
}

func (f *flaky) PutFile(ctx context.Context, key string, r io.ReadSeeker, size int64) error {
	return f.do(func() error { return f.Bucket.PutFile(ctx, key, r, size) })
}

func (f *flaky) Copy(ctx context.Context, dst, src string) error {
	return f.do(func() error { return f.Bucket.Copy(ctx, dst, src) })
}

func (f *flaky) Delete(ctx context.Context, key string) error {
	return f.do(func() error { return f.Bucket.Delete(ctx, key) })
}

func (f *flaky) List(ctx context.Context, prefix string, each func(objectstore.Info) error) error {
	return f.do(func() error { return f.Bucket.List(ctx, prefix, each) })
}

func (f *flaky) Reader(ctx context.Context, key string) (r io.ReadCloser, err error) {
	if err, _ := f.fail(); err != nil {
		return nil, err
	}
	return f.Bucket.Reader(ctx, key)
}
