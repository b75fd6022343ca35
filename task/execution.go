package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"sync"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/exchange"
	"github.com/cairnstream/cairn/wire"
)

// execution is one attempt in this process.
type execution struct {
	process *process
	order   *wire.Deploy
	attempt dataflow.Attempt
	log     *slog.Logger

	cancel context.CancelCauseFunc
	peers  chan []*wire.Peer // capacity 1: the Start order
	done   chan struct{}     // closed when nothing of the attempt runs any more

	mu     sync.Mutex
	status *wire.ProcessStatus
	open   attempt // nil until it is open
	acks   map[dataflow.CheckpointID]*wire.CheckpointAck
}

func newExecution(p *process, d *wire.Deploy) *execution {
	a := dataflow.Attempt(d.Attempt)
	return &execution{
		process: p, order: d, attempt: a, log: p.log.With("attempt", a),
		peers: make(chan []*wire.Peer, 1), done: make(chan struct{}),
		status: &wire.ProcessStatus{Job: d.Job, Attempt: d.Attempt, Process: string(p.id), Pid: int32(os.Getpid())},
		acks:   map[dataflow.CheckpointID]*wire.CheckpointAck{},
	}
}

// start runs the attempt on a goroutine of its own, which closes done.
func (e *execution) start(ctx context.Context) {
	ctx, e.cancel = context.WithCancelCause(ctx)
	e.report(func(s *wire.ProcessStatus) { s.State = wire.ProcessState_PROCESS_STATE_RESTORING })
	go func() {
		defer close(e.done)
		err := e.host(ctx)
		e.over(err, errors.Is(context.Cause(ctx), errStopped))
		e.cancel(nil)
	}()
}

// host is the attempt's life, from restore to end.
func (e *execution) host(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = engine.NewPanicError(r)
		}
	}()
	cfg, plan, err := e.configure()
	if err != nil {
		return err
	}
	peers := newDirectory(plan, e.order.Placements)
	network, err := exchange.NewNetwork(e.process.server, e.attempt, peers.resolve)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, network.Close()) }()
	cfg.Network = network
	restore, closeBucket, err := e.restore(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeBucket()) }()
	cfg.Restore = restore
	running, err := e.process.driver.open(ctx, e.process.program, cfg)
	if err != nil {
		return fmt.Errorf("open attempt %d: %w", e.attempt, err)
	}
	e.deployed(running, cfg.Subtasks)
	select {
	case addresses := <-e.peers:
		peers.set(addresses)
		e.report(func(s *wire.ProcessStatus) { s.State = wire.ProcessState_PROCESS_STATE_RUNNING })
		return e.run(ctx, running)
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), running.Close())
	}
}

// run runs the engine, and tells the agent of it again and again.
func (e *execution) run(ctx context.Context, running attempt) error {
	stop := make(chan struct{})
	var sampling sync.WaitGroup
	defer sampling.Wait()
	defer close(stop)
	sampling.Go(func() { e.sample(stop, running) })
	sampling.Go(func() { e.tellSourceTimes(stop, running) })
	err := running.Run(ctx)
	if err == nil && ctx.Err() == nil {
		return errors.New("the attempt ended without being told to")
	}
	return err
}

// begin lets records flow. Only the first Start of an attempt counts.
func (e *execution) begin(peers []*wire.Peer) {
	select {
	case e.peers <- peers:
	default:
	}
}

// opened is the engine's attempt, or nil.
func (e *execution) opened() attempt {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.open
}

// trigger begins a checkpoint. A new leader repeats triggers: what is
// acknowledged already is acknowledged again, the rest is the engine's to ignore.
func (e *execution) trigger(t engine.Trigger) {
	e.mu.Lock()
	ack, running := e.acks[t.ID], e.open
	e.mu.Unlock()
	switch {
	case ack != nil:
		e.process.send(&wire.TaskMessage{Body: &wire.TaskMessage_Ack{Ack: ack}})
	case running != nil:
		running.Trigger(t)
	}
}

// outcome settles a checkpoint; Completed settles the lower ones too.
func (e *execution) outcome(id dataflow.CheckpointID, kind wire.OutcomeKind) {
	completed := kind == wire.OutcomeKind_OUTCOME_KIND_COMPLETED
	e.mu.Lock()
	maps.DeleteFunc(e.acks, func(k dataflow.CheckpointID, _ *wire.CheckpointAck) bool {
		return k == id || completed && k < id
	})
	e.mu.Unlock()
	running := e.opened()
	switch {
	case running == nil:
	case completed:
		running.Completed(id)
	case kind == wire.OutcomeKind_OUTCOME_KIND_ABORTED:
		running.Aborted(id)
	case kind == wire.OutcomeKind_OUTCOME_KIND_SAVEPOINT:
		running.SavepointTaken(id)
	}
}

func (e *execution) commitsKnown(id dataflow.CheckpointID) {
	if running := e.opened(); running != nil {
		running.CommitsKnown(id)
	}
}
