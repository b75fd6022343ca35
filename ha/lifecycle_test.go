package ha_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/ha"
	"github.com/cairnstream/cairn/internal/virtual"
)

// often makes a node snapshot after a few entries.
func often(_ int, cfg *ha.Config) {
	cfg.SnapshotInterval, cfg.SnapshotThreshold = 50*time.Millisecond, 8
}

// TestRestart stops nodes one by one, then all at once, with snapshots between.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, often)
		var keys []string
		for round := range 6 {
			keys = append(keys, g.mustPropose(fmt.Sprint("round-", round), 20)...)
			g.Kill(round % 3)
			keys = append(keys, g.mustPropose(fmt.Sprint("two-", round), 5)...)
			g.Restart(round % 3)
			g.awaitAll(keys)
		}
		time.Sleep(time.Second) // snapshots are taken
		for i := range 3 {
			g.Kill(i)
		}
		for i := range 3 {
			g.Restart(i)
		}
		keys = append(keys, g.mustPropose("again", 3)...)
		g.awaitAll(keys)
		for i := range 3 {
			if s := g.Node(i).Status(); s.Applied != g.Node(0).Applied() {
				t.Errorf("node %d applied up to %d, node 0 to %d", i, s.Applied, g.Node(0).Applied())
			}
		}
	})
}

// TestGracefulStop: the leader hands over, so a successor leads at once.
func TestGracefulStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3)
		for round := range 9 {
			g.mustPropose(fmt.Sprint(round), 3)
			leader := g.Leader()
			began, next := time.Now(), g.successor(leader)
			g.Stop(leader)
			if gap := (<-next).Sub(began); gap > 100*time.Millisecond {
				t.Errorf("round %d: %v until the next leader, as for an election", round, gap)
			}
			g.Restart(leader)
			g.awaitAll(g.machines[g.Leader()].all())
		}
	})
}

// successor tells when another node leads and can commit.
func (g *group) successor(leader int) <-chan time.Time {
	next := make(chan time.Time, 1)
	go func() {
		for ; ; time.Sleep(time.Millisecond) {
			for i := range g.Size() {
				if i != leader && g.Node(i).Barrier(g.t.Context()) == nil {
					next <- time.Now()
					return
				}
			}
		}
	}()
	return next
}

// TestApplyFails: an entry that can't be applied stops every node before it, and
// names the entry.
func TestApplyFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3)
		var mu sync.Mutex
		failed := map[int]error{}
		g.OnFatal = func(i int, err error) {
			mu.Lock()
			defer mu.Unlock()
			failed[i] = err
		}
		keys := g.mustPropose("good", 2)
		_, err := g.Node(g.Leader()).Propose(t.Context(), command{Fail: true}.encode())
		if !errors.Is(err, ha.ErrUnknown) {
			t.Errorf("propose: %v, want outcome unknown", err)
		}
		time.Sleep(time.Second)
		mu.Lock()
		defer mu.Unlock()
		if len(failed) != 3 {
			t.Errorf("nodes that gave up: %v, want all three", failed)
		}
		g.awaitAll(keys)
	})
}

// TestStatus: the leader knows how far each follower is.
func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3)
		g.mustPropose("key", 5)
		leader := g.Leader()
		time.Sleep(time.Second) // of heartbeats
		s := g.Node(leader).Status()
		if s.Role != "leader" || s.Leader != virtual.ID(leader) || len(s.Members) != 3 || s.Commit != s.Last {
			t.Errorf("leader's status: %+v", s)
		}
		for _, m := range s.Members {
			switch {
			case m.ID == s.ID && !m.Leader, !m.Voter:
				t.Errorf("member: %+v", m)
			case m.ID != s.ID && (m.Match != s.Last || time.Since(m.Contact) > time.Second):
				t.Errorf("follower: %+v, want match %d", m, s.Last)
			}
		}
	})
}

// TestCrashDuringBootstrap: a node that wrote its first term and then crashed
// before the configuration must not wait for ever for somebody to tell it one.
func TestCrashDuringBootstrap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 1, func(_ int, cfg *ha.Config) {
			if err := cfg.Storage.Stable.SetUint64([]byte("CurrentTerm"), 1); err != nil {
				t.Fatal(err)
			}
		})
		g.mustPropose("key", 1)
	})
}
