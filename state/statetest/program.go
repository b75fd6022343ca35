package statetest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/changelog"
)

var (
	programs  = flag.Int("programs", 12, "number of random programs of statetest")
	firstSeed = flag.Uint64("seed", 0, "seed of the first random program of statetest; the others follow it")
)

// testPrograms runs random programs. Their seeds are in the names of the
// subtests: -seed N -programs 1 runs program N again.
func testPrograms(t *testing.T, open Open) {
	for seed := *firstSeed; seed < *firstSeed+uint64(*programs); seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			w := newWorld(t, open, seed)
			w.start()
			for _, next := range []int{1, 3, 2, 1 + w.rnd.IntN(4), 1} {
				for range 5 {
					w.step()
				}
				w.crash(next)
				w.compare()
			}
			w.stop()
		})
	}
}

// world is one operator's subtasks, all in one process on one machine, and a
// reference.
type world struct {
	t           *testing.T
	open        Open
	rnd         *rand.Rand
	bucket      *flaky
	local       string // the machine's folder; empty: none
	parallelism int

	attempt   int
	uploader  *changelog.Uploader
	cancel    context.CancelFunc
	ended     chan error
	subtasks  []*subtask
	model     model
	id        dataflow.CheckpointID
	completed checkpoint
}

// checkpoint is a completed one, and what the state was at its barrier.
type checkpoint struct {
	process snapshot.Process
	model   model
}

// keyed returns the checkpoint's handles.
func (c *checkpoint) keyed() (handles []snapshot.Keyed) {
	for _, s := range c.process.Subtasks {
		handles = append(handles, *s.Operators[0].Keyed)
	}
	return handles
}

// newWorld makes a world whose store fails in every third program, and which has
// local copies in every second.
func newWorld(t *testing.T, open Open, seed uint64) *world {
	w := &world{t: t, open: open, rnd: rand.New(rand.NewPCG(seed, 0)), model: model{}, parallelism: 1}
	w.bucket = newFlaky(seed, seed%3 == 2)
	if seed%2 == 1 {
		w.local = t.TempDir()
	}
	return w
}

// start begins an attempt from the completed checkpoint.
func (w *world) start() {
	w.attempt++
	u, err := changelog.New(changelog.Config{
		Bucket: w.bucket, Prefix: fmt.Sprintf("c/jobs/j/%d/p/", w.attempt), PackBytes: 1 << 10,
		LogBytes: 4 << 10, LocalDir: w.local, Compression: []string{"s2", "zstd", "none"}[w.attempt%3],
	})
	check(w.t, err)
	ctx, cancel := context.WithCancel(w.t.Context())
	w.uploader, w.cancel, w.ended, w.subtasks = u, cancel, make(chan error, 1), nil
	go func() { w.ended <- u.Run(ctx) }()
	for i := range w.parallelism {
		lo, hi := dataflow.GroupRange(groups, w.parallelism, i)
		log, err := u.Log(fmt.Sprintf("op/%d", i), lo, hi)
		check(w.t, err)
		store, err := w.open(lo, hi, log)
		check(w.t, err)
		w.subtasks = append(w.subtasks, &subtask{store: store, log: log, lo: lo, hi: hi})
	}
	w.restore(ctx)
	for _, s := range w.subtasks {
		s.register(w)
	}
}

// restore fills the subtasks' stores, as an engine does it.
func (w *world) restore(ctx context.Context) {
	w.t.Helper()
	cfg := changelog.RestoreConfig{Bucket: w.bucket}
	if w.local != "" {
		cfg.Local = changelog.OpenLocal(filepath.Join(w.local, changelog.LocalFolder))
	}
	var targets []changelog.Target
	for _, s := range w.subtasks {
		targets = append(targets, changelog.Target{Handles: w.completed.keyed(), GroupLo: s.lo, GroupHi: s.hi, Into: s.store})
	}
	copied := w.rnd.IntN(3) == 0
	if copied {
		targets = w.copy(ctx, targets)
	} else {
		w.uploader.InheritSums(w.completed.process.Objects, w.completed.process.Sums)
	}
	done, err := changelog.RestoreAll(ctx, cfg, targets)
	check(w.t, err)
	for i, s := range w.subtasks {
		s.log.Inherit(done.Inherited[i])
	}
	if copied {
		w.leave()
	}
}

// copy makes objects of the attempt's own of what the stores are to be restored from.
func (w *world) copy(ctx context.Context, targets []changelog.Target) []changelog.Target {
	w.t.Helper()
	for {
		own, err := w.uploader.Copy(ctx, changelog.CopyConfig{Bucket: w.bucket}, targets)
		if err == nil {
			return own
		}
		if !w.bucket.fails {
			w.t.Fatal(err)
		}
	}
}

// leave takes a checkpoint of what was copied and deletes the objects that it was copied
// from.
func (w *world) leave() {
	w.t.Helper()
	old := w.completed
	w.id++
	cuts := map[*changelog.Log]state.Cut{}
	for _, s := range w.subtasks {
		cuts[s.log] = s.store.Cut(w.id)
	}
	seal, err := w.uploader.Seal(w.t.Context(), w.id, cuts)
	check(w.t, err)
	own := fmt.Sprintf("c/jobs/j/%d/p/", w.attempt)
	for _, r := range seal.Objects {
		if r.Prefix != own {
			w.t.Errorf("a checkpoint of a copy names %+v", r)
		}
	}
	w.complete(seal, old.model)
	for _, r := range old.process.Objects {
		for n := r.Lo; n <= r.Hi; n++ {
			check(w.t, w.bucket.Delete(w.t.Context(), fmt.Sprintf("%s%012d.0", r.Prefix, n)))
		}
	}
	w.verify()
}

func (w *world) stop() {
	w.t.Helper()
	w.cancel()
	if err := <-w.ended; !errors.Is(err, context.Canceled) {
		w.t.Errorf("run: %v", err)
	}
	for _, s := range w.subtasks {
		check(w.t, s.store.Close())
	}
}

// crash ends the attempt and starts another with that parallelism.
func (w *world) crash(parallelism int) {
	w.t.Helper()
	w.batch(40) // is lost
	w.stop()
	w.damageCopies()
	w.parallelism = parallelism
	w.model = maps.Clone(w.completed.model)
	if w.model == nil {
		w.model = model{}
	}
	w.start()
}

// step runs some batches and a checkpoint, which may come to nothing.
func (w *world) step() {
	w.t.Helper()
	for range w.rnd.IntN(4) {
		w.batch(w.rnd.IntN(60))
	}
	w.id++
	cuts := map[*changelog.Log]state.Cut{}
	for _, s := range w.subtasks {
		check(w.t, s.store.EndBatch())
		cuts[s.log] = s.store.Cut(w.id)
	}
	at := maps.Clone(w.model)
	w.batch(w.rnd.IntN(60)) // behind the barrier
	complete, verify := w.rnd.IntN(3) > 0, w.rnd.IntN(5) == 0
	seal, err := w.uploader.Seal(w.t.Context(), w.id, cuts)
	if errors.Is(err, changelog.ErrStoreUnavailable) && w.bucket.fails {
		return
	}
	check(w.t, err)
	if complete {
		w.complete(seal, at)
	}
	if complete && verify {
		w.verify()
	}
}

// complete completes a checkpoint and deletes what it says is garbage.
func (w *world) complete(seal *changelog.Seal, at model) {
	p := snapshot.Process{Objects: seal.Objects, Sums: seal.Sums}
	for _, s := range w.subtasks {
		k := seal.Keyed[s.log]
		p.Subtasks = append(p.Subtasks, snapshot.Subtask{Operators: []snapshot.Operator{{UID: "op", Keyed: &k}}})
	}
	w.completed = checkpoint{p, at}
	w.uploader.Completed(w.id)
	for _, r := range seal.Released {
		for n := r.Lo; n <= r.Hi; n++ {
			check(w.t, w.bucket.Delete(w.t.Context(), fmt.Sprintf("%s%012d.0", r.Prefix, n)))
		}
	}
}

// verify verifies the completed checkpoint.
func (w *world) verify() {
	w.t.Helper()
	report, err := changelog.Verify(w.t.Context(), changelog.VerifyConfig{
		Bucket: w.bucket, Processes: []snapshot.Process{w.completed.process},
		Open: func(_ dataflow.UID, k snapshot.Keyed) (changelog.Scratch, error) {
			return w.open(k.GroupLo, k.GroupHi, nil)
		},
	})
	check(w.t, err)
	for _, p := range report.Problems {
		w.t.Errorf("checkpoint %d: %s: %v", w.id, p.Object, p.Err)
	}
}
