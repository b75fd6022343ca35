package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/ha"
)

const (
	// stepsMax bounds what waits for the loop. Senders wait when it is full,
	// so that agents feel it by flow control; 1,000 agents may each have one.
	stepsMax = 1024
	// proposeAgain is the pause before a proposal of unknown outcome is
	// repeated: about a round trip, so that a busy group is not made busier.
	proposeAgain = 20 * time.Millisecond
	// sweepEvery is how often the loop looks at every job in the ledger. What
	// an entry changes is acted on at once by who proposed it; but that may be
	// a call whose client has gone before it knew the outcome.
	sweepEvery = 2 * time.Second
)

// leader is one term's work. Its loop is the only goroutine that decides; the
// fields below the line belong to it. The rest talk to it by post.
type leader struct {
	world
	term    dataflow.Term
	began   time.Time
	steps   chan func()
	ready   chan struct{} // closed when sessions and calls may come
	over    chan struct{} // closed when the term's work ends
	streams *gate
	// artifacts keeps the collector from what a submit is about to need.
	artifacts pins
	// setting is held while options are changed: read, merged, committed.
	setting sync.Mutex
	// beside runs task in a goroutine of its own under the term's context and
	// then, in the loop, the function that it returned. Called by the loop.
	beside func(task func(ctx context.Context) (then func()))

	// ---- owned by the loop
	agenda   agenda
	settled  bool         // the registration grace is over
	settling *appointment // ends it
	workers  map[dataflow.WorkerID]*worker
	jobs     map[dataflow.JobID]*job
	requests map[string]*request // asked of agents, by request id
	// savepoints are those that this leader does something for.
	savepoints map[savepointRef]*savepointWork
	garbage    chan struct{} // wakes the collector
	ended      chan struct{} // wakes the sweeper
}

func newLeader(w world, term uint64) *leader {
	w.log = w.log.With("term", term)
	return &leader{
		world: w, term: dataflow.Term(term),
		steps: make(chan func(), stepsMax), ready: make(chan struct{}), over: make(chan struct{}),
		streams:    newGate(),
		began:      time.Now(),
		workers:    map[dataflow.WorkerID]*worker{},
		jobs:       map[dataflow.JobID]*job{},
		requests:   map[string]*request{},
		savepoints: map[savepointRef]*savepointWork{},
		garbage:    make(chan struct{}, 1),
		ended:      make(chan struct{}, 1),
	}
}

// run leads until ctx, the term's context, ends. Everything that it started
// has ended when it returns.
func (l *leader) run(ctx context.Context) error {
	end := sync.OnceFunc(func() { close(l.over) })
	defer end()
	// Sessions and calls leave as soon as the term ends, whatever else there
	// is to wait for: agents look for the next leader at once.
	defer context.AfterFunc(ctx, end)()
	if err := l.establish(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	l.beside = func(task func(context.Context) func()) {
		group.Go(func() error {
			if then := task(ctx); then != nil {
				l.post(ctx, then)
			}
			return nil
		})
	}
	group.Go(func() error { return l.loop(ctx) })
	group.Go(func() error { return l.collectGarbage(ctx) })
	if !l.cfg.NoSweep {
		group.Go(func() error { return l.sweepEnded(ctx) })
	}
	err := group.Wait()
	end()
	l.streams.shut()
	return err
}

// loop decides, one step at a time.
func (l *leader) loop(ctx context.Context) error {
	l.takeOver()
	close(l.ready)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		l.agenda.runDue()
		var due <-chan time.Time
		if d, ok := l.agenda.next(); ok {
			timer.Reset(d)
			due = timer.C
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case step := <-l.steps:
			step()
		case <-due:
		}
	}
}

// post has the loop run step. It waits for room, and tells false if ctx or the
// term ended first. The loop itself never calls it.
func (l *leader) post(ctx context.Context, step func()) bool {
	select {
	case <-ctx.Done():
		return false
	case <-l.over:
		return false
	case l.steps <- step:
		return true
	}
}

// propose has cmd committed and then runs done in the loop, with Apply's
// result or its refusal. Without an answer (the term is over) done never runs.
func (l *leader) propose(cmd ledger.Command, done func(result any, err error)) {
	l.beside(func(ctx context.Context) func() {
		result, err := l.commit(ctx, cmd)
		if l.termIsOver(ctx, err) {
			return nil
		}
		return func() { done(result, err) }
	})
}

// announceGrace is how long the controllers of a new cluster may take to say what
// they apply: each tells the leader once a second.
const announceGrace = 5 * time.Second

// checkVersion is I8: nothing is proposed that a member can not apply. In a
// cluster that has just begun it is worth asking again.
func (l *leader) checkVersion(version int) error {
	common := l.commonVersion()
	if common >= version {
		return nil
	}
	if unheard := l.unheard(); len(unheard) > 0 && time.Since(l.began) < announceGrace {
		return fmt.Errorf("waiting for %s to say what it applies: %w", strings.Join(unheard, " and "), errNotReady)
	}
	return fmt.Errorf("a member applies commands of version %d only and this needs version %d; start or upgrade all controllers: %w",
		common, version, errPrecondition)
}

// commit proposes cmd until its outcome is known, with the same bytes: a
// command is idempotent by content or by its key. Refusals of Apply are errors.
//
// It is the term's end that tells a leader to stop, not ErrNotLeader: Raft also
// says so of a command that it was too busy to take up, and goes on leading.
func (l *leader) commit(ctx context.Context, cmd ledger.Command) (any, error) {
	if err := l.checkVersion(ledger.VersionOf(cmd)); err != nil {
		return nil, err
	}
	data := ledger.Encode(cmd)
	for {
		l.metrics.proposals.Inc()
		result, err := l.replica.Propose(ctx, data)
		switch {
		case err == nil:
			if refusal, ok := result.(error); ok {
				return nil, refusal
			}
			return result, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case isClosed(l.over):
			return nil, errLeaderGone
		case !errors.Is(err, ha.ErrUnknown) && !errors.Is(err, ha.ErrNotLeader):
			return nil, err
		}
		if err := pause(ctx, proposeAgain); err != nil {
			return nil, err
		}
	}
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// termIsOver tells whether this leader decides no more, so that an outcome
// needs no answer. Everything else must get one, or somebody waits for ever.
func (l *leader) termIsOver(ctx context.Context, err error) bool {
	return ctx.Err() != nil || isClosed(l.over) || errors.Is(err, ledger.ErrStaleTerm)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// header is what the command made now carries. key is empty for a command that
// is idempotent by its content.
func (l *leader) header(key string) ledger.Header {
	return ledger.Header{Term: l.term, At: time.Now().UnixMilli(), Key: key}
}

// freshKey is an idempotency key for a command that no client named.
func freshKey() string { return string(dataflow.NewIncarnation()) }

// sinceBegan is the leader's monotonic clock.
func (l *leader) sinceBegan() time.Duration { return time.Since(l.began) }

func (l *leader) jobLog(j *job) *slog.Logger {
	return l.log.With("job", j.id, "attempt", j.attempt)
}
