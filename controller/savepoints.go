package controller

import (
	"fmt"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/coordinator"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// The taking of savepoints: from somebody's wish to the outcome of the checkpoint.
// What follows is in savepoints_write.go and savepoints_dispose.go.
//
// Every step is an entry or is found again in what entries left: a new leader
// triggers the pending checkpoint again, orders the writing of what is writing, and
// deletes the folder of what is disposing.

// wishOf is the wish that a savepoint in Raft came from.
func wishOf(s *ledger.Savepoint) *coordinator.SavepointWish {
	if s == nil {
		return nil
	}
	return &coordinator.SavepointWish{
		Format: s.Format, Directory: s.Directory, Trigger: s.Trigger, Stop: s.Stop, Drain: s.Drain, Cancel: s.Cancel,
	}
}

// requestEvent is what the coordinator is told of a request that waits.
func (j *job) requestEvent(key string) coordinator.Event {
	if wish, ok := j.wishes[key]; ok {
		return coordinator.RequestedSavepoint{Key: key, Savepoint: wish}
	}
	return coordinator.Requested{Key: key}
}

// requestSavepoint asks for a savepoint; answer gets its id when it has begun.
func (l *leader) requestSavepoint(id dataflow.JobID, key string, wish coordinator.SavepointWish, answer chan<- triggered) error {
	j := l.jobs[id]
	if j == nil {
		return fmt.Errorf("job %s: %w", id, ledger.ErrNotRunning)
	}
	if known, ok := j.wishes[key]; ok && known != wish {
		return fmt.Errorf("key %q is of another savepoint that waits: %w", key, errInvalid)
	}
	j.triggers[key] = append(j.triggers[key], answer)
	j.wishes[key] = wish
	l.step(j, coordinator.RequestedSavepoint{Key: key, Savepoint: wish}) // later, if the job is just being taken over
	return nil
}

// beginSavepoint opens a savepoint's checkpoint in Raft. The request's key is the
// command's: under whichever leader it is repeated, Raft knows the first.
func (l *leader) beginSavepoint(j *job, a coordinator.ProposeBegin) {
	w := a.Savepoint
	cmd := &ledger.BeginSavepoint{
		Header: l.header(a.Keys[0]), Job: j.id, Attempt: j.attempt,
		Format: w.Format, Directory: w.Directory, Trigger: w.Trigger, Stop: w.Stop, Drain: w.Drain, Cancel: w.Cancel,
	}
	l.proposeStep(j, cmd, func(result any, err error) coordinator.Event {
		if err != nil {
			l.jobLog(j).Warn("begin savepoint", "err", err)
			l.answerTriggers(j, a.Keys, triggered{err: err})
			return coordinator.BeginRefused{}
		}
		l.passed(StepSavepointBegun)
		id := result.(dataflow.CheckpointID)
		l.answerTriggers(j, a.Keys, triggered{id: id})
		if !isPending(l.record(j.id), id) { // the answer to an earlier wish of this key
			return coordinator.BeginRefused{}
		}
		l.jobLog(j).Info("savepoint begun", "savepoint", id, "trigger", w.Trigger, "format", w.Format)
		return coordinator.Began{ID: id, Trigger: a.Trigger}
	})
}

func isPending(record *ledger.Job, id dataflow.CheckpointID) bool {
	if record == nil {
		return false
	}
	for _, p := range record.Pending {
		if p.ID == id {
			return true
		}
	}
	return false
}

// savepointOf is the job's savepoint of this id in Raft, or nil.
func (l *leader) savepointOf(job dataflow.JobID, id dataflow.CheckpointID) *ledger.Savepoint {
	if record := l.record(job); record != nil {
		return record.Savepoint(id)
	}
	return nil
}

// completedOutcome is what a checkpoint's completion means for the processes: sinks
// do not commit up to a savepoint from which the job goes on.
func completedOutcome(s *ledger.Savepoint) wire.OutcomeKind {
	if s != nil && !s.Stop {
		return wire.OutcomeKind_OUTCOME_KIND_SAVEPOINT
	}
	return wire.OutcomeKind_OUTCOME_KIND_COMPLETED
}

// tellCompleted tells the processes of an attempt that a checkpoint is complete. Those of
// a job that was cancelled with it are ended instead: any worker commits what is owed.
func (l *leader) tellCompleted(j *job, id dataflow.CheckpointID) {
	s := l.savepointOf(j.id, id)
	if s != nil {
		l.passed(StepSavepointComplete)
	}
	for _, p := range j.processes {
		if s == nil || !s.Cancel {
			l.sendOutcome(j, p, id, completedOutcome(s), "")
		}
		if s == nil || s.Stop {
			p.settle(id)
		} else {
			delete(p.acks, id)
			delete(p.declines, id)
		}
	}
	if s != nil {
		l.passed(StepSavepointOutcome)
	}
}

// repeatSavepoints says again to a process what may have been lost with a leader or
// a session: that a savepoint was taken, or that one that was to stop the job
// failed, for which its sources may still wait.
func (l *leader) repeatSavepoints(j *job, p *process, record *ledger.Job) {
	for _, s := range record.Savepoints {
		switch {
		case s.Status == ledger.SavepointTaking:
		case s.Status == ledger.SavepointFailed && s.Stop && s.Metadata.Key == "":
			l.sendOutcome(j, p, s.ID, wire.OutcomeKind_OUTCOME_KIND_ABORTED, s.Reason)
			delete(p.acks, s.ID)
		case p.acks[s.ID] != nil && s.Status != ledger.SavepointFailed:
			l.sendOutcome(j, p, s.ID, completedOutcome(&s), "")
			delete(p.acks, s.ID)
		}
	}
}

// commitTip is the checkpoint up to which the processes' sinks may commit: the newest,
// or the savepoint that stopped the job; nil if there is none.
func commitTip(record *ledger.Job) (id dataflow.CheckpointID, attempt dataflow.Attempt) {
	if newest := record.Catalog.Newest(); newest != nil {
		id, attempt = newest.ID, newest.Attempt
	}
	for _, s := range record.Savepoints {
		if r := record.Catalog.Record(s.ID); r != nil && s.Stop && r.ID > id {
			id, attempt = r.ID, r.Attempt
		}
	}
	return id, attempt
}
