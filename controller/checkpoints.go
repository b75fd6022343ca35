package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/coordinator"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/wire"
)

// metadataTimeout bounds the writing of one metadata object, the store's own
// retries included; the checkpoint then fails and the next one tries again.
const metadataTimeout = 30 * time.Second

// callersIDs is the command version from which on Raft remembers which checkpoint a
// caller's id began. While an older member is being upgraded, only the leader does.
const callersIDs = 3

// triggered answers a person who asked for a checkpoint.
type triggered struct {
	id  dataflow.CheckpointID
	err error
}

// coordinate begins the coordination of an attempt whose subtasks all run: a
// fresh one, or one that this leader took over with its checkpoints in flight.
func (l *leader) coordinate(j *job, record *ledger.Job) {
	if j.coordinating {
		l.reconfigure(j, record)
		return
	}
	j.coordinating, j.options = true, record.Options
	j.coord = coordinator.Adopt(record.Options.WithDefaults(), l.facts(record, j.ranBefore()))
	var processes []dataflow.Incarnation
	for _, p := range j.processes {
		processes = append(processes, p.nonce())
	}
	l.step(j, coordinator.Running{Processes: processes})
	for _, p := range j.processes {
		l.tellCoordinator(j, p)
	}
	l.confirmCommits(j)
	for key := range j.triggers {
		l.step(j, j.requestEvent(key))
	}
}

// tellCoordinator repeats what a process has said. Every event is harmless twice.
func (l *leader) tellCoordinator(j *job, p *process) {
	if !j.coordinating {
		return
	}
	if p.endOfData {
		l.step(j, coordinator.EndOfData{Process: p.nonce()})
	}
	for id, part := range p.acks {
		l.step(j, coordinator.Ack{ID: id, Process: p.nonce(), Part: part})
	}
	for id, d := range p.declines {
		l.step(j, coordinator.Decline{ID: id, Process: p.nonce(), Reason: d.reason, Store: d.store})
	}
	if p.behind {
		l.step(j, coordinator.Lagging{Process: p.nonce(), Behind: true})
	}
	l.tellVolume(j, p)
}

// step gives the job's coordinator one event and carries out what it decides.
func (l *leader) step(j *job, e coordinator.Event) {
	if !j.coordinating {
		return
	}
	var actions []coordinator.Action
	j.coord, actions = j.coord.Step(l.sinceBegan(), e)
	for _, a := range actions {
		l.act(j, a)
	}
	l.agenda.cancel(j.tick)
	if at, ok := j.coord.Next(); ok && j.coordinating {
		j.tick = l.agenda.after(at-l.sinceBegan(), func() { l.step(j, coordinator.Tick{}) })
	}
}

func (l *leader) stopCoordinating(j *job) {
	l.step(j, coordinator.AttemptOver{})
	l.agenda.cancel(j.tick)
	j.coordinating = false
}

func (l *leader) act(j *job, a coordinator.Action) {
	switch a := a.(type) {
	case coordinator.ProposeBegin:
		if a.Savepoint != nil {
			l.beginSavepoint(j, a)
			return
		}
		l.beginCheckpoint(j, a)
	case coordinator.SendTrigger:
		for _, p := range j.processes {
			l.sendTrigger(j, p, a)
		}
		if a.Savepoint != nil {
			l.passed(StepSavepointTriggered)
		}
	case coordinator.Complete:
		l.completeCheckpoint(j, a)
	case coordinator.ProposeAbort:
		l.abortCheckpoint(j, a)
	case coordinator.FailJob:
		if record := l.record(j.id); record != nil && !j.proposing {
			l.fail(j, record, a.Reason, "", time.Now())
		}
		j.coordinating = false // it does nothing any more; drive finds out what is to be done
	case coordinator.FinishJob:
		cmd := &ledger.FinishJob{Header: l.header(""), Job: j.id, Attempt: j.attempt}
		j.coordinating = false // as above, should the entry be refused
		l.proposeFor(j, cmd, "finish job", func(any) { l.jobLog(j).Info("all data processed") })
	case coordinator.RefuseRequest:
		l.answerTriggers(j, []string{a.Key}, triggered{err: fmt.Errorf("checkpoint: %s: %w", a.Reason, ledger.ErrNotRunning)})
	case coordinator.ReportLate:
		l.jobLog(j).Debug("late message", "checkpoint", a.ID, "process", a.Process, "what", a.What)
	}
}

// proposeStep proposes cmd and, if the attempt is still coordinated by then,
// gives the coordinator the event that next makes of the outcome.
func (l *leader) proposeStep(j *job, cmd ledger.Command, next func(result any, err error) coordinator.Event) {
	attempt := j.attempt
	l.propose(cmd, func(result any, err error) {
		e := next(result, err)
		if j.attempt == attempt && e != nil {
			l.step(j, e)
		}
	})
}

// beginCheckpoint opens a checkpoint in Raft. Its id comes from there.
func (l *leader) beginCheckpoint(j *job, a coordinator.ProposeBegin) {
	cmd := &ledger.BeginCheckpoint{Header: l.header(freshKey()), Job: j.id, Attempt: j.attempt, Trigger: string(a.Trigger)}
	if l.commonVersion() >= callersIDs {
		cmd.Triggers = a.Keys
	}
	l.proposeStep(j, cmd, func(result any, err error) coordinator.Event {
		if err != nil {
			l.jobLog(j).Warn("begin checkpoint", "err", err)
			l.answerTriggers(j, a.Keys, triggered{err: err})
			return coordinator.BeginRefused{}
		}
		id := result.(dataflow.CheckpointID)
		l.answerTriggers(j, a.Keys, triggered{id: id})
		return coordinator.Began{ID: id, Trigger: a.Trigger}
	})
}

// answerTriggers tells those who asked. Their channels have room for one answer.
func (l *leader) answerTriggers(j *job, keys []string, t triggered) {
	for _, key := range keys {
		for _, to := range j.triggers[key] {
			to <- t
		}
		delete(j.triggers, key)
		delete(j.wishes, key)
	}
}

func (l *leader) sendTrigger(j *job, p *process, a coordinator.SendTrigger) {
	t := &wire.Trigger{
		Job: string(j.id), Attempt: uint64(j.attempt), Checkpoint: uint64(a.ID), AtUnixMs: l.begunAt(j, a.ID).UnixMilli(),
		Mode: barrierMode(a), AlignedTimeoutMs: a.Options.Checkpoint.AlignedTimeout.Milliseconds(), Afterwards: afterwards(a.Savepoint),
	}
	l.order(p.worker, p.incarnation, &wire.LeaderMessage{Body: &wire.LeaderMessage_Trigger{Trigger: t}})
}

// completeCheckpoint writes the metadata object and then has Raft complete the
// checkpoint: the entry, not the object, is the commit point. The object's
// name holds term and hash, so that two leaders never write one name.
func (l *leader) completeCheckpoint(j *job, a coordinator.Complete) {
	cmd := &ledger.CompleteCheckpoint{Job: j.id, Attempt: j.attempt, ID: a.ID}
	meta, err := l.metadataOf(j, a)
	if err != nil {
		l.step(j, coordinator.CompleteFailed{ID: a.ID, Reason: err.Error()})
		return
	}
	begun := l.begunAt(j, a.ID)
	attempt := j.attempt
	l.beside(func(ctx context.Context) func() {
		started := time.Now()
		result, err := l.writeAndCommit(ctx, cmd, meta, begun)
		if l.termIsOver(ctx, err) {
			return nil
		}
		return func() {
			l.checkpointCompleted(j, attempt, cmd, result, err, time.Since(started))
		}
	})
}

// begunAt is when the checkpoint began, by its leader's clock.
func (l *leader) begunAt(j *job, id dataflow.CheckpointID) time.Time {
	if record := l.record(j.id); record != nil {
		for _, p := range record.Pending {
			if p.ID == id {
				return time.UnixMilli(p.At)
			}
		}
	}
	return time.Now()
}

// checkpointCompleted takes the outcome of a completion that was tried.
func (l *leader) checkpointCompleted(j *job, attempt dataflow.Attempt, cmd *ledger.CompleteCheckpoint, result any, err error, took time.Duration) {
	log := l.log.With("job", j.id, "attempt", attempt, "checkpoint", cmd.ID)
	if err != nil {
		log.Warn("complete checkpoint", "err", err)
		l.metrics.checkpointsFailed.Inc()
		if j.attempt == attempt {
			l.step(j, coordinator.CompleteFailed{ID: cmd.ID, Reason: err.Error(), Store: errors.Is(err, errStoreAway)})
		}
		return
	}
	completed := result.(*ledger.Completed)
	l.metrics.checkpointsCompleted.Inc()
	l.metrics.checkpointSeconds.Observe(float64(cmd.Stats.Duration) / 1e6)
	log.Debug("checkpoint completed", "metadata_and_commit", took, "subsumed", completed.Subsumed)
	l.wakeCollector()
	if j.attempt != attempt {
		return
	}
	l.tellCompleted(j, cmd.ID)
	if l.savepointOf(j.id, cmd.ID) != nil {
		l.keepSavepoints()
	}
	if record := l.record(j.id); record != nil && (record.Status.Ending() || record.Status == ledger.Restarting) { // a savepoint stopped it, or swapped its program
		l.drive(j)
		return
	} else if record != nil {
		l.upgradeOn(j, record)
	}
	for _, id := range completed.Aborted {
		l.step(j, coordinator.Aborted{ID: id})
	}
	l.step(j, coordinator.Completed{ID: cmd.ID})
}

// settle forgets what the process said of checkpoints whose outcome is known:
// a completion settles every lower one too.
func (p *process) settle(upTo dataflow.CheckpointID) {
	for id := range p.acks {
		if id <= upTo {
			delete(p.acks, id)
		}
	}
	for id := range p.declines {
		if id <= upTo {
			delete(p.declines, id)
		}
	}
}

// abortCheckpoint has Raft record that a checkpoint will not complete.
func (l *leader) abortCheckpoint(j *job, a coordinator.ProposeAbort) {
	cmd := &ledger.AbortCheckpoint{
		Header: l.header(""), Job: j.id, Attempt: j.attempt, ID: a.ID, Reason: a.Reason, FailuresInRow: a.FailuresInRow,
	}
	l.metrics.checkpointsFailed.Inc()
	l.proposeStep(j, cmd, func(_ any, err error) coordinator.Event {
		if err != nil && !errors.Is(err, ledger.ErrNotPending) {
			l.jobLog(j).Warn("abort checkpoint", "checkpoint", a.ID, "err", err)
		}
		l.jobLog(j).Warn("checkpoint aborted", "checkpoint", a.ID, "reason", a.Reason)
		if l.savepointOf(j.id, a.ID) != nil {
			l.passed(StepSavepointFailed)
		}
		for _, p := range j.processes {
			l.sendOutcome(j, p, a.ID, wire.OutcomeKind_OUTCOME_KIND_ABORTED, a.Reason)
			delete(p.acks, a.ID)
			delete(p.declines, a.ID)
		}
		return coordinator.Aborted{ID: a.ID}
	})
}

func (l *leader) sendOutcome(j *job, p *process, id dataflow.CheckpointID, kind wire.OutcomeKind, reason string) {
	l.order(p.worker, p.incarnation, &wire.LeaderMessage{Body: &wire.LeaderMessage_Outcome{Outcome: &wire.Outcome{
		Job: string(j.id), Attempt: uint64(j.attempt), Checkpoint: uint64(id), Kind: kind, Reason: reason,
	}}})
}

func parsePart(ack *wire.CheckpointAck) (*snapshot.Process, error) {
	part := &snapshot.Process{}
	return part, json.Unmarshal(ack.Snapshot, part)
}
