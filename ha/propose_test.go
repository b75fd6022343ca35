package ha_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/ha"
)

// TestProposeThroughFailovers: four clients propose while the leader is cut off
// or killed again and again. Each key that was acknowledged is there once, at
// the position that was answered, on every node.
func TestProposeThroughFailovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3)
		g.Leader()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var mu sync.Mutex
		acknowledged := map[string]int{}
		for client := range 4 {
			wg.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					key := fmt.Sprintf("%d-%d", client, n)
					if at, err := g.propose(ctx, key); err == nil {
						mu.Lock()
						acknowledged[key] = at
						mu.Unlock()
					}
					time.Sleep(5 * time.Millisecond)
				}
			})
		}
		for round := range 12 {
			leader := g.Leader()
			time.Sleep(time.Second) // of work
			if round%2 == 0 {
				g.Isolate(leader)
				g.AwaitLeader(leader)
				g.Heal()
			} else {
				g.Kill(leader)
				g.AwaitLeader(leader)
				g.Restart(leader)
			}
		}
		cancel()
		wg.Wait()
		keys := g.machines[g.Leader()].all()
		g.awaitAll(keys)
		if len(acknowledged) < 1000 {
			t.Errorf("only %d keys acknowledged", len(acknowledged))
		}
		for key, at := range acknowledged {
			if at >= len(keys) || keys[at] != key {
				t.Errorf("key %s was acknowledged at %d and is not there", key, at)
			}
		}
	})
}

// TestStaleTerm: a command that carries an earlier term than its entry's is
// refused by the state machine, though its proposer leads again.
func TestStaleTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3)
		leader := g.Leader()
		old := g.Node(leader).Status().Term
		g.Isolate(leader)
		g.AwaitLeader(leader)
		g.Heal()
		n := g.Node(g.Leader())
		result, err := n.Propose(t.Context(), command{Term: old, Key: "late"}.encode())
		if err != nil || result != any(errStaleTerm) {
			t.Errorf("propose of term %d in %d: %v, %v; want it refused", old, n.Status().Term, result, err)
		}
		g.awaitAll(nil)
	})
}

// TestIsolatedLeaderRefuses: without a majority nothing is acknowledged, and
// within a lease the node knows that it does not lead.
func TestIsolatedLeaderRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3)
		keys := g.mustPropose("before", 3)
		old := g.Leader()
		g.Isolate(old)
		_, err := g.Node(old).Propose(t.Context(), command{Key: "lost"}.encode())
		if !errors.Is(err, ha.ErrUnknown) {
			t.Errorf("propose on a cut-off leader: %v, want outcome unknown", err)
		}
		if _, err = g.Node(old).Propose(t.Context(), command{Key: "lost"}.encode()); !errors.Is(err, ha.ErrNotLeader) {
			t.Errorf("propose after the lease: %v, want not leader", err)
		}
		if err = g.Node(old).Barrier(t.Context()); !errors.Is(err, ha.ErrNotLeader) {
			t.Errorf("barrier after the lease: %v, want not leader", err)
		}
		g.AwaitLeader(old)
		keys = append(keys, g.mustPropose("after", 3)...)
		g.Heal()
		g.awaitAll(keys)
	})
}

// TestImpatientProposer: a deadline in mid-flight means unknown, one before the
// proposal was taken means not applied.
func TestImpatientProposer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3)
		n := g.Node(g.Leader())
		g.Isolate(g.Leader())
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := n.Propose(ctx, command{Key: "a"}.encode())
		if !errors.Is(err, ha.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("propose: %v, want outcome unknown for a deadline", err)
		}
		if _, err := n.Propose(t.Context(), make([]byte, ha.CommandMax+1)); !errors.Is(err, ha.ErrTooLarge) {
			t.Errorf("propose too much: %v", err)
		}
	})
}

// TestBackpressure: of a thousand proposals at once, some wait; all are applied.
func TestBackpressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3)
		n := g.Node(g.Leader())
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				if _, err := n.Propose(t.Context(), command{Key: fmt.Sprint(i)}.encode()); err != nil {
					t.Errorf("propose %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if got := len(g.machines[g.Leader()].all()); got != 1000 {
			t.Errorf("%d of 1000 applied", got)
		}
	})
}
