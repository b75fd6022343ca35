package ledger

import (
	"fmt"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
)

// What concerns a job's life and its attempts.

func (t *transition) submitJob(c *SubmitJob) any {
	if c.Job == "" {
		return refuse(ErrInvalid, "submit a job without an id")
	}
	if t.Jobs[c.Job] != nil {
		return refuse(ErrJobExists, "job %s", c.Job)
	}
	if c.Origin != nil {
		if err := t.checkOrigin(c); err != nil {
			return err
		}
	}
	j := &Job{
		ID: c.Job, Name: c.Name, Artifact: c.Artifact, Args: c.Args, Graph: c.Graph,
		Options: c.Options, Platform: c.Platform, Parallelism: c.Parallelism,
		Status: Created, SubmittedAt: t.Now, NextCheckpoint: 1, Catalog: catalog.New(),
	}
	if c.Origin != nil {
		t.beginOrigin(j, c.Origin)
	}
	t.emit(Event{Type: EventJobSubmitted, Job: c.Job, Detail: c.Name})
	return t.put(j)
}

func (t *transition) startAttempt(j *Job, c *StartAttempt) any {
	if !j.Status.Active() {
		return refuse(ErrJobEnded, "start an attempt of job %s: it is %s", j.ID, j.Status)
	}
	if c.After != j.attempt() {
		return refuse(ErrStaleAttempt, "start an attempt of job %s after %d: it is at %d", j.ID, c.After, j.attempt())
	}
	if err := t.checkPlacement(c); err != nil {
		return err
	}
	next := c.After + 1
	t.endAttempt(j, fmt.Sprintf("attempt %d took its place", next))
	j.Execution = &Execution{Attempt: next, Placement: c.Placement, StartedAt: t.Now}
	if r := j.Catalog.Newest(); r != nil {
		j.Execution.Restore, j.Execution.Metadata = r.ID, r.Metadata
		j.Catalog, _ = j.Catalog.Hold(r.ID, holdOf(next)) // it is there
	} else if j.Origin != nil {
		j.Execution.Origin, j.Execution.Metadata = true, j.Origin.Object
	}
	if next > 1 {
		j.Restarts++
	}
	j.NotBefore, j.CheckpointFails = 0, 0
	t.emit(Event{Type: EventAttemptStarted, Job: j.ID, Attempt: next, Checkpoint: j.Execution.Restore})
	t.setStatus(j, Deploying)
	return t.put(j).Execution
}

func (t *transition) checkPlacement(c *StartAttempt) error {
	if len(c.Placement) == 0 {
		return refuse(ErrInvalid, "start an attempt of job %s: nothing is placed", c.Job)
	}
	placed := make(map[dataflow.TaskID]bool, len(c.Placement))
	for _, p := range c.Placement {
		if placed[p.Task] {
			return refuse(ErrInvalid, "start an attempt of job %s: task %s is placed twice", c.Job, p.Task)
		}
		placed[p.Task] = true
		if !t.Live(p.Worker, p.Incarnation) {
			return refuse(ErrEndedIncarnation, "start an attempt of job %s: worker %s incarnation %s is not live", c.Job, p.Worker, p.Incarnation)
		}
	}
	return nil
}

func (t *transition) attemptRunning(j *Job, c *AttemptRunning) any {
	if !j.current(c.Attempt) {
		return refuse(ErrStaleAttempt, "attempt %d of job %s runs: it is at %d", c.Attempt, j.ID, j.attempt())
	}
	if j.Status != Deploying {
		return t.Jobs[j.ID]
	}
	j.RunningSince, j.Damaged = t.Now, nil // whatever was damaged, this restore did not need it, or it is whole again
	t.emit(Event{Type: EventAttemptRunning, Job: j.ID, Attempt: c.Attempt})
	t.setStatus(j, Running)
	return t.put(j)
}

// failAttempt also serves a job that has none yet (attempt 0) and can not get
// one, and a job that is finishing, whose processes may fail while they commit:
// it only loses them.
func (t *transition) failAttempt(j *Job, c *FailAttempt) any {
	if c.Attempt > j.attempt() {
		return refuse(ErrStaleAttempt, "fail attempt %d of job %s: it is at %d", c.Attempt, j.ID, j.attempt())
	}
	repeated := j.Status == Restarting && !c.Final
	if c.Attempt < j.attempt() || repeated || !j.Status.Active() && !j.current(c.Attempt) {
		return t.Jobs[j.ID]
	}
	reason := bounded(c.Reason, reasonMax)
	t.endAttempt(j, fmt.Sprintf("attempt %d failed", c.Attempt))
	j.Failures = appendBounded(j.Failures, failuresMax, FailureRecord{
		At: t.Now, Attempt: c.Attempt, Reason: reason, Stack: bounded(c.Stack, stackMax),
	})
	t.emit(Event{Type: EventAttemptFailed, Job: j.ID, Attempt: c.Attempt, Detail: reason})
	if j.Status.Active() {
		t.restartOrFail(j, c, reason)
	}
	return t.put(j)
}

func (t *transition) restartOrFail(j *Job, c *FailAttempt, reason string) {
	if t.newProgramFailed(j, c.Attempt, c.Final, reason) {
		j.FailuresInRow, j.NotBefore = 0, 0
		t.setStatus(j, Restarting)
		return
	}
	j.FailuresInRow = c.FailuresInRow
	if c.Final {
		j.Reason = reason
		t.endJob(j, Failing)
		return
	}
	j.NotBefore = c.NotBefore
	t.setStatus(j, Restarting)
}

// finishJob believes no one: the final checkpoint must be the newest complete.
// The attempt goes on, without further checkpoints: its sinks commit in place.
func (t *transition) finishJob(j *Job, c *FinishJob) any {
	if c.Attempt == j.attempt() && (j.Status == Finishing || j.Status == Finished) {
		return t.Jobs[j.ID]
	}
	if !j.Status.Active() {
		return refuse(ErrJobEnded, "finish job %s: it is %s", j.ID, j.Status)
	}
	if !j.current(c.Attempt) {
		return refuse(ErrStaleAttempt, "finish attempt %d of job %s: it is at %d", c.Attempt, j.ID, j.attempt())
	}
	if !j.FinalCompleted() {
		return refuse(ErrNoCheckpoint, "finish job %s: no final checkpoint of attempt %d is complete", j.ID, c.Attempt)
	}
	t.abortPending(j, "the job finished")
	t.endJob(j, Finishing)
	return t.put(j)
}

// cancelJob leaves a job alone that is ending in another way.
func (t *transition) cancelJob(j *Job) any {
	if !j.Status.Active() && j.Status != Suspended {
		return t.Jobs[j.ID]
	}
	t.endAttempt(j, "the job was cancelled")
	t.endJob(j, Cancelling)
	return t.put(j)
}

// ends says which terminal status each way of ending leads to.
var ends = map[Status]Status{Finishing: Finished, Cancelling: Cancelled, Failing: Failed}

// endJob takes a job on its way out, to the end if nothing is owed.
func (t *transition) endJob(j *Job, way Status) {
	j.NotBefore = 0
	t.endsUpgrading(j)
	if j.Catalog.Owed() != nil {
		t.setStatus(j, way)
		return
	}
	t.conclude(j, way)
}

// conclude makes a job terminal.
func (t *transition) conclude(j *Job, way Status) {
	t.endAttempt(j, "the job ended")
	j.Catalog, _ = j.Catalog.LetGo()
	j.EndedAt = t.Now
	if way == Cancelling {
		t.deleteOnCancel(j)
	}
	t.setStatus(j, ends[way])
}

// endAttempt ends the current attempt, if one is left: what its processes still
// say changes nothing, its checkpoints in flight are void, and its restore
// point is as good as any other.
func (t *transition) endAttempt(j *Job, reason string) {
	if j.Execution == nil || j.Execution.Ended {
		return
	}
	e := *j.Execution
	e.Ended = true
	j.Execution, j.RunningSince = &e, 0
	t.abortPending(j, reason)
	t.notSaved(j, reason)
	j.Catalog, _ = j.Catalog.Unhold(e.Restore, holdOf(e.Attempt), j.Options.Retained)
	j.Catalog, _ = j.Catalog.LetGo()
}

func (t *transition) setStatus(j *Job, s Status) {
	j.Status = s
	t.emit(Event{Type: EventJobStatus, Job: j.ID, Attempt: j.attempt(), Detail: string(s)})
}

// attempt is the number of the latest attempt; 0 before the first.
func (j *Job) attempt() dataflow.Attempt {
	if j.Execution == nil {
		return 0
	}
	return j.Execution.Attempt
}

// current tells whether a is the latest attempt and has not ended.
func (j *Job) current(a dataflow.Attempt) bool {
	return j.Execution != nil && j.Execution.Attempt == a && !j.Execution.Ended
}

// holdOf names the hold of an attempt on its restore point.
func holdOf(a dataflow.Attempt) string { return fmt.Sprintf("attempt-%d", a) }

// appendBounded appends v and drops the oldest beyond max. What an earlier value
// of the slice sees is not touched.
func appendBounded[T any](s []T, max int, v T) []T {
	if len(s) >= max {
		s = s[len(s)-max+1:]
	}
	return append(s, v)
}
