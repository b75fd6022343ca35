package task

import (
	"encoding/json"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state/changelog"
	"github.com/cairnstream/cairn/wire"
)

// stackBytesMax bounds a stack in a status: it travels through Raft.
const stackBytesMax = 16 << 10

// report changes the attempt's status and tells the agent.
func (e *execution) report(change func(*wire.ProcessStatus)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(e.status)
	e.sendStatusLocked()
}

// repeatStatus tells the agent once more.
func (e *execution) repeatStatus() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sendStatusLocked()
}

// sendStatusLocked queues a copy, under the lock, so that statuses arrive in
// the order in which they came about.
func (e *execution) sendStatusLocked() {
	status := proto.CloneOf(e.status)
	e.process.send(&wire.TaskMessage{Body: &wire.TaskMessage_Status{Status: status}})
}

// deployed: state is restored, and peers may open their channels.
func (e *execution) deployed(running attempt, subtasks []dataflow.TaskID) {
	e.mu.Lock()
	e.open = running
	e.mu.Unlock()
	e.report(func(s *wire.ProcessStatus) {
		s.State = wire.ProcessState_PROCESS_STATE_DEPLOYED
		s.ExchangeAddress = e.process.server.Address()
		for _, t := range subtasks {
			s.Subtasks = append(s.Subtasks, subtaskOf(t))
		}
	})
}

// over reports how the attempt ended. What an attempt that is over has
// acknowledged is of no use to anyone.
//
// The log gets a panic's stack as it is, since slog would put it into one line,
// and gets it first: the status may have the process ended.
func (e *execution) over(err error, stopped bool) {
	stack := stackOf(err)
	if !stopped && stack != nil {
		if _, err := e.process.stderr.Write(stack); err != nil {
			e.log.Warn("stack not printed", "error", err)
		}
	}
	e.report(func(s *wire.ProcessStatus) {
		e.open, e.acks = nil, nil
		if stopped {
			s.State = wire.ProcessState_PROCESS_STATE_STOPPED
			return
		}
		s.State = wire.ProcessState_PROCESS_STATE_FAILED
		s.Reason, s.Stack = err.Error(), string(stack[:min(len(stack), stackBytesMax)])
		s.Class, s.Object = classOf(err)
	})
	if stopped {
		e.log.Info("attempt stopped")
	} else {
		e.log.Error("attempt failed", "error", err)
	}
}

// stackOf is the stack of the panic that ended an attempt, or nil.
func stackOf(err error) []byte {
	if p := (*engine.PanicError)(nil); errors.As(err, &p) {
		return p.Stack
	}
	return nil
}

var _ engine.Events = (*execution)(nil)

// Acknowledge implements engine.Events.
func (e *execution) Acknowledge(id dataflow.CheckpointID, s *snapshot.Process) {
	data, err := json.Marshal(s)
	if err != nil {
		e.Decline(id, fmt.Errorf("encode the acknowledgement: %w", err))
		return
	}
	ack := &wire.CheckpointAck{Job: e.order.Job, Attempt: e.order.Attempt,
		Checkpoint: uint64(id), Process: string(e.process.id), Snapshot: data}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.acks != nil {
		e.acks[id] = ack
		e.process.send(&wire.TaskMessage{Body: &wire.TaskMessage_Ack{Ack: ack}})
	}
}

// Decline implements engine.Events.
func (e *execution) Decline(id dataflow.CheckpointID, reason error) {
	e.process.send(&wire.TaskMessage{Body: &wire.TaskMessage_Decline{Decline: &wire.CheckpointDecline{
		Job: e.order.Job, Attempt: e.order.Attempt, Checkpoint: uint64(id), Process: string(e.process.id),
		Reason: reason.Error(), Store: errors.Is(reason, changelog.ErrStoreUnavailable),
	}}})
}

// EndOfData implements engine.Events.
func (e *execution) EndOfData() {
	e.report(func(s *wire.ProcessStatus) { s.State = wire.ProcessState_PROCESS_STATE_END_OF_DATA })
}

// Committed implements engine.Events.
func (e *execution) Committed(id dataflow.CheckpointID) {
	e.process.send(&wire.TaskMessage{Body: &wire.TaskMessage_CommitDone{CommitDone: &wire.CommitDone{
		Job: e.order.Job, Attempt: e.order.Attempt, Checkpoint: uint64(id), Process: string(e.process.id),
	}}})
}

// Restoring implements engine.Events.
func (e *execution) Restoring(p engine.RestoreProgress) {
	e.report(func(s *wire.ProcessStatus) {
		s.RestoredBytes, s.RestoreBytes = p.Done, p.Total
		s.RestoredLocalBytes, s.RestoredRemoteBytes = p.Local, p.Remote
		s.RestoreLeftMs = p.Left.Milliseconds()
		if p.Left < 0 {
			s.RestoreLeftMs = -1
		}
	})
}

// Trace implements engine.Events.
func (e *execution) Trace(event engine.TraceEvent) {
	if err := e.process.trace.write(event); err != nil {
		e.log.Warn("trace event lost", "error", err)
	}
}
