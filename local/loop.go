package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/coordinator"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state/changelog"
)

// errFinished ends an attempt whose job is done.
var errFinished = errors.New("the job is finished")

// inbox gathers what the engine tells until the loop takes it. It is as short
// as checkpoints are few.
type inbox struct {
	wake  chan struct{}
	trace func(engine.TraceEvent)

	mu        sync.Mutex
	events    []coordinator.Event
	committed dataflow.CheckpointID
	process   dataflow.Incarnation
}

func newInbox(process dataflow.Incarnation, trace func(engine.TraceEvent)) *inbox {
	if trace == nil {
		trace = func(engine.TraceEvent) {}
	}
	return &inbox{wake: make(chan struct{}, 1), process: process, trace: trace}
}

func (b *inbox) put(f func()) {
	b.mu.Lock()
	f()
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Acknowledge implements engine.Events, as do the methods below.
func (b *inbox) Acknowledge(id dataflow.CheckpointID, s *snapshot.Process) {
	b.put(func() { b.events = append(b.events, coordinator.Ack{ID: id, Process: b.process, Part: s}) })
}

func (b *inbox) Decline(id dataflow.CheckpointID, reason error) {
	decline := coordinator.Decline{ID: id, Process: b.process, Reason: reason.Error(), Store: errors.Is(reason, changelog.ErrStoreUnavailable)}
	b.put(func() { b.events = append(b.events, decline) })
}

func (b *inbox) EndOfData() {
	b.put(func() { b.events = append(b.events, coordinator.EndOfData{Process: b.process}) })
}

func (b *inbox) Committed(id dataflow.CheckpointID) {
	b.put(func() { b.committed = max(b.committed, id) })
}

func (b *inbox) Restoring(engine.RestoreProgress) {}

func (b *inbox) Trace(e engine.TraceEvent) { b.trace(e) }

var _ engine.Events = (*inbox)(nil)

// take empties the inbox.
func (b *inbox) take() ([]coordinator.Event, dataflow.CheckpointID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	events := b.events
	b.events = nil
	return events, b.committed
}

// coordinate is the controller's loop: it carries out what package coordinator
// decides, until the job is finished or ctx ends.
func (r *runner) coordinate(ctx context.Context) error {
	r.state, r.started, r.begun = coordinator.New(r.ledger.Job, r.options), time.Now(), map[dataflow.CheckpointID]begun{}
	if err := r.step(ctx, coordinator.Running{Processes: []dataflow.Incarnation{r.process}}); err != nil {
		return err
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	look, stop := r.looks()
	defer stop()
	for {
		if next, ok := r.state.Next(); ok {
			timer.Reset(next - time.Since(r.started))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
			if err := r.step(ctx, coordinator.Tick{}); err != nil {
				return err
			}
		case <-look:
			if err := r.step(ctx, r.volume()); err != nil {
				return err
			}
		case <-r.inbox.wake:
			if err := r.hear(ctx); err != nil {
				return err
			}
		}
	}
}

// hear takes what the engine has told.
func (r *runner) hear(ctx context.Context) error {
	events, committed := r.inbox.take()
	for _, e := range events {
		if err := r.step(ctx, e); err != nil {
			return err
		}
	}
	if committed > r.ledger.Known {
		if err := r.confirm(committed); err != nil {
			return err
		}
	}
	if r.finish && r.ledger.Known >= r.finished {
		r.ledger.Finished = true
		return errors.Join(errFinished, r.save())
	}
	return nil
}

// step gives an event to the coordinator and carries out what it wants.
func (r *runner) step(ctx context.Context, e coordinator.Event) error {
	var actions []coordinator.Action
	r.state, actions = r.state.Step(time.Since(r.started), e)
	for _, a := range actions {
		answer, err := r.do(ctx, a)
		if err != nil {
			return err
		}
		if answer == nil {
			continue
		}
		if err := r.step(ctx, answer); err != nil {
			return err
		}
	}
	return nil
}

// do carries out an action and returns the event that answers it, if any.
func (r *runner) do(ctx context.Context, a coordinator.Action) (coordinator.Event, error) {
	switch a := a.(type) {
	case coordinator.ProposeBegin:
		r.ledger.LastID++
		r.begun[r.ledger.LastID] = begun{time.Now(), a.Trigger}
		return coordinator.Began{ID: r.ledger.LastID, Trigger: a.Trigger}, r.save()
	case coordinator.SendTrigger:
		r.attempt.Trigger(r.triggerOf(a.ID))
	case coordinator.Complete:
		return r.complete(ctx, a)
	case coordinator.ProposeAbort:
		r.cfg.Log.Warn("checkpoint aborted", "job", r.ledger.Job, "checkpoint", a.ID, "reason", a.Reason)
		delete(r.begun, a.ID)
		r.attempt.Aborted(a.ID)
		return coordinator.Aborted{ID: a.ID}, nil
	case coordinator.FailJob:
		return nil, fmt.Errorf("job failed: %s", a.Reason)
	case coordinator.FinishJob:
		r.finish, r.finished = true, r.ledger.catalog.Newest().ID
		return nil, nil
	case coordinator.ReportLate:
		r.cfg.Log.Debug("late message", "checkpoint", a.ID, "what", a.What)
	}
	return nil, nil
}

// triggerOf is how a checkpoint's barriers pass, as the options say.
func (r *runner) triggerOf(id dataflow.CheckpointID) engine.Trigger {
	o := &r.options.Checkpoint
	t := engine.Trigger{ID: id, At: r.begun[id].at, AlignedTimeout: o.AlignedTimeout}
	switch {
	case o.Mode == dataflow.AtLeastOnce:
		t.Mode = engine.AtLeastOnce
	case o.Unaligned == "on" && o.AlignedTimeout == 0:
		t.Mode = engine.Unaligned
	}
	return t
}

// complete writes the metadata object and then the ledger: only that completes
// the checkpoint. Sinks commit afterwards.
func (r *runner) complete(ctx context.Context, c coordinator.Complete) (coordinator.Event, error) {
	m, err := r.metadata(c)
	if err != nil {
		return nil, err
	}
	object, err := r.store.Write(ctx, m, 1)
	if err != nil {
		return coordinator.CompleteFailed{ID: c.ID, Reason: err.Error(), Store: true}, nil
	}
	next, _, err := r.ledger.catalog.Complete(record(m, object), released(c.Parts), r.options.Retained)
	if err != nil {
		return nil, err
	}
	r.ledger.catalog = next
	if err := r.save(); err != nil {
		return nil, err
	}
	r.cfg.Log.Debug("checkpoint complete", "job", r.ledger.Job, "checkpoint", c.ID, "took", time.Since(r.begun[c.ID].at))
	r.tell(c)
	for id := range r.begun { // the older ones are settled too
		if id <= c.ID {
			delete(r.begun, id)
		}
	}
	r.attempt.Completed(c.ID)
	return coordinator.Completed{ID: c.ID}, r.collect(ctx)
}

// tell tells the host of a completed checkpoint.
func (r *runner) tell(c coordinator.Complete) {
	if r.cfg.Checkpointed == nil {
		return
	}
	var bytes int64
	for _, p := range c.Parts {
		bytes += p.Bytes
	}
	r.cfg.Checkpointed(time.Since(r.begun[c.ID].at), bytes)
}

// record is the catalog's entry of a checkpoint.
func record(m *checkpointstore.Metadata, o catalog.Object) catalog.Record {
	rec := catalog.Record{ID: m.Checkpoint, Attempt: m.Attempt, Metadata: o}
	for _, p := range m.Processes {
		rec.Objects = append(rec.Objects, p.Objects...)
		for _, s := range p.Subtasks {
			rec.Owed = rec.Owed || slices.ContainsFunc(s.Operators, func(o snapshot.Operator) bool { return len(o.Transactions) > 0 })
		}
	}
	return rec
}

func released(parts []*snapshot.Process) []snapshot.Run {
	var runs []snapshot.Run
	for _, p := range parts {
		runs = append(runs, p.Released...)
	}
	return runs
}

// confirm notes that sinks have committed, so that they can forget.
func (r *runner) confirm(id dataflow.CheckpointID) error {
	r.ledger.Known = id
	r.ledger.catalog, _ = r.ledger.catalog.Confirm(id, r.options.Retained)
	if err := r.save(); err != nil {
		return err
	}
	r.attempt.CommitsKnown(id)
	return nil
}

// collect deletes what no checkpoint needs any more. What fails stays marked.
func (r *runner) collect(ctx context.Context) error {
	g := r.ledger.catalog.Garbage()
	if g.Empty() {
		return nil
	}
	runs, objects, err := r.store.Collect(ctx, g.Runs, g.Single)
	if err != nil {
		r.cfg.Log.Warn("deleting old checkpoints failed", "job", r.ledger.Job, "error", err)
	}
	next, err := r.ledger.catalog.Forget(catalog.Garbage{Runs: runs, Single: objects})
	if err != nil {
		return err
	}
	r.ledger.catalog = next
	return nil // the next save writes it: deleting twice is harmless
}

func (r *runner) save() error {
	if err := r.folder.write(&r.ledger); err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	return nil
}
