package ledger

import (
	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
)

// What concerns how long checkpoints are kept.

func (t *transition) pinCheckpoint(j *Job, c *PinCheckpoint) any {
	r := j.Catalog.Record(c.ID)
	switch {
	case r == nil:
		return refuse(ErrNoCheckpoint, "pin checkpoint %d of job %s", c.ID, j.ID)
	case r.Savepoint && !r.Holds[catalog.PinHold]:
		return refuse(ErrInvalid, "pin checkpoint %d of job %s: it is a savepoint, which is kept until it is disposed of", c.ID, j.ID)
	case r.Holds[catalog.PinHold] != c.Unpin:
		return nil
	case c.Unpin:
		t.unpin(j, c.ID)
	default:
		j.Catalog, _ = j.Catalog.Hold(c.ID, catalog.PinHold) // it is there
		t.emit(Event{Type: EventCheckpointPinned, Job: j.ID, Checkpoint: c.ID})
	}
	t.put(j)
	return nil
}

// unpin ends a pin. What a job that was cancelled kept for the pin alone goes with it.
func (t *transition) unpin(j *Job, id dataflow.CheckpointID) {
	next, change := j.Catalog.Unhold(id, catalog.PinHold, j.Options.Retained)
	j.Catalog = next
	t.emit(Event{Type: EventCheckpointUnpinned, Job: j.ID, Checkpoint: id})
	t.deleted(j, change)
	if j.Status == Cancelled {
		t.deleteOnCancel(j)
	}
}

// deleteOnCancel drops the checkpoints of a job that was cancelled, if its options say
// so: all that nobody holds. A failed job's are always kept.
func (t *transition) deleteOnCancel(j *Job) {
	if j.Options.Checkpoint.Retention != dataflow.DeleteOnCancel {
		return
	}
	next, change := j.Catalog.DeleteAll()
	j.Catalog = next
	t.deleted(j, change)
}

func (t *transition) deleted(j *Job, change catalog.Change) {
	for _, id := range change.Dropped {
		t.emit(Event{Type: EventCheckpointDeleted, Job: j.ID, Checkpoint: id})
	}
}
