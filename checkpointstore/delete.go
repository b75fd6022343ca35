package checkpointstore

import (
	"context"
	"errors"
	"sync/atomic"
)

// Delete deletes objects, some at once, and returns how many; it goes on after an
// error. Deleting what is not there is no mistake.
func (s *Store) Delete(ctx context.Context, keys []string) (deleted int, err error) {
	d := deleter{bucket: s.bucket, places: make(chan struct{}, deletesAtOnce)}
	kept := make([]atomic.Bool, len(keys))
	begun := 0
	for ; begun < len(keys) && ctx.Err() == nil; begun++ {
		d.start(ctx, keys[begun], &kept[begun])
	}
	err = errors.Join(d.wait(), ctx.Err())
	return len(without(keys[:begun], kept[:begun])), err
}
