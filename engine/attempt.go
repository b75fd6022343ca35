package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/state/changelog"
)

// Attempt is one process's share of an attempt of a job: its subtasks, their
// state, and the checkpoints that they take part in. Its methods may be called
// from any goroutine and return at once, except Run and Close.
type Attempt struct {
	cfg      Config
	program  *Program
	plan     *dataflow.Plan
	uploader *changelog.Uploader
	backend  *backend
	subtasks []*subtask
	logs     map[dataflow.TaskID][]*changelog.Log
	stores   map[*changelog.Log]*keyedStore
	restored changelog.Progress
	sinks    []*sinkTask
	groups   *sourceGroups // of aligned sources
	remotes  []*outChannel // to be opened when the attempt runs

	group   *errgroup.Group // of Run; checkpoints finish in it
	ended   atomic.Int64    // subtasks that have seen the end of their inputs
	commits commits

	mu          sync.Mutex
	checkpoints map[dataflow.CheckpointID]*checkpoint
	closed      bool
}

// Run runs the attempt until ctx ends or something fails, and returns why: the
// first failure, or the context's cause. No goroutine of the attempt and no
// operator is left when it returns. It is called at most once.
func (a *Attempt) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, a.Close()) }()
	group, inner := errgroup.WithContext(ctx)
	a.group = group
	group.Go(func() error { return a.uploader.Run(inner) })
	group.Go(func() error { return a.runCommits(inner) })
	group.Go(func() error { return a.runSubtasks(inner) })
	err = group.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// runSubtasks connects what is elsewhere and then runs all loops. A subtask
// that ends early is a failure: loops go on until ctx ends.
func (a *Attempt) runSubtasks(ctx context.Context) error {
	if err := a.openRemotes(ctx); err != nil {
		return err
	}
	if id := a.cfg.Restore.own(); id > 0 {
		a.cfg.Events.Committed(id)
	}
	group, inner := errgroup.WithContext(ctx)
	for _, s := range a.subtasks {
		group.Go(func() (err error) {
			labels := pprof.Labels("job", string(a.cfg.Job), "task", s.task.String())
			pprof.Do(inner, labels, func(inner context.Context) {
				a.trace(s.task, TraceEvent{Kind: TraceStart, At: time.Now()})
				err = s.run(inner)
			})
			return err
		})
	}
	return group.Wait()
}

// openRemotes opens the channels to other processes, all at once: each may
// have to wait for its peer.
func (a *Attempt) openRemotes(ctx context.Context) error {
	if len(a.remotes) > 0 && a.cfg.Network == nil {
		return fmt.Errorf("%w %v: its receiver is elsewhere and there is no network", errTransport, a.remotes[0].id)
	}
	group, inner := errgroup.WithContext(ctx)
	for _, c := range a.remotes {
		group.Go(func() error {
			s, err := a.cfg.Network.Open(inner, c.id)
			if err != nil {
				return fmt.Errorf("%w %v: open: %w", errTransport, c.id, err)
			}
			c.remote = s
			s.Notify(c.wake)
			return nil
		})
	}
	return group.Wait()
}

// Trigger begins a checkpoint at the sources here. Repeats, and ids below one
// that was taken or aborted, are ignored.
func (a *Attempt) Trigger(t Trigger) {
	for _, s := range a.subtasks {
		if s.source != nil {
			s.trigger(&t)
		}
	}
}

// passTrigger begins a checkpoint at the sources here because a barrier of it
// has come from elsewhere. The leader triggers one process after the other; if
// it dies in between, those that it did not reach would hold back the channels of
// the others until the next leader repeats the trigger, and no record would come
// out meanwhile. The trigger from the leader, when it comes, is then a repeat. A
// process that hosts sources and nothing downstream of others hears no barrier
// and waits for the leader.
func (a *Attempt) passTrigger(t *Trigger) { a.Trigger(*t) }

// Completed tells that checkpoint id is complete: sinks commit everything up
// to it, beside the loops, and Events.Committed tells when.
func (a *Attempt) Completed(id dataflow.CheckpointID) {
	a.uploader.Completed(id)
	a.forgetCheckpoints(id)
	a.commits.raise(&a.commits.completed, id)
}

// Aborted tells that checkpoint id will not complete: whoever still aligns for
// it goes on. What it prepared is part of the next checkpoint.
func (a *Attempt) Aborted(id dataflow.CheckpointID) {
	a.dropCheckpoint(id)
	for _, s := range a.subtasks {
		s.abort(id)
	}
}

// CommitsKnown tells that Raft holds the commits up to id: sinks forget them.
func (a *Attempt) CommitsKnown(id dataflow.CheckpointID) {
	a.commits.raise(&a.commits.known, id)
}

// Stats tells what the attempt has done so far.
func (a *Attempt) Stats() Stats {
	var s Stats
	for _, t := range a.subtasks {
		st := t.stats.stats(t.task)
		st.Alignment = t.alignmentView()
		for _, l := range a.logs[t.task] {
			bytes, age := l.Lag()
			st.LagBytes, st.LagAge = st.LagBytes+bytes, max(st.LagAge, age)
		}
		s.Subtasks = append(s.Subtasks, st)
	}
	s.Changelog, s.Restored = a.uploader.Stats(), RestoreProgress(a.restored)
	s.Puts, s.Uploaded = s.Changelog.Puts, s.Changelog.Bytes
	return s
}

// Close closes all operators and channels. Run does it at its end; a host calls
// it for an attempt that it never runs. It may be called again.
func (a *Attempt) Close() error {
	a.mu.Lock()
	closed := a.closed
	a.closed = true
	a.mu.Unlock()
	if closed {
		return nil
	}
	var errs []error
	for _, c := range a.remotes {
		if c.remote != nil {
			errs = append(errs, c.remote.Close())
		}
	}
	for _, s := range a.subtasks {
		errs = append(errs, s.close())
	}
	if a.backend != nil {
		errs = append(errs, a.backend.close())
	}
	return errors.Join(errs...)
}

// inputEnded counts the subtasks that have seen the end of all their inputs.
func (a *Attempt) inputEnded() {
	if a.ended.Add(1) == int64(len(a.subtasks)) {
		a.cfg.Events.EndOfData()
	}
}

// trace fills in what an event is about and tells it.
func (a *Attempt) trace(task dataflow.TaskID, e TraceEvent) {
	e.Job, e.Attempt, e.Process, e.Task = a.cfg.Job, a.cfg.Attempt, a.cfg.Process, task
	a.cfg.Events.Trace(e)
}
