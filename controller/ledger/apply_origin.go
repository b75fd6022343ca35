package ledger

import (
	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
)

// What concerns the checkpoint or savepoint that a job starts from.

// checkOrigin refuses an origin that can not be, or is no more.
func (t *transition) checkOrigin(c *SubmitJob) error {
	o := c.Origin
	if o.Own == "" || o.Object.Key == "" || o.Checkpoint == 0 || o.Released || o.Release != "" || o.Job == "" && !o.Copy {
		return refuse(ErrInvalid, "submit job %s: its origin is incomplete", c.Job)
	}
	if o.Job == "" {
		return t.checkPathClaims(c)
	}
	parent := t.Jobs[o.Job]
	if parent == nil {
		return refuse(ErrNoJob, "submit job %s from job %s", c.Job, o.Job)
	}
	if r := parent.Catalog.Record(o.Checkpoint); !o.Copy && (r == nil || r.Metadata != o.Object) {
		return refuse(ErrNoCheckpoint, "submit job %s from checkpoint %d of job %s", c.Job, o.Checkpoint, o.Job)
	}
	if s := parent.Savepoint(o.Checkpoint); o.Copy && (s == nil || s.Status != SavepointCompleted || s.Metadata != o.Object) {
		return refuse(ErrNoSavepoint, "submit job %s from savepoint %d of job %s", c.Job, o.Checkpoint, o.Job)
	}
	return t.checkClaims(c, parent)
}

// checkClaims: what one job owns, no other starts from; and one that others need,
// or whose job may still run, is nobody's to own.
func (t *transition) checkClaims(c *SubmitJob, parent *Job) error {
	o := c.Origin
	for _, id := range t.NeededBy(o.Job, o.Checkpoint) {
		if o.Claim || t.Jobs[id].Origin.Claim {
			return refuse(ErrCheckpointNeeded, "submit job %s from checkpoint %d of job %s: job %s starts from it, and one of them claims it",
				c.Job, o.Checkpoint, o.Job, id)
		}
	}
	if o.Claim && !parent.Status.Terminal() && o.Savepoint == "" {
		return refuse(ErrNotEnded, "claim checkpoint %d of job %s: it is %s", o.Checkpoint, o.Job, parent.Status)
	}
	return nil
}

// checkPathClaims is checkClaims for what is no job's of this cluster: one that claims it deletes
// it, and others may still be reading.
func (t *transition) checkPathClaims(c *SubmitJob) error {
	o := c.Origin
	for _, id := range t.neededByPath(o.Object) {
		if o.Claim || t.Jobs[id].Origin.Claim {
			return refuse(ErrCheckpointNeeded, "submit job %s from %s: job %s starts from it, and one of them claims it", c.Job, o.Object.Key, id)
		}
	}
	return nil
}

// beginOrigin has the parent keep what the new job starts from. It was checked.
func (t *transition) beginOrigin(j *Job, o *Origin) {
	j.Origin, j.Catalog = o, catalog.NewWithin(o.Own)
	if !o.ByReference() {
		return
	}
	parent := *t.Jobs[o.Job]
	parent.Catalog, _ = parent.Catalog.Hold(o.Checkpoint, holdOfJob(j.ID))
	t.put(&parent)
}

// checkForeign refuses a checkpoint that names another job's objects, unless the
// parent keeps them for this one.
func (t *transition) checkForeign(j *Job, c *CompleteCheckpoint) error {
	foreign := j.Catalog.Foreign(c.Objects)
	if len(foreign) == 0 {
		return nil
	}
	if o := j.Origin; o.ByReference() && !o.Released {
		if r := t.Jobs[o.Job].Catalog.Record(o.Checkpoint); r != nil && r.Covers(foreign) {
			return nil
		}
	}
	return refuse(ErrInvalid, "complete checkpoint %d of job %s: %s%d..%d is another job's and not kept for it",
		c.ID, j.ID, foreign[0].Prefix, foreign[0].Lo, foreign[0].Hi)
}

// settleOrigin lets go of what the job started from as soon as nothing of it is
// needed. It runs after every entry that concerns the job, so no entry has to think
// of it. A parent may thereby need its own parent's objects no more, and so on.
func (t *transition) settleOrigin(id dataflow.JobID) {
	j := t.Jobs[id]
	if j == nil || j.Origin == nil || j.Origin.Released {
		return
	}
	next, o := *j, *j.Origin
	next.TookOver = j.TookOver || j.Catalog.Newest() != nil
	if j.needsOrigin() {
		if next.TookOver != j.TookOver {
			t.put(&next)
		}
		return
	}
	o.Released = true
	if next.TookOver = next.TookOver || j.savepointStands(); next.TookOver {
		o.Release = o.due() // a job that came to nothing has not taken it over
	}
	next.Origin = &o
	t.put(&next)
	t.emit(Event{Type: EventOriginReleased, Job: id, Checkpoint: o.Checkpoint, Detail: string(o.Job)})
	if o.ByReference() {
		t.letGo(&next, &o)
		t.settleOrigin(o.Job)
	}
}

// letGo ends the child's hold on its parent's record, and the record with it if the
// child has taken it over.
func (t *transition) letGo(child *Job, o *Origin) {
	parent := *t.Jobs[o.Job]
	parent.Catalog, _ = parent.Catalog.Unhold(o.Checkpoint, holdOfJob(child.ID), parent.Options.Retained)
	if o.Claim && o.Savepoint == "" && child.TookOver {
		if next, _, err := parent.Catalog.Delete(o.Checkpoint, !parent.Status.Terminal()); err == nil {
			parent.Catalog = next
			t.emit(Event{Type: EventCheckpointDeleted, Job: parent.ID, Checkpoint: o.Checkpoint})
		}
	}
	if !parent.current(parent.attempt()) {
		parent.Catalog, _ = parent.Catalog.LetGo() // a savepoint that was disposed of meanwhile
	}
	if parent.Status == Cancelled {
		t.deleteOnCancel(&parent) // what it kept for the child alone
	}
	t.put(&parent)
}

func (t *transition) releaseOrigin(j *Job) any {
	if j.Origin == nil {
		return refuse(ErrInvalid, "release the origin of job %s: it has none", j.ID)
	}
	if j.Origin.Release != "" {
		o := *j.Origin
		o.Release = ""
		j.Origin = &o
		t.put(j)
	}
	return nil
}
