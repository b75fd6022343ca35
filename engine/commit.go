package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

// sinkTask is a transactional sink in a subtask here.
type sinkTask struct {
	task dataflow.TaskID
	uid  dataflow.UID
	txns *transactions
}

// commits are the checkpoints up to which sinks are to commit and to forget.
// Only the highest of each counts.
type commits struct {
	wake chan struct{}

	mu               sync.Mutex
	completed, known dataflow.CheckpointID
}

func (c *commits) raise(to *dataflow.CheckpointID, id dataflow.CheckpointID) {
	c.mu.Lock()
	*to = max(*to, id)
	c.mu.Unlock()
	poke(c.wake)
}

func (c *commits) get() (completed, known dataflow.CheckpointID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.completed, c.known
}

// runCommits commits and forgets as it is told, until ctx ends.
func (a *Attempt) runCommits(ctx context.Context) error {
	done, forgotten := a.cfg.Restore.own(), dataflow.CheckpointID(0)
	for {
		completed, known := a.commits.get()
		if completed > done {
			if err := a.commitAll(ctx, completed); err != nil {
				return err
			}
			done = completed
			a.cfg.Events.Committed(done)
			continue
		}
		if known = min(known, done); known > forgotten && ctx.Err() == nil {
			if a.forgetAll(ctx, known); ctx.Err() == nil { // else lastForget does what was cut short
				forgotten = known
			}
			continue
		}
		select {
		case <-a.commits.wake:
		case <-ctx.Done():
			a.lastForget(ctx, forgotten, done)
			return context.Cause(ctx)
		}
	}
}

// lastForgetMax bounds how long an attempt that is told to stop still forgets
// commits that are known: they are only garbage, and nobody else removes it.
const lastForgetMax = time.Second

// lastForget forgets what became known just before the attempt was stopped, as
// at the end of a job.
func (a *Attempt) lastForget(ctx context.Context, forgotten, done dataflow.CheckpointID) {
	_, known := a.commits.get()
	if known = min(known, done); known <= forgotten {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastForgetMax)
	defer cancel()
	a.forgetAll(ctx, known)
}

// commitAll commits all sinks up to id; only the end of ctx stops it.
func (a *Attempt) commitAll(ctx context.Context, id dataflow.CheckpointID) error {
	group, inner := errgroup.WithContext(ctx)
	for _, s := range a.sinks {
		group.Go(func() error {
			log := a.cfg.Log.With("task", s.task, "uid", s.uid, "checkpoint", id)
			return persist(inner, log, "commit", func() error {
				some, err := s.txns.commit(inner, id)
				if some {
					a.trace(s.task, TraceEvent{Kind: TraceCommit, At: time.Now(), UID: s.uid, Checkpoint: id})
				}
				return err
			})
		})
	}
	return group.Wait()
}

// forgetAll lets sinks drop what made commits repeatable. What fails is
// garbage until the next call, which covers it.
func (a *Attempt) forgetAll(ctx context.Context, id dataflow.CheckpointID) {
	for _, s := range a.sinks {
		if err := guard(func() error { return s.txns.forget(ctx, id) }); err != nil && ctx.Err() == nil {
			a.cfg.Log.Warn("forgetting commits failed", "task", s.task, "uid", s.uid, "checkpoint", id, "error", err)
		}
	}
}

// Retries of a commit wait from retryMin, twice as long each time, up to retryMax:
// a commit must happen in the end, and a store that is down should not be flooded.
const (
	retryMin = 50 * time.Millisecond
	retryMax = 5 * time.Second
)

// persist calls f until it succeeds or ctx ends.
func persist(ctx context.Context, log *slog.Logger, what string, f func() error) error {
	for wait := retryMin; ; wait = min(2*wait, retryMax) {
		err := guard(f)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		log.Warn(what+" failed, trying again", "error", err, "after", wait)
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		}
	}
}

// guard turns a panic of a connector's code into an error.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = NewPanicError(p)
		}
	}()
	return f()
}

// errNotTransactional is returned for a restore point with transactions of an
// operator that can not commit them: to go on would lose their output.
var errNotTransactional = errors.New("the checkpoint has its transactions, and it has no two-phase commit any more")

func finishCommits(ctx context.Context, p *Program, job dataflow.JobID, attempt dataflow.Attempt,
	open OpenBucket, r *Restore, log *slog.Logger) error {
	ops := restoredOperators(r)
	if err := checkCommitters(p, ops); err != nil {
		return fmt.Errorf("finish commits: checkpoint %d: %w", r.Checkpoint, err)
	}
	for _, o := range p.Graph.Operators {
		sink := committerOf(p.Operators[o.UID])
		if sink == nil {
			continue
		}
		env := connector.Env{Job: job, Attempt: attempt, UID: o.UID, Parallelism: 1, OpenBucket: open, Log: log}
		if err := settleSink(ctx, sink, env, ops[o.UID], r.Checkpoint); err != nil {
			return fmt.Errorf("finish commits: sink %q: %w", o.UID, err)
		}
	}
	return nil
}

// settleSink commits what a sink owes at a checkpoint, the job's last, and
// aborts what any attempt prepared for later ones.
func settleSink(ctx context.Context, sink connector.Transactional, env connector.Env, r *restored, last dataflow.CheckpointID) error {
	var txns []snapshot.Transaction
	if r != nil {
		txns = r.transactions(0, 1)
	}
	if len(txns) > 0 {
		if err := persist(ctx, env.Log, "commit", func() error { return sink.Commit(ctx, env, txns) }); err != nil {
			return err
		}
	}
	env.Attempt++ // the newest attempt's are void as well
	return persist(ctx, env.Log, "abort", func() error { return sink.AbortAfter(ctx, env, last) })
}
