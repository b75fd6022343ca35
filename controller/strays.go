package controller

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/objectstore"
)

// collectStrays deletes a job's metadata objects that were written and never
// became a checkpoint's: the leader died before the entry, or Apply refused it.
// The catalog never knew them, so nothing marks them.
//
// It is Raft that makes them garbage, not their age (I6): completions come in
// the order of their ids, so that what is no newer than the newest complete
// checkpoint can not complete any more, also by the hand of a leader of an
// older term that still writes. One LIST a look, for one job, is pace enough.
func (l *leader) collectStrays(ctx context.Context, record *ledger.Job) error {
	named := map[string]bool{}
	for r := range record.Catalog.All() {
		named[r.Metadata.Key] = true
	}
	var strays []string
	err := l.bucket.List(ctx, checkpointstore.MetadataPrefix(l.cluster(), record.ID), func(info objectstore.Info) error {
		id, ok := checkpointstore.MetadataID(info.Key)
		settled := record.Status.Terminal()
		if newest := record.Catalog.Newest(); newest != nil && id <= newest.ID {
			settled = true
		}
		if ok && settled && !named[info.Key] {
			strays = append(strays, info.Key)
		}
		return nil
	})
	errs := []error{err}
	for _, key := range strays {
		if err := l.bucket.Delete(ctx, key); err != nil {
			errs = append(errs, fmt.Errorf("delete %s: %w", key, err))
		}
	}
	return errors.Join(errs...)
}
