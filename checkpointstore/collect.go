package checkpointstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
)

// deletesAtOnce bounds the requests in flight: enough to hide the store's
// latency, few enough that a checkpoint's PUTs do not wait behind them.
const deletesAtOnce = 8

// Collect deletes garbage: runs and objects that a committed entry has marked,
// which is for ever. It returns those of which nothing is left, for the entry
// that forgets them, together with the joined errors of the others; those stay
// marked and are given again. Deleting twice is harmless, so a crash at any
// point costs only a repetition.
func (s *Store) Collect(ctx context.Context, runs []snapshot.Run, objects []catalog.Object) (goneRuns []snapshot.Run, goneObjects []catalog.Object, err error) {
	runsKept, objectsKept := make([]atomic.Bool, len(runs)), make([]atomic.Bool, len(objects))
	d := deleter{bucket: s.bucket, places: make(chan struct{}, deletesAtOnce)}
	for i, run := range runs {
		for n := run.Lo; n <= run.Hi && ctx.Err() == nil; n++ {
			d.start(ctx, ObjectKey(run, n), &runsKept[i])
		}
	}
	for i, o := range objects {
		d.start(ctx, o.Key, &objectsKept[i])
	}
	err = d.wait()
	if ctx.Err() != nil { // some were not begun
		return nil, nil, errors.Join(err, ctx.Err())
	}
	return without(runs, runsKept), without(objects, objectsKept), err
}

// deleter deletes objects, some at once.
type deleter struct {
	bucket objectstore.Bucket
	places chan struct{} // one for each request in flight
	group  sync.WaitGroup

	mu   sync.Mutex
	errs []error // guarded by mu
}

// start deletes key when there is a place, and sets kept if that fails.
func (d *deleter) start(ctx context.Context, key string, kept *atomic.Bool) {
	d.places <- struct{}{}
	d.group.Go(func() {
		defer func() { <-d.places }()
		if err := d.bucket.Delete(ctx, key); err != nil {
			kept.Store(true)
			d.mu.Lock()
			defer d.mu.Unlock()
			d.errs = append(d.errs, fmt.Errorf("delete %s: %w", key, err))
		}
	})
}

// wait returns the joined errors when all requests have ended.
func (d *deleter) wait() error {
	d.group.Wait()
	return errors.Join(d.errs...)
}

// without returns the items that are not marked.
func without[T any](items []T, marked []atomic.Bool) []T {
	var rest []T
	for i, item := range items {
		if !marked[i].Load() {
			rest = append(rest, item)
		}
	}
	return rest
}
