package task

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/savepoint"
	"github.com/cairnstream/cairn/wire"
)

// readOrigin reads the restore point of a job that starts from elsewhere. Another store
// is opened with this machine's own credentials, as a connector's is; close lets go of
// it when the attempt is over.
func (p *process) readOrigin(ctx context.Context, o *wire.RestorePoint) (r *engine.Restore, closeBucket func() error, err error) {
	closeBucket = func() error { return nil }
	var bucket objectstore.Bucket = p.bucket
	if o.Store != "" {
		if bucket, err = p.openBucket(ctx, o.Store); err != nil {
			return nil, nil, fmt.Errorf("restore from %s: %w", o.Store, err)
		}
		closeBucket = bucket.Close
	}
	m, err := checkpointstore.New(bucket, "").Read(ctx, catalog.Object{Key: o.Key, Size: o.Size, SHA256: o.Sha256})
	if err != nil {
		return nil, nil, errors.Join(&metadataError{o.Key, err}, closeBucket())
	}
	r = &engine.Restore{
		Checkpoint: m.Checkpoint, Attempt: m.Attempt, KeyGroups: m.KeyGroups, Processes: m.Processes,
		Origin: true, OwnTransactions: o.OwnTransactions, Copy: o.Copy, AllowNonRestored: o.AllowNonRestoredState,
	}
	if o.Store != "" {
		r.Bucket = bucket
	}
	if m.Folder != nil { // what it refers to is named relative to the folder
		r.Bucket, r.Prefix = bucket, savepoint.Prefix(o.Key)
	}
	return r, closeBucket, nil
}

// restore reads what to start from; nil starts from the beginning.
func (e *execution) restore(ctx context.Context) (r *engine.Restore, closeBucket func() error, err error) {
	if o := e.order.Restore; o.GetKey() != "" {
		return e.process.readOrigin(ctx, o)
	}
	closeBucket = func() error { return nil }
	if e.order.RestoreCheckpoint == 0 {
		return nil, closeBucket, nil
	}
	r, err = e.process.readRestore(ctx, catalog.Object{
		Key: e.order.RestoreKey, Size: e.order.RestoreSize, SHA256: e.order.RestoreSha256})
	if err != nil {
		return nil, nil, err
	}
	if uint64(r.Checkpoint) != e.order.RestoreCheckpoint {
		return nil, nil, fmt.Errorf("restore checkpoint %d: %s holds checkpoint %d", e.order.RestoreCheckpoint, e.order.RestoreKey, r.Checkpoint)
	}
	r.CommitsKnown = dataflow.CheckpointID(e.order.CommitsKnown)
	r.AllowNonRestored = e.order.GetRestore().GetAllowNonRestoredState() // after an upgrade that may drop state
	return r, closeBucket, nil
}
