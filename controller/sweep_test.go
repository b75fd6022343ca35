package controller

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/wire"
)

// writers are the changelogs of an agent's processes, as far as objects go: each
// checkpoint adds one, some uploads are hedged, some images are dropped, and an
// image that is whole takes the place of all before it.
type writers struct {
	c      *cluster
	random *rand.Rand
	agent  *agent

	mu sync.Mutex
	of map[string]*objectWriter // by process
}

// objectWriter is one process's.
type objectWriter struct {
	prefix    string
	last      uint64
	inherited []snapshot.Run
	own       []uint64 // that the handles name
	released  []uint64
}

func (w *writers) part(p *fakeProcess, t *wire.Trigger) snapshot.Process {
	w.mu.Lock()
	defer w.mu.Unlock()
	part := w.agent.part(p, t)
	o := w.of[p.status.Process]
	if o == nil {
		o = &objectWriter{prefix: part.Objects[0].Prefix, inherited: w.inherited(p.order)}
		w.of[p.status.Process] = o
	}
	o.own = append(o.own, w.put(o))
	if w.random.IntN(20) == 0 { // a hedge: its loser is released
		o.released = append(o.released, w.put(o))
	}
	if w.random.IntN(30) == 0 { // an image that fails half way: nobody ever names it
		w.put(o)
	}
	if w.random.IntN(15) == 0 {
		o.released = append(o.released, o.own...)
		o.own, o.inherited = []uint64{w.put(o)}, nil
	}
	part.Objects = append(o.inherited, o.runs(o.own)...)
	part.Released, o.released = o.runs(o.released), nil
	return part
}

// put writes the next object.
func (w *writers) put(o *objectWriter) uint64 {
	o.last++
	key := checkpointstore.ObjectKey(snapshot.Run{Prefix: o.prefix}, o.last)
	if err := w.c.bucket.Put(context.Background(), key, []byte("state"), objectstore.PutOptions{}); err != nil {
		w.c.t.Error(err)
	}
	return o.last
}

func (o *objectWriter) runs(numbers []uint64) []snapshot.Run {
	var runs []snapshot.Run
	for _, n := range numbers {
		runs = append(runs, snapshot.Run{Prefix: o.prefix, Lo: n, Hi: n})
	}
	return runs
}

// inherited is what the order's restore point names: its handles stay in front.
func (w *writers) inherited(d *wire.Deploy) []snapshot.Run {
	if d.RestoreCheckpoint == 0 {
		return nil
	}
	store := checkpointstore.New(w.c.bucket, d.Cluster)
	m, err := store.Read(context.Background(), catalog.Object{Key: d.RestoreKey, Size: d.RestoreSize, SHA256: d.RestoreSha256})
	if err != nil {
		w.c.t.Error(err)
		return nil
	}
	var runs []snapshot.Run
	for _, p := range m.Processes {
		runs = append(runs, p.Objects...)
	}
	for _, r := range runs { // what is named must be there: this is I1
		for n := r.Lo; n <= r.Hi; n++ {
			if _, err := w.c.bucket.Get(context.Background(), checkpointstore.ObjectKey(r, n), 0, -1); err != nil {
				w.c.t.Errorf("checkpoint %d can not be restored: %v", d.RestoreCheckpoint, err)
			}
		}
	}
	return runs
}

// explained are the keys that may be in the bucket: the claim, the artifact, and
// what the metadata of the retained checkpoints names.
func (c *cluster) explained(record *ledger.Job) []string {
	c.t.Helper()
	_, l := c.leader()
	keys := []string{checkpointstore.ArtifactKey(l.cluster(), c.sha)}
	for r := range record.Catalog.All() {
		keys = append(keys, r.Metadata.Key)
		m, err := l.store().Read(c.t.Context(), r.Metadata)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, p := range m.Processes {
			for _, run := range p.Objects {
				for n := run.Lo; n <= run.Hi; n++ {
					keys = append(keys, checkpointstore.ObjectKey(run, n))
				}
			}
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// stored are the keys in the bucket below the cluster's name.
func (c *cluster) stored() []string {
	c.t.Helper()
	_, l := c.leader()
	var keys []string
	err := c.bucket.List(c.t.Context(), l.cluster()+"/", func(i objectstore.Info) error {
		keys = append(keys, i.Key)
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return keys
}

// difference is what the bucket holds and nothing explains, and the reverse.
func (c *cluster) difference(record *ledger.Job) (unexplained, missing []string) {
	c.t.Helper()
	explained, stored := c.explained(record), c.stored()
	for _, key := range stored {
		if _, ok := slices.BinarySearch(explained, key); !ok {
			unexplained = append(unexplained, key)
		}
	}
	slices.Sort(stored)
	for _, key := range explained {
		if _, ok := slices.BinarySearch(stored, key); !ok {
			missing = append(missing, key)
		}
	}
	return unexplained, missing
}

// sweepLimit is long enough, in virtual time, for several turns of the sweeper
// and of the collectors: what is left then stays.
const sweepLimit = 4 * collectAgain

// live runs a job with retention 3 for so many checkpoints, with failures and
// changes of leader on the way, cancels it, and gives the sweep its time.
func (c *cluster) live(checkpoints int64, seed uint64) *ledger.Job {
	c.t.Helper()
	c.t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	agents := c.startAgents(3, 1)
	for _, a := range agents {
		w := &writers{c: c, random: rand.New(rand.NewPCG(seed, random.Uint64())), agent: a, of: map[string]*objectWriter{}}
		a.set(func() { a.writer = w.part })
	}
	id := c.submit(func(o *dataflow.Options) {
		o.CheckpointInterval, o.Retained = 20*time.Millisecond, 3
		o.Restart = dataflow.RestartStrategy{Initial: 10 * time.Millisecond, Max: 20 * time.Millisecond}
	})
	for next := int64(60); next < checkpoints; next += 60 + random.Int64N(60) {
		record := c.awaitCompleted(id, next)
		if next%4 == 0 {
			i := c.killLeader()
			c.raft.Restart(i)
			c.start(i, c.machines[i], c.watching[i])
			continue
		}
		c.awaitStatus(id, ledger.Running)
		for _, a := range agents {
			if a.hosts(id, record.Execution.Attempt) {
				a.fail(id, "killed")
				break
			}
		}
	}
	record := c.awaitCompleted(id, checkpoints)
	c.t.Logf("%d checkpoints in %d attempts", record.Completed, record.Execution.Attempt)
	if _, err := c.api().CancelJob(c.t.Context(), &wire.CancelJobRequest{Job: string(id), Key: freshKey()}); err != nil {
		c.t.Fatal(err)
	}
	record = c.awaitStatus(id, ledger.Cancelled)
	c.pass(sweepLimit)
	return record
}

// TestAfterAThousandCheckpointsTheStoreHoldsWhatTheyExplain: nothing is left that
// `cairn checkpoint show` does not name, and nothing that it names is gone.
func TestAfterAThousandCheckpointsTheStoreHoldsWhatTheyExplain(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		unexplained, missing := c.difference(c.live(1000, 42))
		if len(unexplained) > 0 || len(missing) > 0 {
			t.Fatalf("in the store and not explained:\n%s\nexplained and not in the store:\n%s", strings.Join(unexplained, "\n"), strings.Join(missing, "\n"))
		}
	})
}

// TestWithoutTheSweepObjectsAreLeft: the test above sees what the sweep takes
// away, or it would prove nothing.
func TestWithoutTheSweepObjectsAreLeft(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		record := c.live(300, 42)
		unexplained, missing := c.difference(record)
		if len(unexplained) == 0 || len(missing) > 0 {
			t.Fatalf("%d objects are left that nothing explains, want some; missing: %v", len(unexplained), missing)
		}
		_, l := c.leader()
		for _, key := range unexplained {
			if attempt, ok := checkpointstore.RunAttempt(l.cluster(), record.ID, key); !ok || attempt > record.EndedAttempts() {
				t.Errorf("%s is left: it is not the sweep's to take", key)
			}
		}
	}, func(cfg *Config) { cfg.NoSweep = true })
}

// TestTheSweepFindsWhatComesLate: a process that is cut off goes on writing after
// its attempt has ended, and after the first look.
func TestTheSweepFindsWhatComesLate(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		agents := c.startAgents(2, 1)
		id := c.submit()
		first := c.awaitCompleted(id, 2).Execution.Attempt
		agents[0].fail(id, "killed")
		c.await("the next attempt", func() bool { return c.record(id).Execution.Attempt > first && c.record(id).Status == ledger.Running })
		_, l := c.leader()
		put := func(attempt dataflow.Attempt, n uint64) string {
			key := checkpointstore.ObjectKey(snapshot.Run{Prefix: checkpointstore.RunPrefix(l.cluster(), id, attempt, "zombie")}, n)
			if err := c.bucket.Put(t.Context(), key, []byte("late"), objectstore.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			return key
		}
		c.pass(time.Second)
		late, running := put(first, 9), put(first+1, 9)
		c.await("the late object to go", func() bool { return !slices.Contains(c.stored(), late) })
		c.pass(3 * collectAgain)
		if !slices.Contains(c.stored(), running) {
			t.Error("an object of the running attempt is gone: a checkpoint to come may name it")
		}
	})
}
