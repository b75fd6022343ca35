package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/wire"
)

// What a job starts from: from a caller's words to what Raft keeps of it. The paths are
// in origin_path.go. See docs/design/0012-restore-points.md.

// origin is a restore point that was found and read.
type origin struct {
	ledger.Origin
	metadata *checkpointstore.Metadata
}

// findOrigin finds what a caller names: a checkpoint or savepoint of a job of this cluster,
// or a path. Its metadata object is read and verified.
func (l *leader) findOrigin(ctx context.Context, o *wire.Origin) (*origin, error) {
	found, err := l.locateOrigin(ctx, o)
	if err != nil {
		return nil, err
	}
	found.Claim, found.AllowNonRestored, found.Fork = o.Claim, o.AllowNonRestoredState, o.Fork
	found.OwnTransactions = o.Claim && found.Job == ""
	if parent := l.record(found.Job); o.Claim && parent != nil && !parent.Status.Terminal() && found.Savepoint == "" {
		return nil, fmt.Errorf("claim checkpoint %d of job %s, which is %s: it still needs it; cancel it first, or leave out --claim: %w",
			found.Checkpoint, parent.ID, parent.Status, ledger.ErrNotEnded)
	}
	if o.Claim {
		if err := l.mayClaim(ctx, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (l *leader) locateOrigin(ctx context.Context, o *wire.Origin) (*origin, error) {
	switch {
	case (o.Job == "") == (o.Path == ""):
		return nil, fmt.Errorf("origin: name a job, or the path of a savepoint or of a metadata object: %w", errInvalid)
	case o.Path != "":
		return l.originAt(ctx, o.Path)
	}
	record := l.record(jobID(o.Job))
	if record == nil {
		return nil, fmt.Errorf("origin: job %s: %w", o.Job, ledger.ErrNoJob)
	}
	id := dataflow.CheckpointID(o.Checkpoint)
	if id == 0 {
		if id = whereItGoesOn(record); id == 0 {
			return nil, fmt.Errorf("origin: job %s has neither a checkpoint nor a savepoint that is complete: %w", o.Job, ledger.ErrNoCheckpoint)
		}
	}
	return l.originOf(ctx, record, id)
}

// whereItGoesOn is what a caller means who names a job and no checkpoint. Of a job that has ended that
// is what its sinks have committed up to: nobody commits any more what they prepared between
// that and a later savepoint that did not stop the job, so to go on from there would lose it.
func whereItGoesOn(record *ledger.Job) (id dataflow.CheckpointID) {
	if !record.Status.Terminal() {
		return newestRestorable(record)
	}
	if newest := record.Catalog.Newest(); newest != nil {
		id = newest.ID
	}
	for _, s := range record.Savepoints {
		if s.Status == ledger.SavepointCompleted && s.Stop && s.Trigger != ledger.SavepointUpgrade {
			id = max(id, s.ID)
		}
	}
	if id == 0 {
		return newestRestorable(record)
	}
	return id
}

// newestRestorable is the newest checkpoint or savepoint of a job; 0 without any.
func newestRestorable(record *ledger.Job) dataflow.CheckpointID {
	var id dataflow.CheckpointID
	if last := record.Catalog.Last(); last != nil {
		id = last.ID
	}
	for _, s := range record.Savepoints {
		if s.Status == ledger.SavepointCompleted {
			id = max(id, s.ID)
		}
	}
	return id
}

// originOf is a checkpoint or savepoint of a job of this cluster.
func (l *leader) originOf(ctx context.Context, record *ledger.Job, id dataflow.CheckpointID) (*origin, error) {
	found := &origin{Origin: ledger.Origin{Job: record.ID, Checkpoint: id}}
	s, r := record.Savepoint(id), record.Catalog.Record(id)
	switch {
	case s != nil && s.Status == ledger.SavepointCompleted && s.Format == dataflow.Canonical:
		found.Store, found.Object, found.Copy, found.Savepoint = s.Directory, s.Metadata, true, s.Format
	case s != nil && s.Status == ledger.SavepointDisposing:
		return nil, fmt.Errorf("origin: savepoint %d of job %s is being deleted: %w", id, record.ID, ledger.ErrNoSavepoint)
	case r != nil:
		found.Object = r.Metadata
		if s != nil && s.Status == ledger.SavepointCompleted {
			found.Savepoint = s.Format
		}
	default:
		return nil, fmt.Errorf("origin: job %s has no checkpoint %d; %s: %w", record.ID, id, whatThereIs(record), ledger.ErrNoCheckpoint)
	}
	store := l.store()
	if found.Store != "" {
		other, err := l.openStore(ctx, found.Store)
		if err != nil {
			return nil, err
		}
		defer other.Close()
		store = checkpointstore.New(other, l.cluster())
	}
	m, err := store.Read(ctx, found.Object)
	if err != nil {
		return nil, fmt.Errorf("origin: %w", unreadable(err))
	}
	found.metadata = m
	return found, nil
}

// unreadable gives an error of a read the class of what helps.
func unreadable(err error) error {
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
		return fmt.Errorf("it is not there: %w", err)
	case errors.Is(err, objectstore.ErrCorrupt):
		return fmt.Errorf("it is damaged: %w: %w", err, errPrecondition)
	case errors.Is(err, checkpointstore.ErrNewer):
		return fmt.Errorf("%w: %w", err, errPrecondition)
	}
	return fmt.Errorf("%w: %w", err, errNotReady)
}

// whatThereIs lists a job's restore points, newest first, for a caller who named another.
func whatThereIs(record *ledger.Job) string {
	const listed = 10
	var ids []string
	for id := newestRestorable(record); id > 0 && len(ids) < listed; id-- {
		s, r := record.Savepoint(id), record.Catalog.Record(id)
		switch {
		case s != nil && s.Status == ledger.SavepointCompleted:
			ids = append(ids, fmt.Sprintf("%d (a savepoint)", id))
		case s == nil && r != nil:
			ids = append(ids, fmt.Sprint(id))
		}
	}
	if len(ids) == 0 {
		return "it has none"
	}
	return "it has " + strings.Join(ids, ", ")
}

// pointOf is the restore point as processes are told of it.
func pointOf(o *ledger.Origin) *wire.RestorePoint {
	return &wire.RestorePoint{
		Store: o.Store, Key: o.Object.Key, Size: o.Object.Size, Sha256: o.Object.SHA256,
		Copy: o.Copy, AllowNonRestoredState: o.AllowNonRestored, OwnTransactions: o.OwnTransactions,
	}
}

// checkBackend refuses a checkpoint whose images only another backend reads.
func (o *origin) checkBackend(options dataflow.Options) error {
	want := options.WithDefaults().State.Backend
	for _, p := range o.metadata.Processes {
		for _, s := range p.Subtasks {
			for _, op := range s.Operators {
				if op.Keyed == nil || op.Keyed.Backend == "" || op.Keyed.Backend == want {
					continue
				}
				for _, segment := range op.Keyed.Segments {
					if segment.Kind == snapshot.SegmentFile {
						return fmt.Errorf("checkpoint %d has state of operator %q in files of backend %q, and the job would run on %q: take a canonical savepoint and start from that, or choose the backend %q: %w",
							o.Checkpoint, op.UID, op.Keyed.Backend, want, op.Keyed.Backend, errPrecondition)
					}
				}
			}
		}
	}
	return nil
}

// name is for messages.
func (o *origin) name() string {
	if o.Job == "" {
		return o.Path
	}
	return fmt.Sprintf("checkpoint %d of %s", o.Checkpoint, o.Job)
}

// described tells people what a job started from, and whether it still begins there.
func described(record *ledger.Job) string {
	o := record.Origin
	if o == nil {
		return ""
	}
	var b strings.Builder
	what := "checkpoint"
	if o.Savepoint != "" {
		what = o.Savepoint + " savepoint"
	}
	fmt.Fprintf(&b, "%s %d", what, o.Checkpoint)
	if o.Job != "" {
		fmt.Fprintf(&b, " of %s", o.Job)
	} else {
		fmt.Fprintf(&b, " at %s", o.Path)
	}
	switch {
	case o.Fork:
		b.WriteString(", forked")
	case o.Claim:
		b.WriteString(", claimed")
	}
	switch {
	case record.Restoring():
		b.WriteString(" (restoring: no checkpoint of its own yet)")
	case !o.Released:
		b.WriteString(" (some of its objects are still in use)")
	}
	return b.String()
}
