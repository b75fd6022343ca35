package ledger

import (
	"errors"
	"slices"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
)

// What concerns a job's checkpoints.

// The last state of a checkpoint in the history.
const (
	CheckpointCompleted = "completed"
	CheckpointFailed    = "failed"
)

// TriggerFinal is the trigger of the checkpoint that ends a bounded job.
const TriggerFinal = "final"

func (t *transition) beginCheckpoint(j *Job, c *BeginCheckpoint) any {
	if j.Status.Terminal() {
		return refuse(ErrJobEnded, "begin a checkpoint of job %s: it is %s", j.ID, j.Status)
	}
	if !j.current(c.Attempt) {
		return refuse(ErrStaleAttempt, "begin a checkpoint of job %s in attempt %d: it is at %d", j.ID, c.Attempt, j.attempt())
	}
	if j.Status != Running {
		return refuse(ErrNotRunning, "begin a checkpoint of job %s: it is %s", j.ID, j.Status)
	}
	if len(j.Pending) >= pendingMax {
		return refuse(ErrTooManyPending, "begin a checkpoint of job %s", j.ID)
	}
	if err := c.checkTriggers(); err != nil {
		return err
	}
	p := Pending{ID: j.NextCheckpoint, Attempt: c.Attempt, Trigger: c.Trigger, At: t.Now, Term: c.Header.Term}
	j.NextCheckpoint++
	j.Pending = append(slices.Clip(j.Pending), p)
	t.put(j)
	t.rememberTriggers(c, p.ID)
	t.emit(Event{Type: EventCheckpointBegun, Job: j.ID, Attempt: c.Attempt, Checkpoint: p.ID, Detail: c.Trigger})
	return p.ID
}

// completeCheckpoint is the commit point of a checkpoint.
func (t *transition) completeCheckpoint(j *Job, c *CompleteCheckpoint) any {
	p, pending := j.takePending(c.ID)
	switch {
	case !pending && j.completedAs(c.ID, c.Metadata):
		return &Completed{ID: c.ID}
	case !j.current(c.Attempt):
		return refuse(ErrStaleAttempt, "complete checkpoint %d of job %s in attempt %d: it is at %d", c.ID, j.ID, c.Attempt, j.attempt())
	case !pending:
		return refuse(ErrNotPending, "complete checkpoint %d of job %s", c.ID, j.ID)
	}
	if err := t.checkForeign(j, c); err != nil {
		return err
	}
	record := catalog.Record{ID: c.ID, Attempt: c.Attempt, Metadata: c.Metadata, Objects: c.Objects, Owed: c.Owed}
	savepoint := j.Savepoint(c.ID)
	if savepoint != nil {
		asSavepoint(&record, savepoint)
	}
	next, change, err := j.Catalog.Complete(record, c.Released, j.Options.Retained)
	if err != nil {
		return refuse(classOf(err), "complete checkpoint %d of job %s: %v", c.ID, j.ID, err)
	}
	var unheld catalog.Change
	if savepoint == nil { // the attempt has a checkpoint of its own to restore from now
		next, unheld = next.Unhold(j.Execution.Restore, holdOf(c.Attempt), j.Options.Retained)
	}
	j.Catalog = next
	done := &Completed{ID: c.ID, Subsumed: append(change.Dropped, unheld.Dropped...), Aborted: t.abortOlder(j, c.ID)}
	slices.Sort(done.Subsumed)
	j.Completed++
	j.CheckpointFails = 0
	h := t.line(p, CheckpointCompleted, "")
	h.Stats, h.Metadata = c.Stats, c.Metadata
	j.History = appendBounded(j.History, historyMax, h)
	t.emit(Event{Type: EventCheckpointCompleted, Job: j.ID, Attempt: c.Attempt, Checkpoint: c.ID})
	t.healthy(j, c.Attempt)
	if savepoint != nil {
		t.savepointTaken(j, c)
	}
	t.put(j)
	return done
}

// classOf translates the catalog's refusals.
func classOf(err error) error {
	switch {
	case errors.Is(err, catalog.ErrMarked):
		return ErrMarkedObject
	case errors.Is(err, catalog.ErrNeeded):
		return ErrCheckpointNeeded
	case errors.Is(err, catalog.ErrUnknown):
		return ErrNoCheckpoint
	}
	return ErrInvalid
}

func (t *transition) abortCheckpoint(j *Job, c *AbortCheckpoint) any {
	p, found := j.takePending(c.ID)
	if !found || p.Attempt != c.Attempt {
		return nil
	}
	t.abort(j, p, bounded(c.Reason, reasonMax))
	j.CheckpointFails = c.FailuresInRow
	t.put(j)
	return nil
}

// abort notes that p, which is taken from the pending ones, will not complete.
func (t *transition) abort(j *Job, p Pending, reason string) {
	j.FailedCount++
	j.History = appendBounded(j.History, historyMax, t.line(p, CheckpointFailed, reason))
	t.emit(Event{Type: EventCheckpointAborted, Job: j.ID, Attempt: p.Attempt, Checkpoint: p.ID, Detail: reason})
	if j.Savepoint(p.ID) != nil {
		t.failSavepoint(j, p.ID, reason)
	}
}

func (t *transition) abortPending(j *Job, reason string) {
	for _, p := range j.Pending {
		t.abort(j, p, reason)
	}
	j.Pending = nil
}

// abortOlder ends the pending checkpoints below id, which completed.
func (t *transition) abortOlder(j *Job, id dataflow.CheckpointID) []dataflow.CheckpointID {
	var aborted []dataflow.CheckpointID
	for _, p := range slices.Clone(j.Pending) {
		if p.ID < id {
			j.takePending(p.ID)
			t.abort(j, p, reasonSubsumed)
			aborted = append(aborted, p.ID)
		}
	}
	return aborted
}

// line is a checkpoint's line in the history as it ends now.
func (t *transition) line(p Pending, status, reason string) CheckpointHistory {
	return CheckpointHistory{
		ID: p.ID, Attempt: p.Attempt, Trigger: p.Trigger, Status: status, Reason: reason,
		BegunAt: p.At, EndedAt: t.Now, BegunTerm: p.Term, EndedTerm: t.header.Term,
	}
}

// confirmCommits may be what an ending job waits for.
func (t *transition) confirmCommits(j *Job, c *ConfirmCommits) any {
	if c.ID <= j.Committed {
		return nil
	}
	if last := j.Catalog.Last(); last == nil || c.ID > last.ID {
		return refuse(ErrNoCheckpoint, "confirm commits of job %s up to checkpoint %d: it is not complete", j.ID, c.ID)
	}
	j.Catalog, _ = j.Catalog.Confirm(c.ID, j.Options.Retained)
	j.Committed = c.ID
	t.emit(Event{Type: EventCommitsConfirmed, Job: j.ID, Attempt: j.attempt(), Checkpoint: c.ID})
	if ends[j.Status] != "" && j.Catalog.Owed() == nil {
		t.conclude(j, j.Status)
	}
	t.put(j)
	return nil
}

func (t *transition) deleteCheckpoint(j *Job, c *DeleteCheckpoint) any {
	next, _, err := j.Catalog.Delete(c.ID, !j.Status.Terminal())
	if err != nil {
		return refuse(classOf(err), "delete checkpoint %d of job %s", c.ID, j.ID)
	}
	j.Catalog = next
	t.put(j)
	t.emit(Event{Type: EventCheckpointDeleted, Job: j.ID, Checkpoint: c.ID})
	return nil
}

func (t *transition) forgetGarbage(j *Job, c *ForgetGarbage) any {
	next, err := j.Catalog.Forget(catalog.Garbage{Runs: c.Runs, Single: c.Single})
	if err != nil {
		return refuse(classOf(err), "job %s: %v", j.ID, err)
	}
	j.Catalog = next
	t.put(j)
	return nil
}

// takePending removes a pending checkpoint from the job's own list.
func (j *Job) takePending(id dataflow.CheckpointID) (Pending, bool) {
	i := slices.IndexFunc(j.Pending, func(p Pending) bool { return p.ID == id })
	if i < 0 {
		return Pending{}, false
	}
	p := j.Pending[i]
	j.Pending = slices.Delete(slices.Clone(j.Pending), i, i+1)
	return p, true
}

// completedAs tells whether the checkpoint is complete with this metadata object,
// as far as the history goes back.
func (j *Job) completedAs(id dataflow.CheckpointID, metadata catalog.Object) bool {
	return slices.ContainsFunc(j.History, func(h CheckpointHistory) bool {
		return h.ID == id && h.Status == CheckpointCompleted && h.Metadata == metadata
	})
}

// FinalCompleted tells whether the current attempt's final checkpoint is
// complete: the job has nothing more to do than to finish.
func (j *Job) FinalCompleted() bool {
	newest := j.Catalog.Newest()
	return newest != nil && j.current(newest.Attempt) && slices.ContainsFunc(j.History, func(h CheckpointHistory) bool {
		return h.ID == newest.ID && h.Trigger == TriggerFinal && h.Status == CheckpointCompleted
	})
}
