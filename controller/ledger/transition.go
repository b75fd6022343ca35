package ledger

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/ha"
)

// transition is the application of one entry. Its methods either change the
// state and say so in events, or return a refusal and change nothing.
type transition struct {
	*State
	entry  ha.Entry
	header *Header
	events []Event
}

// run checks what every command must pass, and applies it.
//
// A stale command does not even move the clock, and its key is not remembered:
// the same wish under the present leader is another matter.
func (t *transition) run(c Command) any {
	t.Index = t.entry.Index
	if uint64(t.header.Term) != t.entry.Term {
		return refuse(ErrStaleTerm, "proposed in term %d, committed in term %d", t.header.Term, t.entry.Term)
	}
	t.Now = max(t.Now, t.header.At)
	if t.header.Key == "" {
		return t.apply(c)
	}
	if len(t.header.Key) > KeyMax {
		return refuse(ErrInvalid, "idempotency key of %d bytes", len(t.header.Key))
	}
	key := keyOf(c)
	if first, found := t.keys.get(key); found {
		return first.result(t.State)
	}
	result := t.apply(c)
	t.keys.add(remember(key, result))
	return result
}

// keyOf is what a command is remembered by. Callers choose keys for one job and use them for the
// next one too, so the job is part of it; in the commands of older versions it is not, since what
// stands in older snapshots must be found again.
func keyOf(c Command) string {
	if k := kindOf(c); k < kindSetOptions {
		return fmt.Sprintf("%d/%s", k, c.header().Key)
	}
	return fmt.Sprintf("%d/%s/%s", kindOf(c), jobOf(c), c.header().Key)
}

func (t *transition) apply(c Command) any {
	switch c := c.(type) {
	case *LeaderEstablished:
		return t.leaderEstablished(c)
	case *AnnounceController:
		return t.announceController(c)
	case *RegisterWorker:
		return t.registerWorker(c)
	case *EndWorker:
		return t.endWorker(c)
	case *SubmitJob:
		return t.submitJob(c)
	}
	return t.applyToJob(c)
}

// applyToJob applies the commands that concern one job which must exist.
func (t *transition) applyToJob(c Command) any {
	j, err := t.job(jobOf(c))
	if err != nil {
		return err
	}
	result := t.applyTo(j, c)
	t.settleOrigin(j.ID)
	return result
}

func (t *transition) applyTo(j *Job, c Command) any {
	switch c := c.(type) {
	case *StartAttempt:
		return t.startAttempt(j, c)
	case *FailAttempt:
		return t.failAttempt(j, c)
	case *AttemptRunning:
		return t.attemptRunning(j, c)
	case *BeginCheckpoint:
		return t.beginCheckpoint(j, c)
	case *CompleteCheckpoint:
		return t.completeCheckpoint(j, c)
	case *AbortCheckpoint:
		return t.abortCheckpoint(j, c)
	case *ConfirmCommits:
		return t.confirmCommits(j, c)
	case *FinishJob:
		return t.finishJob(j, c)
	case *CancelJob:
		return t.cancelJob(j)
	case *DeleteCheckpoint:
		return t.deleteCheckpoint(j, c)
	case *ForgetGarbage:
		return t.forgetGarbage(j, c)
	case *SuspendJob:
		return t.suspendJob(j, c)
	case *ResumeJob:
		return t.resumeJob(j, c)
	case *SetOptions:
		return t.setOptions(j, c)
	case *PinCheckpoint:
		return t.pinCheckpoint(j, c)
	case *BeginSavepoint:
		return t.beginSavepoint(j, c)
	case *FinishSavepoint:
		return t.finishSavepoint(j, c)
	case *DisposeSavepoint:
		return t.disposeSavepoint(j, c)
	case *BeginUpgrade:
		return t.beginUpgrade(j, c)
	case *EndUpgrade:
		return t.endUpgrade(j, c)
	case *ReleaseOrigin:
		return t.releaseOrigin(j)
	}
	panic(fmt.Sprintf("ledger: %T is not applied", c)) // Decode made it: it is one of the kinds
}

func jobOf(c Command) dataflow.JobID {
	switch c := c.(type) {
	case *StartAttempt:
		return c.Job
	case *FailAttempt:
		return c.Job
	case *AttemptRunning:
		return c.Job
	case *BeginCheckpoint:
		return c.Job
	case *CompleteCheckpoint:
		return c.Job
	case *AbortCheckpoint:
		return c.Job
	case *ConfirmCommits:
		return c.Job
	case *FinishJob:
		return c.Job
	case *CancelJob:
		return c.Job
	case *DeleteCheckpoint:
		return c.Job
	case *ForgetGarbage:
		return c.Job
	case *SuspendJob:
		return c.Job
	case *ResumeJob:
		return c.Job
	case *SetOptions:
		return c.Job
	case *PinCheckpoint:
		return c.Job
	case *BeginSavepoint:
		return c.Job
	case *FinishSavepoint:
		return c.Job
	case *DisposeSavepoint:
		return c.Job
	case *BeginUpgrade:
		return c.Job
	case *EndUpgrade:
		return c.Job
	case *ReleaseOrigin:
		return c.Job
	}
	return ""
}

// job returns a copy of the job to change; put makes it the job.
func (t *transition) job(id dataflow.JobID) (*Job, error) {
	j := t.Jobs[id]
	if j == nil {
		return nil, refuse(ErrNoJob, "job %s", id)
	}
	next := *j
	return &next, nil
}

// put publishes a changed copy. Nobody writes to it from here on.
func (t *transition) put(j *Job) *Job {
	t.Jobs[j.ID] = j
	return j
}

// emit notes an event; what all events share is filled in.
func (t *transition) emit(e Event) {
	e.Index, e.Term, e.At = t.entry.Index, t.entry.Term, t.Now
	t.events = append(t.events, e)
}

// bounded cuts a text from outside to at most max bytes, between characters.
func bounded(s string, max int) string {
	if len(s) > max {
		for max > 0 && !utf8.RuneStart(s[max]) {
			max--
		}
		s = s[:max]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
