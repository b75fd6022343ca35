package controller

import (
	"slices"
	"time"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/coordinator"
	"github.com/cairnstream/cairn/dataflow"
)

// facts are what Raft holds of the current attempt's checkpoints. found tells that
// the attempt ran before this leader began.
func (l *leader) facts(record *ledger.Job, found bool) coordinator.Facts {
	f := coordinator.Facts{Job: record.ID, FailuresInRow: record.CheckpointFails, FinalCompleted: record.FinalCompleted()}
	for _, p := range record.Pending {
		f.Pending = append(f.Pending, coordinator.Pending{
			ID: p.ID, Trigger: coordinator.Trigger(p.Trigger), Savepoint: wishOf(record.Savepoint(p.ID)),
		})
	}
	if found {
		var now int64
		l.ledger.View(func(s *ledger.State) { now = s.Now })
		f.Ages = agesOf(record, now)
	}
	return f
}

// agesOf are the ages of what has happened in the current attempt, at a time of
// Raft's. All of the times are Raft's, which never run backwards: a new leader's
// first entry has brought them up to its own clock.
func agesOf(record *ledger.Job, now int64) *coordinator.Ages {
	age := func(at int64) time.Duration { return time.Duration(max(0, now-at)) * time.Millisecond }
	attempt := attemptOf(record)
	begun, ages := record.RunningSince, &coordinator.Ages{Ended: -1}
	for _, p := range record.Pending {
		if ownTrigger(p.Trigger) {
			begun = max(begun, p.At)
		}
	}
	for _, h := range slices.Backward(record.History) {
		if h.Attempt != attempt {
			break
		}
		if ages.Ended < 0 {
			ages.Ended = age(h.EndedAt)
		}
		if ownTrigger(h.Trigger) {
			begun = max(begun, h.BegunAt)
			break
		}
	}
	ages.Begun = age(begun)
	return ages
}

// ownTrigger tells whether a checkpoint was begun by the clock or by volume.
func ownTrigger(trigger string) bool {
	return trigger == string(coordinator.Periodic) || trigger == string(coordinator.ByVolume)
}

// ranBefore tells whether the attempt ran when this leader found it.
func (j *job) ranBefore() bool { return j.found != 0 && j.found == j.attempt }

// found is the attempt of a job that runs already, or 0.
func found(record *ledger.Job) dataflow.Attempt {
	if record.Status != ledger.Running {
		return 0
	}
	return attemptOf(record)
}
