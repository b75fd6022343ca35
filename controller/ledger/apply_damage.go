package ledger

import (
	"fmt"
	"slices"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
)

// What concerns a job whose newest checkpoint can not be restored.

// suspendJob ends the attempt. Only an operator takes the job on from here, or
// cancels it: an older checkpoint repeats what sinks have published since.
func (t *transition) suspendJob(j *Job, c *SuspendJob) any {
	if c.Attempt == j.attempt() && j.Status == Suspended {
		return t.Jobs[j.ID]
	}
	if !j.Status.Active() {
		return refuse(ErrJobEnded, "suspend job %s: it is %s", j.ID, j.Status)
	}
	if !j.current(c.Attempt) {
		return refuse(ErrStaleAttempt, "suspend job %s in attempt %d: it is at %d", j.ID, c.Attempt, j.attempt())
	}
	if c.Object == "" || len(c.Object) > keyBytesMax {
		return refuse(ErrInvalid, "suspend job %s: object %.64q", j.ID, c.Object)
	}
	reason := bounded(c.Reason, reasonMax)
	t.endAttempt(j, fmt.Sprintf("attempt %d failed", c.Attempt))
	j.Failures = appendBounded(j.Failures, failuresMax, FailureRecord{At: t.Now, Attempt: c.Attempt, Reason: reason})
	t.emit(Event{Type: EventAttemptFailed, Job: j.ID, Attempt: c.Attempt, Detail: reason})
	if object := bounded(c.Object, keyBytesMax); !slices.Contains(j.Damaged, object) {
		j.Damaged = appendBounded(slices.Clone(j.Damaged), damagedMax, object)
	}
	j.Reason, j.NotBefore = reason, 0
	t.setStatus(j, Suspended)
	return t.put(j)
}

// resumeJob lets the next attempt begin. To go on from an older checkpoint is to
// drop the newer ones: a job has one line of checkpoints, and its newest is the
// restore point. A checkpoint's owed commits go with it: the attempt that restores
// an older one aborts them.
func (t *transition) resumeJob(j *Job, c *ResumeJob) any {
	if j.Status != Suspended {
		return refuse(ErrNotSuspended, "resume job %s: it is %s", j.ID, j.Status)
	}
	resumed := &Resumed{}
	if c.ID != 0 {
		record := j.Catalog.Record(c.ID)
		if record == nil || record.Savepoint {
			return refuse(ErrNoCheckpoint, "resume job %s from checkpoint %d", j.ID, c.ID)
		}
		if object, damaged := j.DamageOf(record); damaged {
			return refuse(ErrDamaged, "resume job %s from checkpoint %d: %s", j.ID, c.ID, object)
		}
		next, change, err := j.Catalog.Rewind(c.ID)
		if err != nil {
			return refuse(classOf(err), "resume job %s from checkpoint %d: %v", j.ID, c.ID, err)
		}
		j.Catalog, resumed.Dropped = next, change.Dropped
	} else {
		j.Damaged = nil
	}
	if newest := j.Catalog.Newest(); newest != nil {
		resumed.From = newest.ID
	}
	for _, id := range resumed.Dropped {
		t.emit(Event{Type: EventCheckpointDeleted, Job: j.ID, Checkpoint: id})
	}
	j.Reason, j.NotBefore, j.FailuresInRow = "", t.Now, 0
	t.setStatus(j, Restarting)
	t.put(j)
	return resumed
}

// DamageOf tells whether the checkpoint needs an object that a restore has found
// missing or damaged, and which.
func (j *Job) DamageOf(r *catalog.Record) (object string, damaged bool) {
	for _, key := range j.Damaged {
		if r.Needs(key) {
			return key, true
		}
	}
	return "", false
}

// NewestWhole is the newest retained checkpoint that needs none of the objects
// that are known to be damaged; nil if there is none.
func (j *Job) NewestWhole() *catalog.Record {
	for r := range j.Catalog.Backward() {
		if _, damaged := j.DamageOf(r); !damaged && !r.Savepoint {
			return r
		}
	}
	return nil
}

// Needing are the retained checkpoints that need the object, oldest first.
func (j *Job) Needing(object string) []dataflow.CheckpointID {
	var ids []dataflow.CheckpointID
	for r := range j.Catalog.All() {
		if r.Needs(object) {
			ids = append(ids, r.ID)
		}
	}
	return ids
}
