package ha_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cairnstream/cairn/ha"
	"github.com/cairnstream/cairn/internal/virtual"
)

// group is a virtual cluster of machines.
type group struct {
	*virtual.Cluster
	t        *testing.T
	machines []*machine
}

func newGroup(t *testing.T, n int, tune ...func(int, *ha.Config)) *group {
	g := &group{t: t, machines: make([]*machine, n)}
	g.Cluster = virtual.New(t, n, func(i int) ha.StateMachine {
		g.machines[i] = &machine{}
		return g.machines[i]
	}, tune...)
	return g
}

// propose proposes a key until it is known to be applied, by whoever leads.
func (g *group) propose(ctx context.Context, key string) (position int, err error) {
	for ; ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		for i := range g.Size() {
			n := g.Node(i)
			if n == nil || n.Leader() != virtual.ID(i) {
				continue
			}
			once, cancel := context.WithTimeout(ctx, time.Second)
			result, err := n.Propose(once, command{Key: key}.encode())
			cancel()
			if err == nil {
				return result.(int), nil
			}
			if !errors.Is(err, ha.ErrNotLeader) && !errors.Is(err, ha.ErrUnknown) {
				return 0, err
			}
		}
	}
	return 0, context.Cause(ctx)
}

// mustPropose proposes keys one by one.
func (g *group) mustPropose(prefix string, n int) (keys []string) {
	g.t.Helper()
	for i := range n {
		key := fmt.Sprintf("%s-%d", prefix, i)
		ctx, cancel := context.WithTimeout(g.t.Context(), time.Minute)
		_, err := g.propose(ctx, key)
		cancel()
		if err != nil {
			g.t.Fatalf("propose %s: %v", key, err)
		}
		keys = append(keys, key)
	}
	return keys
}

// awaitAll waits until every node that is up has exactly the keys.
func (g *group) awaitAll(keys []string) {
	g.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		behind := -1
		for i := range g.Size() {
			if g.Node(i) != nil && !slices.Equal(g.machines[i].all(), keys) {
				behind = i
			}
		}
		if behind < 0 {
			return
		}
		if time.Now().After(deadline) {
			g.t.Fatalf("node %d has %v, want %v", behind, g.machines[behind].all(), keys)
		}
	}
}
