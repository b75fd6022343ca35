package ledger

import (
	"fmt"
	"slices"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
)

// What concerns savepoints.

func (t *transition) beginSavepoint(j *Job, c *BeginSavepoint) any {
	if err := c.check(); err != nil {
		return err
	}
	if s := j.stopping(); s != nil {
		return refuse(ErrStopping, "begin a savepoint of job %s: savepoint %d stops it", j.ID, s.ID)
	}
	if n := j.standing(); n >= savepointsMax {
		return refuse(ErrTooManySavepoints, "begin a savepoint of job %s: it has %d, dispose of some", j.ID, n)
	}
	if c.Trigger == SavepointUpgrade {
		if err := j.checkUpgradeSavepoint(c); err != nil {
			return err
		}
	}
	result := t.beginCheckpoint(j, &BeginCheckpoint{Header: c.Header, Job: c.Job, Attempt: c.Attempt, Trigger: TriggerSavepoint})
	id, ok := result.(dataflow.CheckpointID)
	if !ok {
		return result
	}
	j.Savepoints = append(slices.Clip(j.Savepoints), Savepoint{
		ID: id, Key: c.Header.Key, Format: c.Format, Directory: bounded(c.Directory, keyBytesMax), Trigger: c.Trigger,
		Stop: c.Stop, Drain: c.Drain, Cancel: c.Cancel, Status: SavepointTaking, BegunAt: t.Now,
	})
	if c.Trigger == SavepointUpgrade {
		j.changeUpgrade().Savepoint = id
	}
	t.put(j)
	t.savepointEvent(j, id, SavepointTaking)
	return id
}

// check tells whether the command can be meant.
func (c *BeginSavepoint) check() error {
	if c.Format != dataflow.Canonical && c.Format != dataflow.Native {
		return refuse(ErrInvalid, "begin a savepoint of job %s: format %.64q", c.Job, c.Format)
	}
	if c.Format == dataflow.Native && c.Directory != "" {
		return refuse(ErrInvalid, "begin a savepoint of job %s: a native one has no directory of its own", c.Job)
	}
	if c.Trigger == "" || (c.Drain || c.Cancel) && !c.Stop || c.Drain && c.Cancel {
		return refuse(ErrInvalid, "begin a savepoint of job %s: trigger %q, stop %t, drain %t, cancel %t", c.Job, c.Trigger, c.Stop, c.Drain, c.Cancel)
	}
	return nil
}

// stopping is the savepoint in flight that is to stop the job, or nil.
func (j *Job) stopping() *Savepoint {
	i := slices.IndexFunc(j.Savepoints, func(s Savepoint) bool { return s.Stop && s.Status == SavepointTaking })
	if i < 0 {
		return nil
	}
	return &j.Savepoints[i]
}

// standing counts the savepoints that have not failed.
func (j *Job) standing() (n int) {
	for _, s := range j.Savepoints {
		if s.Status != SavepointFailed {
			n++
		}
	}
	return n
}

// asSavepoint makes a completed checkpoint's record the savepoint's. Only a
// savepoint that stops the job owes commits: from any other the job goes on, and
// may restore below it.
func asSavepoint(r *catalog.Record, s *Savepoint) {
	r.Savepoint, r.Owed = s.Trigger != SavepointUpgrade, r.Owed && s.Stop // the next program's attempts restore an upgrade's
	r.Holds = map[string]bool{SavepointHold: true}
}

// savepointTaken goes on after the completion of a savepoint's checkpoint, in the
// same entry: with Stop the job ends here.
func (t *transition) savepointTaken(j *Job, c *CompleteCheckpoint) {
	s := *j.Savepoint(c.ID)
	status := SavepointWriting
	if s.Format == dataflow.Native {
		status = SavepointCompleted
	}
	j.changeSavepoint(c.ID, func(s *Savepoint) {
		s.Status, s.Metadata, s.Bytes = status, c.Metadata, c.Stats.StateBytes
		if status == SavepointCompleted {
			s.EndedAt = t.Now
		}
	})
	t.savepointEvent(j, c.ID, status)
	switch {
	case s.Trigger == SavepointUpgrade:
		t.swap(j, c.ID)
	case s.Cancel:
		t.endAttempt(j, fmt.Sprintf("savepoint %d cancelled the job", c.ID))
		t.endJob(j, Cancelling)
	case s.Stop:
		t.abortPending(j, fmt.Sprintf("savepoint %d stopped the job", c.ID))
		t.endJob(j, Finishing)
	}
}

// failSavepoint notes that there will be no savepoint: its checkpoint was aborted,
// or its folder could not be written.
func (t *transition) failSavepoint(j *Job, id dataflow.CheckpointID, reason string) {
	j.changeSavepoint(id, func(s *Savepoint) {
		s.Status, s.Reason, s.EndedAt = SavepointFailed, reason, t.Now
	})
	if u := j.upgrading(); u != nil && u.Savepoint == id {
		t.notSaved(j, fmt.Sprintf("savepoint %d: %s", id, reason))
	}
	t.savepointEvent(j, id, SavepointFailed)
	if failed := len(j.Savepoints) - j.standing(); failed > failedSavepointsMax {
		i := slices.IndexFunc(j.Savepoints, func(s Savepoint) bool { return s.Status == SavepointFailed })
		j.dropSavepoint(j.Savepoints[i].ID)
	}
}

func (t *transition) finishSavepoint(j *Job, c *FinishSavepoint) any {
	s := j.Savepoint(c.ID)
	switch {
	case s == nil:
		return refuse(ErrNoSavepoint, "finish savepoint %d of job %s", c.ID, j.ID)
	case s.Status != SavepointWriting:
		return nil
	case c.Reason == "" && (c.Location == "" || c.Metadata.Key == ""):
		return refuse(ErrInvalid, "finish savepoint %d of job %s: no location", c.ID, j.ID)
	}
	reason := bounded(c.Reason, reasonMax)
	switch {
	case reason == "":
		j.changeSavepoint(c.ID, func(s *Savepoint) {
			s.Status, s.EndedAt = SavepointCompleted, t.Now
			s.Location, s.Metadata, s.Bytes, s.Rows = bounded(c.Location, reasonMax), c.Metadata, c.Bytes, c.Rows
		})
		t.savepointEvent(j, c.ID, SavepointCompleted)
	case s.Stop:
		// The job ended with it: what its checkpoint names is all that there is.
		j.changeSavepoint(c.ID, func(s *Savepoint) {
			s.Status, s.Format, s.Reason, s.EndedAt = SavepointCompleted, dataflow.Native, reason, t.Now
		})
		t.savepointEvent(j, c.ID, SavepointCompleted)
		t.put(j)
		return nil
	default:
		t.failSavepoint(j, c.ID, reason)
	}
	j.unholdSavepoint(c.ID)
	t.put(j)
	return nil
}

// unholdSavepoint lets go of a savepoint's record. While the attempt that took it runs,
// its next checkpoint may name what was uploaded for it: see catalog.LetGo.
func (j *Job) unholdSavepoint(id dataflow.CheckpointID) {
	j.Catalog, _ = j.Catalog.Unhold(id, SavepointHold, j.Options.Retained)
	if !j.current(j.attempt()) {
		j.Catalog, _ = j.Catalog.LetGo()
	}
}

func (t *transition) disposeSavepoint(j *Job, c *DisposeSavepoint) any {
	s := j.Savepoint(c.ID)
	switch {
	case s == nil && c.Gone:
		return nil
	case s == nil:
		return refuse(ErrNoSavepoint, "dispose of savepoint %d of job %s", c.ID, j.ID)
	case s.Busy():
		return refuse(ErrSavepointBusy, "dispose of savepoint %d of job %s: it is %s", c.ID, j.ID, s.Status)
	case s.Status == SavepointDisposing && !c.Gone:
		return nil
	}
	if needed := t.NeededBy(j.ID, c.ID); s.Status == SavepointCompleted && len(needed) > 0 {
		return refuse(ErrCheckpointNeeded, "dispose of savepoint %d of job %s: job %s started from it and still reads it", c.ID, j.ID, needed[0])
	}
	if s.Status == SavepointCompleted && s.Format == dataflow.Canonical {
		j.changeSavepoint(c.ID, func(s *Savepoint) { s.Status = SavepointDisposing })
		t.put(j)
		t.savepointEvent(j, c.ID, SavepointDisposing)
		return nil
	}
	j.dropSavepoint(c.ID)
	j.unholdSavepoint(c.ID)
	t.put(j)
	t.emit(Event{Type: EventSavepoint, Job: j.ID, Checkpoint: c.ID, Detail: "gone"})
	return nil
}

func (t *transition) savepointEvent(j *Job, id dataflow.CheckpointID, s SavepointStatus) {
	t.emit(Event{Type: EventSavepoint, Job: j.ID, Attempt: j.attempt(), Checkpoint: id, Detail: string(s)})
}
