// Package virtual runs a whole Raft group in one test: network and disks are in
// memory, and inside a bubble of testing/synctest time is virtual too, so that an
// hour of elections takes a second.
//
//	synctest.Test(t, func(t *testing.T) {
//		c := virtual.New(t, 3, func(i int) ha.StateMachine { return newLedger() })
//		old := c.Leader()
//		c.Isolate(old)
//		c.AwaitLeader(old) // somebody else
//		c.Heal()
//	})
//
// Everything that a test adds must stay in memory: a goroutine that waits for a
// socket stops virtual time. Only time is virtual; the order of goroutines is not
// reproducible.
package virtual

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/cairnstream/cairn/ha"
)

// electionLimit bounds the wait for a leader. With default timeouts an election
// among members that reach each other takes less than a second.
const electionLimit = time.Minute

// Cluster is a Raft group in memory. Its methods are called by the test's own
// goroutine, except Node.
type Cluster struct {
	// OnFatal gets the error of a node that gave itself up, from any
	// goroutine. Default: the test fails. Set it before the node fails.
	OnFatal func(i int, err error)

	t       testing.TB
	machine func(i int) ha.StateMachine
	tune    []func(i int, cfg *ha.Config)
	disks   []*ha.Storage
	wires   []*raft.InmemTransport // nil while the node is down
	cut     map[[2]int]bool        // from, to

	mu    sync.Mutex
	nodes []*ha.Node // nil while the node is down
}

// New starts n nodes that reach each other, and stops them when the test ends.
// machine makes node i's state machine, again at each Restart. tune may change
// a node's configuration before it starts.
func New(t testing.TB, n int, machine func(i int) ha.StateMachine, tune ...func(i int, cfg *ha.Config)) *Cluster {
	t.Helper()
	c := &Cluster{
		t: t, machine: machine, tune: tune,
		wires: make([]*raft.InmemTransport, n),
		nodes: make([]*ha.Node, n),
		cut:   map[[2]int]bool{},
	}
	c.OnFatal = func(i int, err error) { t.Errorf("node %s gave up: %v", ID(i), err) }
	// A failed test must stop the nodes too: Raft's timers would tick on in
	// virtual time for ever.
	t.Cleanup(c.stop)
	for range n {
		store := raft.NewInmemStore()
		c.disks = append(c.disks, &ha.Storage{Log: store, Stable: store, Snapshots: raft.NewInmemSnapshotStore()})
	}
	for i := range n {
		c.Restart(i)
	}
	return c
}

// ID is the id of node i: c1, c2, c3.
func ID(i int) string { return fmt.Sprintf("c%d", i+1) }

// Size is the number of nodes, up or down.
func (c *Cluster) Size() int { return len(c.disks) }

// Node is node i, or nil while it is down. It may be called from any goroutine.
func (c *Cluster) Node(i int) *ha.Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[i]
}

// Leader waits until a node leads that can commit, and returns its number.
func (c *Cluster) Leader() int {
	c.t.Helper()
	return c.AwaitLeader()
}

// AwaitLeader is Leader, but for a leader that is none of the given nodes.
func (c *Cluster) AwaitLeader(except ...int) int {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), electionLimit)
	defer cancel()
	for ctx.Err() == nil {
		for i := range c.nodes {
			if !slices.Contains(except, i) && c.leads(ctx, i) {
				return i
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	c.t.Fatalf("no leader within %v", electionLimit)
	return -1
}

// leads tells whether node i can commit.
func (c *Cluster) leads(ctx context.Context, i int) bool {
	n := c.Node(i)
	return n != nil && n.Leader() == ID(i) && n.Barrier(ctx) == nil
}

// Isolate cuts node i off from all others, both ways.
func (c *Cluster) Isolate(i int) {
	for j := range c.nodes {
		if j != i {
			c.cut[[2]int{i, j}], c.cut[[2]int{j, i}] = true, true
		}
	}
	c.rewire()
}

// Cut drops what node from sends to node to. Answers to the other's requests
// still pass.
func (c *Cluster) Cut(from, to int) {
	c.cut[[2]int{from, to}] = true
	c.rewire()
}

// Heal lets every node reach every other again.
func (c *Cluster) Heal() {
	clear(c.cut)
	c.rewire()
}

// rewire connects the nodes that are up as cut says.
func (c *Cluster) rewire() {
	for i, from := range c.wires {
		for j, to := range c.wires {
			switch {
			case from == nil || i == j:
			case to == nil || c.cut[[2]int{i, j}]:
				from.Disconnect(address(j))
			default:
				from.Connect(address(j), to)
			}
		}
	}
}

func address(i int) raft.ServerAddress { return raft.ServerAddress(ID(i)) }

// Kill stops node i as a crash does: cut off first, it can't hand anything over.
// What it had written stays on its disk.
func (c *Cluster) Kill(i int) {
	if wire := c.wires[i]; wire != nil {
		c.wires[i] = nil
		wire.DisconnectAll()
		c.rewire()
	}
	c.Stop(i)
}

// Stop stops node i in good order: a leader hands over first.
func (c *Cluster) Stop(i int) {
	c.t.Helper()
	c.mu.Lock()
	n := c.nodes[i]
	c.nodes[i] = nil
	c.mu.Unlock()
	if n == nil {
		return
	}
	if err := n.Close(); err != nil {
		c.t.Errorf("close node %s: %v", ID(i), err)
	}
	c.wires[i] = nil
	c.rewire()
}

// Restart starts node i, which is down, on its disk and with a new state machine.
func (c *Cluster) Restart(i int) {
	c.t.Helper()
	if c.Node(i) != nil {
		c.t.Fatalf("node %s is up", ID(i))
	}
	_, c.wires[i] = raft.NewInmemTransport(address(i))
	n, err := ha.Open(c.config(i), c.machine(i))
	if err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	c.nodes[i] = n
	c.mu.Unlock()
	c.rewire()
}

func (c *Cluster) config(i int) ha.Config {
	cfg := ha.Config{
		Cluster:   "virtual",
		ID:        ID(i),
		Transport: c.wires[i],
		Storage:   c.disks[i],
		Fatal:     func(err error) { c.OnFatal(i, err) },
		Log:       slog.New(slog.DiscardHandler),
	}
	for j := range c.disks {
		cfg.Peers = append(cfg.Peers, ha.Peer{ID: ID(j), RaftAddress: ID(j)})
	}
	for _, tune := range c.tune {
		tune(i, &cfg)
	}
	return cfg
}

// stop ends every node.
func (c *Cluster) stop() {
	for i := range c.nodes {
		c.Kill(i)
	}
}
