package controller

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/ha"
	"github.com/cairnstream/cairn/internal/virtual"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/wire"
)

// cluster is a trio of controllers in virtual time, with agents that are fakes
// in memory. What leaders order is written down.
type cluster struct {
	t      *testing.T
	raft   *virtual.Cluster
	bucket objectstore.Bucket
	sha    string // of the one artifact

	mu          sync.Mutex
	controllers []*Controller
	stop        []func() // ends controller i's work and waits
	orders      []order
	agents      map[string]*agent
	graph       *dataflow.Graph
	behaviours  map[string]string // of programs, by artifact; set before they are planned
	machines    [3]*ledger.Ledger // the newest of each node
	watching    [3]*watchers
	configure   []func(*Config) // of each controller
	cut         atomic.Uint64   // orders of this term and of those before reach nobody any more
}

// order is one order as an agent got it.
type order struct {
	to   string
	term uint64
	m    *wire.LeaderMessage
}

// inBubble runs f with a fresh trio whose leader is ready.
func inBubble(t *testing.T, f func(t *testing.T, c *cluster), configure ...func(*Config)) {
	inBubbleOn(t, mem.New(), f, configure...)
}

// inBubbleOn is inBubble with a given bucket.
func inBubbleOn(t *testing.T, bucket objectstore.Bucket, f func(t *testing.T, c *cluster), configure ...func(*Config)) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{t: t, bucket: bucket, controllers: make([]*Controller, 3), stop: make([]func(), 3), agents: map[string]*agent{}, graph: twoStep(2), configure: configure}
		c.raft = virtual.New(t, 3, func(i int) ha.StateMachine {
			c.watching[i] = &watchers{}
			c.machines[i] = ledger.New(c.watching[i].observe)
			return c.machines[i]
		})
		for i := range 3 {
			c.start(i, c.machines[i], c.watching[i])
		}
		defer c.end()
		c.putArtifact([]byte("a program"))
		f(t, c)
	})
}

// start runs controller i over its Raft node.
func (c *cluster) start(i int, machine *ledger.Ledger, watching *watchers) {
	node := c.raft.Node(i)
	cfg := Config{ID: virtual.ID(i), DataDir: c.t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	for j := range 3 {
		cfg.Peers = append(cfg.Peers, Peer{ID: virtual.ID(j), API: virtual.ID(j) + ":1", Raft: virtual.ID(j) + ":2"})
	}
	if testing.Verbose() {
		cfg.Log = slog.New(slog.NewTextHandler(c.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})).With("controller", cfg.ID)
	}
	for _, f := range c.configure {
		f(&cfg)
	}
	cfg = cfg.WithDefaults()
	ctl := newController(world{
		cfg: cfg, replica: node, ledger: machine, bucket: c.bucket, claimed: &atomic.Bool{}, metrics: newMetrics(), log: cfg.Log,
	}, watching)
	ctl.applied = node.Applied
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := node.Terms(ctx, ctl.lead); !errors.Is(err, ha.ErrClosed) && !errors.Is(err, context.Canceled) {
			c.t.Errorf("controller %s: %v", cfg.ID, err)
		}
	}()
	c.mu.Lock()
	c.controllers[i] = ctl
	c.stop[i] = func() { cancel(); <-done }
	c.mu.Unlock()
}

// end stops agents and controllers; Raft follows by itself.
func (c *cluster) end() {
	for _, a := range c.agents {
		a.kill()
	}
	for _, stop := range c.stop {
		stop()
	}
}

// leader waits for a controller that leads and is ready.
func (c *cluster) leader(except ...int) (int, *leader) {
	c.t.Helper()
	var index int
	var found *leader
	c.await("a leader", func() bool {
		for i := range 3 {
			if slices.Contains(except, i) || c.raft.Node(i) == nil {
				continue
			}
			if l := c.controllers[i].current.Load(); l != nil && isClosed(l.ready) && !isClosed(l.over) {
				index, found = i, l
				return true
			}
		}
		return false
	})
	return index, found
}

// killLeader crashes the controller that leads and returns its number.
func (c *cluster) killLeader() int {
	i, _ := c.leader()
	c.raft.Kill(i)
	c.stop[i]()
	return i
}

// awaitLimit bounds, in virtual time, what a test waits for.
const awaitLimit = 2 * time.Minute

// await waits until cond holds, looking each virtual millisecond.
func (c *cluster) await(what string, cond func() bool) {
	c.t.Helper()
	deadline := time.Now().Add(awaitLimit)
	for !cond() {
		if time.Now().After(deadline) {
			c.t.Fatalf("waited %v for %s", awaitLimit, what)
		}
		c.pass(time.Millisecond)
	}
}

// pass lets virtual time pass.
func (c *cluster) pass(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
}

func (c *cluster) putArtifact(program []byte) {
	c.t.Helper()
	_, l := c.leader()
	sum := sha256.Sum256(program)
	c.sha = hex.EncodeToString(sum[:])
	if _, _, err := l.store().PutArtifact(c.t.Context(), c.sha, bytes.NewReader(program)); err != nil {
		c.t.Fatal(err)
	}
}

// api is the Control service of the controller that leads.
func (c *cluster) api() controlService {
	i, _ := c.leader()
	return controlService{c: c.controllers[i]}
}

// submit submits the cluster's graph with a checkpoint each second.
func (c *cluster) submit(change ...func(*dataflow.Options)) dataflow.JobID {
	c.t.Helper()
	o := dataflow.Options{CheckpointInterval: time.Second, TolerableFailures: 3}
	for _, f := range change {
		f(&o)
	}
	options, err := json.Marshal(o)
	if err != nil {
		c.t.Fatal(err)
	}
	r, err := c.api().SubmitJob(c.t.Context(), &wire.SubmitJobRequest{ArtifactSha256: c.sha, Options: options, Platform: "linux/amd64", Key: freshKey()})
	if err != nil {
		c.t.Fatal(err)
	}
	return dataflow.JobID(r.Job)
}

// record is the job as the leader's ledger holds it.
func (c *cluster) record(id dataflow.JobID) *ledger.Job {
	c.t.Helper()
	_, l := c.leader()
	record := l.record(id)
	if record == nil {
		c.t.Fatalf("job %s is not in the ledger", id)
	}
	return record
}

func (c *cluster) awaitStatus(id dataflow.JobID, status ledger.Status) *ledger.Job {
	c.t.Helper()
	c.await(fmt.Sprintf("job %s to be %s", id, status), func() bool { return c.record(id).Status == status })
	return c.record(id)
}

// awaitCompleted waits until n checkpoints of the job have completed.
func (c *cluster) awaitCompleted(id dataflow.JobID, n int64) *ledger.Job {
	c.t.Helper()
	c.await(fmt.Sprintf("%d checkpoints of %s", n, id), func() bool { return c.record(id).Completed >= n })
	return c.record(id)
}

func (c *cluster) note(to string, m *wire.LeaderMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.orders = append(c.orders, order{to, m.Term, m})
}

// ordered counts the orders since mark that match.
func (c *cluster) ordered(mark int, match func(order) bool) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, o := range c.orders[mark:] {
		if match(o) {
			n++
		}
	}
	return n
}

// mark is how many orders there were until now.
func (c *cluster) mark() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.orders)
}

func isDeployOrStop(o order) bool { return o.m.GetDeploy() != nil || o.m.GetStop() != nil }

// twoStep is a source and an exactly-once sink, keyed in between.
func twoStep(parallelism int) *dataflow.Graph {
	return &dataflow.Graph{
		Name: "count", KeyGroups: 16,
		Operators: []dataflow.Operator{
			{UID: "in", Name: "in", Kind: dataflow.Source, Stateful: true, Parallelism: parallelism},
			{UID: "out", Name: "out", Kind: dataflow.Sink, Stateful: true, Parallelism: parallelism, Transactional: true},
		},
		Edges: []dataflow.Edge{{From: "in", To: "out", Partitioning: dataflow.Hash, Type: "string"}},
	}
}

// restartAll crashes every controller and starts them again on their disks.
func (c *cluster) restartAll() {
	for i := range 3 {
		c.raft.Kill(i)
		c.stop[i]()
	}
	for i := range 3 {
		c.raft.Restart(i)
		c.start(i, c.machines[i], c.watching[i])
	}
}
