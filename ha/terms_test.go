package ha_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/ha"
)

// TestTermsFollowLeadership cuts the leader off ten times and checks that each
// node's work stops when its term does, that terms never run backwards, and that
// work begins with all that was acknowledged.
func TestTermsFollowLeadership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3)
		w := newTermLog(t)
		stop := w.follow(g)
		defer stop()
		for round := range 10 {
			leader := g.Leader()
			w.await(leader)
			w.acknowledged(g.mustPropose(fmt.Sprint("round-", round), 1))
			g.Isolate(leader) // at once: the followers don't know yet what is committed
			next := g.AwaitLeader(leader)
			w.await(next)
			// The lease is as long as the heartbeat timeout, so the old leader may notice at
			// the same moment, or a moment later; terms fence what it does until then.
			w.awaitIdle(leader)
			g.Heal()
			if round%3 == 0 {
				g.Kill(next)
				w.awaitIdle(next)
				g.Restart(next)
				w.attach(g, next)
			}
		}
	})
}

// termLog records which node works in which term and checks the invariants.
type termLog struct {
	t      *testing.T
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu   sync.Mutex
	at   map[int]uint64 // node -> term at work
	last uint64
	keys []string // acknowledged
}

func newTermLog(t *testing.T) *termLog {
	ctx, cancel := context.WithCancel(t.Context())
	return &termLog{t: t, ctx: ctx, cancel: cancel, at: map[int]uint64{}}
}

func (w *termLog) follow(g *group) (stop func()) {
	for i := range g.Size() {
		w.attach(g, i)
	}
	return func() { w.cancel(); w.wg.Wait() }
}

func (w *termLog) attach(g *group, i int) {
	node, state := g.Node(i), g.machines[i]
	w.wg.Go(func() {
		err := node.Terms(w.ctx, func(ctx context.Context, term uint64) error {
			w.begin(i, term, state.all())
			// A command that carries the term must be applied in it.
			result, err := node.Propose(ctx, command{Term: term, Key: fmt.Sprint("term-", term)}.encode())
			if err == nil && result == any(errStaleTerm) {
				w.t.Errorf("node %d: term %d is not its own", i, term)
			}
			<-ctx.Done()
			if cause := context.Cause(ctx); !errors.Is(cause, ha.ErrTermOver) && w.ctx.Err() == nil {
				w.t.Errorf("node %d: term %d ended with %v", i, term, cause)
			}
			w.end(i)
			return ctx.Err()
		})
		if !errors.Is(err, context.Canceled) && !errors.Is(err, ha.ErrClosed) {
			w.t.Errorf("node %d: terms: %v", i, err)
		}
	})
}

func (w *termLog) begin(i int, term uint64, state []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if old, ok := w.at[i]; ok {
		w.t.Errorf("node %d: term %d began while %d ran", i, term, old)
	}
	if term <= w.last {
		w.t.Errorf("node %d: term %d after %d", i, term, w.last)
	}
	for _, key := range w.keys {
		if !slices.Contains(state, key) {
			w.t.Errorf("node %d: term %d began without %s, which was acknowledged", i, term, key)
		}
	}
	w.at[i], w.last = term, max(w.last, term)
}

func (w *termLog) acknowledged(keys []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys = append(w.keys, keys...)
}

func (w *termLog) end(i int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.at, i)
}

func (w *termLog) running(i int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, ok := w.at[i]
	return ok
}

func (w *termLog) await(i int)     { w.awaitState(i, true) }
func (w *termLog) awaitIdle(i int) { w.awaitState(i, false) }

func (w *termLog) awaitState(i int, running bool) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); w.running(i) != running; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("node %d: at work is not %v after a minute", i, running)
		}
	}
}

// TestWorkThatReturnsHandsOver makes each node's work fail once in turn.
func TestWorkThatReturnsHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer func() { cancel(); wg.Wait() }()
		served := make(chan int)
		for i := range g.Size() {
			wg.Go(func() {
				_ = g.Node(i).Terms(ctx, func(ctx context.Context, _ uint64) error {
					select {
					case served <- i:
						return errors.New("can't")
					case <-ctx.Done():
						return nil
					}
				})
			})
		}
		last := -1
		for range 6 {
			i := <-served
			if i == last {
				t.Errorf("node %d leads again at once", i)
			}
			last = i
		}
	})
}

// TestWorkThatReturnsAlone: a single node has nobody to hand over to.
func TestWorkThatReturnsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 1)
		broken := errors.New("broken")
		err := g.Node(0).Terms(t.Context(), func(context.Context, uint64) error { return broken })
		if !errors.Is(err, broken) {
			t.Errorf("terms returned %v, want %v", err, broken)
		}
	})
}
