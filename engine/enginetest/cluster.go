// Package enginetest runs programs on the engine as a cluster would, in one
// process: several attempts' shares connected by a network in memory, a
// controller of a few lines, sources and sinks in memory, and faults.
package enginetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/snapshot"
)

// ErrKilled is the cause that ends an attempt that the test killed.
var ErrKilled = errors.New("killed by the test")

// Cluster runs the attempts of one job. One goroutine uses it, but for Kill.
type Cluster struct {
	Bucket    objectstore.Bucket
	Processes int // how many share the subtasks
	Options   dataflow.Options
	Rand      *rand.Rand
	// AbortOneIn aborts about one checkpoint in so many; 0 aborts none.
	AbortOneIn int
	// OnlyFinal takes no checkpoint but the one at the end of the data.
	// Otherwise one follows the other without pause.
	OnlyFinal bool
	// TriggerFirst triggers the first process only, as a leader does that dies
	// right then: the others must hear of it by themselves. Subtasks are placed
	// as the scheduler does it, each process having some of every vertex.
	TriggerFirst bool
	// Barriers says how a checkpoint's barriers pass; nil: aligned. New makes it AnyMode.
	Barriers func(t *engine.Trigger)
	// LocalDir is where the processes have their local disks; empty: they have none.
	LocalDir string
	// Job is the job's id.
	Job dataflow.JobID
	Log *slog.Logger

	attempt dataflow.Attempt
	lastID  dataflow.CheckpointID
	restore *engine.Restore

	mu   sync.Mutex
	kill context.CancelCauseFunc // of the running attempt
	// Completed counts checkpoints, Aborted those given up, Deleted objects
	// that no checkpoint needed any more.
	Completed, Aborted, Deleted int
}

// New returns a cluster with a bucket in memory. Each checkpoint's barriers pass in a way of
// their own, but exactly once.
func New(seed uint64, processes int) *Cluster {
	c := &Cluster{
		Bucket: mem.New(), Processes: processes, Rand: rand.New(rand.NewPCG(seed, seed)),
		Options: dataflow.Options{BatchRows: 16, ChannelBatches: 2}, Log: slog.New(slog.DiscardHandler),
		Job: "job",
	}
	c.Barriers = c.AnyMode
	return c
}

// NewAligned is New with aligned barriers, for checkpoints from which another program starts: it
// could not take what is in flight.
func NewAligned(seed uint64, processes int) *Cluster {
	c := New(seed, processes)
	c.Barriers = nil
	return c
}

// AnyMode makes the barriers of a checkpoint pass in one of the ways that are exactly once.
func (c *Cluster) AnyMode(t *engine.Trigger) {
	switch c.Rand.IntN(4) {
	case 0, 1:
		t.Mode = engine.Unaligned
	case 2:
		t.AlignedTimeout = time.Duration(1+c.Rand.IntN(3)) * time.Millisecond
	}
}

// Kill ends the running attempt at once. Any goroutine may call it.
func (c *Cluster) Kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kill != nil {
		c.kill(ErrKilled)
	}
}

// share is one process's part of an attempt.
type share struct {
	process dataflow.Incarnation
	attempt *engine.Attempt
}

// event is what a share tells the controller.
type event struct {
	process   dataflow.Incarnation
	id        dataflow.CheckpointID
	part      *snapshot.Process
	reason    string
	ended     bool
	committed bool
}

// events passes on what a share tells. The channel is wide enough for all
// events of a test, so that calls do not block.
type events struct {
	process dataflow.Incarnation
	to      chan<- event
}

func (e events) Acknowledge(id dataflow.CheckpointID, s *snapshot.Process) {
	e.to <- event{process: e.process, id: id, part: s}
}
func (e events) Decline(id dataflow.CheckpointID, reason error) {
	e.to <- event{process: e.process, id: id, reason: reason.Error()}
}
func (e events) EndOfData() { e.to <- event{process: e.process, ended: true} }
func (e events) Committed(id dataflow.CheckpointID) {
	e.to <- event{process: e.process, id: id, committed: true}
}
func (e events) Restoring(engine.RestoreProgress) {}
func (e events) Trace(engine.TraceEvent)          {}

// eventsMax is more than a test makes in one attempt.
const eventsMax = 1 << 16

// Run runs an attempt until the job is finished (nil), it is killed
// (ErrKilled), or it fails. The next Run goes on from the last checkpoint.
func (c *Cluster) Run(ctx context.Context, p *engine.Program) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c.mu.Lock()
	c.attempt++
	c.kill = cancel
	c.mu.Unlock()
	heard := make(chan event, eventsMax)
	shares, err := c.open(ctx, p, heard)
	if err != nil {
		return err
	}
	group, inner := errgroup.WithContext(ctx)
	for _, s := range shares {
		group.Go(func() error { return s.attempt.Run(inner) })
	}
	group.Go(func() error { return c.control(inner, shares, heard) })
	if err := group.Wait(); !errors.Is(err, errDone) {
		return err
	}
	return nil
}

// errDone ends a finished job.
var errDone = errors.New("done")

// open places the subtasks at random and opens all shares.
func (c *Cluster) open(ctx context.Context, p *engine.Program, heard chan<- event) ([]share, error) {
	plan, err := p.Graph.Plan()
	if err != nil {
		return nil, err
	}
	tasks := make([][]dataflow.TaskID, c.Processes)
	for i, t := range plan.Tasks() {
		to := c.Rand.IntN(c.Processes)
		if i < c.Processes {
			to = i // nobody is left without
		}
		if c.TriggerFirst {
			to = t.Subtask % c.Processes
		}
		tasks[to] = append(tasks[to], t)
	}
	network := NewNetwork()
	var shares []share
	for i, mine := range tasks {
		if len(mine) == 0 {
			continue
		}
		name := dataflow.NewIncarnation()
		a, err := engine.Open(ctx, p, engine.Config{
			Cluster: "test", Job: c.Job, Attempt: c.attempt, Process: name, Options: c.Options.WithDefaults(),
			Subtasks: mine, Bucket: c.Bucket, ObjectPrefix: fmt.Sprintf("test/jobs/%s/%d/%s/", c.Job, c.attempt, name),
			Restore: c.restore, Network: network, Events: events{name, heard}, Log: c.Log, LocalDir: c.localDir(i),
		})
		if err != nil {
			for _, s := range shares {
				err = errors.Join(err, s.attempt.Close())
			}
			return nil, err
		}
		shares = append(shares, share{name, a})
	}
	return shares, nil
}

// localDir is the local disk of a process.
func (c *Cluster) localDir(process int) string {
	if c.LocalDir == "" {
		return ""
	}
	return filepath.Join(c.LocalDir, fmt.Sprint(process))
}

// control is the controller: one checkpoint after the other, and a last one
// when the data has ended.
func (c *Cluster) control(ctx context.Context, shares []share, heard <-chan event) error {
	k := &controller{c: c, shares: shares, committed: map[dataflow.Incarnation]dataflow.CheckpointID{}}
	if !c.OnlyFinal {
		k.trigger()
	}
	news := k.news()
	defer news.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-news.C:
			k.relay.Pass(k.attempts())
		case e := <-heard:
			if err := k.hear(e); err != nil {
				return err
			}
		}
	}
}

// controller is the state of one attempt's controller.
type controller struct {
	c         *Cluster
	shares    []share
	relay     Relay
	parts     map[dataflow.Incarnation]*snapshot.Process
	id        dataflow.CheckpointID // in flight
	ended     int
	final     bool                  // the one in flight is the last
	done      dataflow.CheckpointID // the final one is complete
	committed map[dataflow.Incarnation]dataflow.CheckpointID
}

// newsEvery is how often aligned sources hear of each other across processes.
const newsEvery = 5 * time.Millisecond

// news ticks if there are aligned sources in several processes.
func (k *controller) news() *time.Ticker {
	tick := time.NewTicker(newsEvery)
	if !slices.ContainsFunc(k.shares, func(s share) bool { return len(s.attempt.SourceTimes()) > 0 }) {
		tick.Stop()
	}
	return tick
}

func (k *controller) attempts() []*engine.Attempt {
	var all []*engine.Attempt
	for _, s := range k.shares {
		all = append(all, s.attempt)
	}
	return all
}

func (k *controller) trigger() {
	k.c.lastID++
	k.id, k.parts = k.c.lastID, map[dataflow.Incarnation]*snapshot.Process{}
	k.final = k.ended == len(k.shares)
	t := engine.Trigger{ID: k.id, At: time.Now()}
	if k.c.Barriers != nil {
		k.c.Barriers(&t)
	}
	for i, s := range k.shares {
		if i == 0 || !k.c.TriggerFirst {
			s.attempt.Trigger(t)
		}
	}
	if !k.final && k.c.AbortOneIn > 0 && k.c.Rand.IntN(k.c.AbortOneIn) == 0 {
		k.abort()
	}
}

func (k *controller) abort() {
	k.c.Aborted++
	for _, s := range k.shares {
		s.attempt.Aborted(k.id)
	}
	k.trigger()
}

func (k *controller) hear(e event) error {
	switch {
	case e.ended:
		if k.ended++; k.c.OnlyFinal && k.ended == len(k.shares) {
			k.trigger()
		}
	case e.committed:
		k.committed[e.process] = e.id
		return k.confirm()
	case e.id != k.id:
	case e.part == nil:
		k.abort()
	default:
		k.parts[e.process] = e.part
		if len(k.parts) == len(k.shares) {
			k.complete()
		}
	}
	return nil
}

func (k *controller) complete() {
	k.c.Completed++
	old := k.c.restore
	r := &engine.Restore{Checkpoint: k.id, Attempt: k.c.attempt}
	if k.c.restore != nil {
		r.CommitsKnown = k.c.restore.CommitsKnown
	}
	for _, p := range k.parts {
		r.Processes = append(r.Processes, *p)
	}
	k.c.restore = r
	k.collect(old)
	for _, s := range k.shares {
		s.attempt.Completed(k.id)
	}
	if k.final {
		k.done = k.id
		return
	}
	k.trigger()
}

// collect deletes the objects that only the checkpoint before referred to, and those
// that are released: only the newest checkpoint is retained, so one that needs
// more than it says can not be restored.
func (k *controller) collect(old *engine.Restore) {
	var garbage, needed []snapshot.Run
	if old != nil && !old.Origin { // what another job wrote is its own to delete
		for _, p := range old.Processes {
			garbage = append(garbage, p.Objects...)
		}
	}
	for _, p := range k.parts {
		garbage, needed = append(garbage, p.Released...), append(needed, p.Objects...)
	}
	for _, run := range garbage {
		for n := run.Lo; n <= run.Hi; n++ {
			if slices.ContainsFunc(needed, func(r snapshot.Run) bool { return r.Prefix == run.Prefix && r.Lo <= n && n <= r.Hi }) {
				continue
			}
			if err := k.c.Bucket.Delete(context.Background(), fmt.Sprintf("%s%012d.0", run.Prefix, n)); err != nil {
				panic(err) // the bucket in memory never fails
			}
			k.c.Deleted++
		}
	}
}

// confirm tells everybody what everybody has committed.
func (k *controller) confirm() error {
	if len(k.committed) < len(k.shares) {
		return nil
	}
	known := k.c.lastID
	for _, id := range k.committed {
		known = min(known, id)
	}
	k.c.restore.CommitsKnown = max(known, k.c.restore.CommitsKnown)
	for _, s := range k.shares {
		s.attempt.CommitsKnown(known)
	}
	if k.done != 0 && known >= k.done {
		return errDone
	}
	return nil
}

// RestoreFrom makes the next Run begin with that checkpoint.
func (c *Cluster) RestoreFrom(r *engine.Restore) { c.restore = r }

// Adopt makes the next Run begin with a checkpoint or savepoint of another cluster, whose
// numbers this one goes on from. nil: from the beginning.
func (c *Cluster) Adopt(r *engine.Restore) {
	if c.restore = r; r != nil {
		c.lastID, c.attempt = r.Checkpoint, r.Attempt
	}
}

// Restore is the last complete checkpoint; nil if there is none.
func (c *Cluster) Restore() *engine.Restore { return c.restore }
