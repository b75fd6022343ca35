package task

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/wire"
)

// errEndProcess leaves the loop as ordered.
var errEndProcess = errors.New("end of the process ordered")

// loop takes the agent's orders, one after the other.
func (p *process) loop(ctx context.Context, orders <-chan *wire.TaskOrder) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.overflow:
			return fmt.Errorf("%w: it does not take its messages", ErrAgentLost)
		case order := <-orders:
			if err := p.obey(ctx, order); errors.Is(err, errEndProcess) {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
}

// obey carries out one order. Orders about another attempt than the one that
// runs change nothing: the leader that gives them does not know yet.
func (p *process) obey(ctx context.Context, order *wire.TaskOrder) error {
	switch o := order.Body.(type) {
	case *wire.TaskOrder_Deploy:
		return p.deploy(ctx, o.Deploy)
	case *wire.TaskOrder_Start:
		if e := p.running(o.Start.Attempt); e != nil {
			e.begin(o.Start.Peers)
		}
	case *wire.TaskOrder_Stop:
		return p.stop(o.Stop)
	case *wire.TaskOrder_Trigger:
		if e := p.running(o.Trigger.Attempt); e != nil {
			e.trigger(triggerOf(o.Trigger))
		}
	case *wire.TaskOrder_Outcome:
		if e := p.running(o.Outcome.Attempt); e != nil {
			e.outcome(dataflow.CheckpointID(o.Outcome.Checkpoint), o.Outcome.Kind)
		}
	case *wire.TaskOrder_CommitsKnown:
		if e := p.running(o.CommitsKnown.Attempt); e != nil {
			e.commitsKnown(dataflow.CheckpointID(o.CommitsKnown.Checkpoint))
		}
	case *wire.TaskOrder_SourceTimes:
		if e := p.running(o.SourceTimes.Attempt); e != nil {
			e.alignSources(o.SourceTimes)
		}
	case *wire.TaskOrder_FinishCommits:
		p.finishCommits(ctx, o.FinishCommits)
	case *wire.TaskOrder_WriteSavepoint:
		p.writeSavepoint(ctx, o.WriteSavepoint)
	}
	return nil
}

// running is the execution of this attempt, or nil.
func (p *process) running(attempt uint64) *execution {
	if p.current == nil || p.current.attempt != dataflow.Attempt(attempt) {
		return nil
	}
	return p.current
}

// deploy begins an attempt. It is idempotent: a repeat gets the present status.
func (p *process) deploy(ctx context.Context, d *wire.Deploy) error {
	attempt := dataflow.Attempt(d.Attempt)
	if e := p.running(d.Attempt); e != nil {
		e.repeatStatus()
		return nil
	}
	if attempt <= p.ended {
		p.log.Warn("deployment of an ended attempt refused", "attempt", attempt, "ended", p.ended)
		return nil
	}
	if err := p.end(attempt - 1); err != nil {
		return err
	}
	p.current = newExecution(p, d)
	p.current.start(ctx)
	return nil
}

// end stops the attempts up to and with last, and waits for that.
func (p *process) end(last dataflow.Attempt) error {
	p.ended = max(p.ended, last)
	e := p.current
	if e == nil || e.attempt > last {
		return nil
	}
	e.cancel(errStopped)
	late := time.NewTimer(stopWait)
	defer late.Stop()
	select {
	case <-e.done:
		p.current = nil
		return nil
	case <-late.C:
		return fmt.Errorf("stop attempt %d: %w within %v", e.attempt, errStuck, stopWait)
	}
}

func (p *process) stop(s *wire.Stop) error {
	p.log.Info("stop ordered", "attempt", s.Attempt, "reason", s.Reason, "end_process", s.EndProcess)
	if err := p.end(dataflow.Attempt(s.Attempt)); err != nil {
		return err
	}
	if s.EndProcess {
		return errEndProcess
	}
	return nil
}

// finishCommits commits what a job that runs no more still owes, beside the
// loop. It is idempotent: the agent keeps the CommitDone, so a repeat has
// nothing to do. What can not be finished ends the process, with the reason, and
// the leader asks again.
func (p *process) finishCommits(ctx context.Context, f *wire.FinishCommits) {
	checkpoint := dataflow.CheckpointID(f.Checkpoint)
	if p.finished[checkpoint] {
		return
	}
	p.finished[checkpoint] = true
	p.finishing.Go(func() error {
		err := p.finish(ctx, f)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("finish commits of checkpoint %d: %w", checkpoint, err)
	})
}

func (p *process) finish(ctx context.Context, f *wire.FinishCommits) error {
	restore, err := p.readRestore(ctx, catalog.Object{Key: f.MetadataKey, Size: f.MetadataSize, SHA256: f.MetadataSha256})
	if err != nil {
		return err
	}
	job, attempt := dataflow.JobID(f.Job), dataflow.Attempt(f.Attempt)
	if err := p.driver.finishCommits(ctx, p.program, job, attempt, p.openConnector, restore, p.log); err != nil {
		return err
	}
	p.send(&wire.TaskMessage{Body: &wire.TaskMessage_CommitDone{CommitDone: &wire.CommitDone{
		Job: f.Job, Attempt: f.Attempt, Checkpoint: f.Checkpoint, Process: string(p.id),
	}}})
	return nil
}

// readRestore reads the metadata object of a checkpoint.
func (p *process) readRestore(ctx context.Context, o catalog.Object) (*engine.Restore, error) {
	m, err := p.store.Read(ctx, o)
	if err != nil {
		return nil, &metadataError{o.Key, err}
	}
	return &engine.Restore{Checkpoint: m.Checkpoint, Attempt: m.Attempt, KeyGroups: m.KeyGroups, Processes: m.Processes}, nil
}
