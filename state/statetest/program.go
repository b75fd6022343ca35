package statetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/changelog"
)

// testPrograms runs random programs; each prints its seed when it fails.
func testPrograms(t *testing.T, open Open) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			w := &world{
				t: t, open: open, rnd: rand.New(rand.NewPCG(seed, 0)),
				bucket: mem.New(), model: model{}, parallelism: 1,
			}
			w.start(nil)
			for _, next := range []int{1, 3, 2, 1 + w.rnd.IntN(4), 1} {
				for range 6 {
					w.step()
				}
				w.crash(next)
				w.compare()
			}
			w.stop()
		})
	}
}

// model is the reference: handle/key/sub to value.
type model map[string]string

// world is one operator's subtasks, all in one process, and a reference.
type world struct {
	t           *testing.T
	open        Open
	rnd         *rand.Rand
	bucket      *mem.Bucket
	parallelism int

	attempt   int
	uploader  *changelog.Uploader
	cancel    context.CancelFunc
	ended     chan error
	subtasks  []subtask
	model     model
	id        dataflow.CheckpointID
	completed checkpoint
}

type subtask struct {
	store   Store
	log     *changelog.Log
	handles []state.Handle
}

// checkpoint is a completed one, and what the state was at its barrier.
type checkpoint struct {
	keyed []snapshot.Keyed
	model model
}

// start begins an attempt from the completed checkpoint.
func (w *world) start(handles []snapshot.Keyed) {
	w.attempt++
	u, err := changelog.New(changelog.Config{
		Bucket: w.bucket, Prefix: fmt.Sprintf("c/jobs/j/%d/p/", w.attempt), PackBytes: 1 << 10,
		Image: changelog.ImagePolicy{LogBytesMin: 4 << 10, LogPerLive: 1, SegmentsMax: 8},
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
		inherited, err := changelog.Restore(ctx, w.bucket, handles, lo, hi, store, nil)
		check(w.t, err)
		log.Inherit(inherited)
		w.subtasks = append(w.subtasks, subtask{store, log, w.register(store)})
	}
}

// register names the states in another order in each attempt: handles are
// not the same across restores unless the store makes them so.
func (w *world) register(s Store) []state.Handle {
	names := []string{"a", "b", "c"}
	handles := make([]state.Handle, len(names))
	for _, i := range w.rnd.Perm(len(names)) {
		handles[i] = register(w.t, s, names[i])
	}
	return handles
}

func (w *world) stop() {
	w.cancel()
	if err := <-w.ended; !errors.Is(err, context.Canceled) {
		w.t.Errorf("run: %v", err)
	}
}

// crash ends the attempt and starts another with that parallelism.
func (w *world) crash(parallelism int) {
	w.batch(40) // is lost
	w.stop()
	w.parallelism = parallelism
	w.model = maps.Clone(w.completed.model)
	if w.model == nil {
		w.model = model{}
	}
	w.start(w.completed.keyed)
}

// step runs some batches and a checkpoint, which may come to nothing.
func (w *world) step() {
	for range w.rnd.IntN(4) {
		w.batch(w.rnd.IntN(60))
	}
	w.id++
	cuts := map[*changelog.Log]state.Cut{}
	for _, s := range w.subtasks {
		cuts[s.log] = s.store.Cut(w.id)
	}
	at := maps.Clone(w.model)
	w.batch(w.rnd.IntN(60)) // behind the barrier
	seal, err := w.uploader.Seal(w.t.Context(), w.id, cuts)
	check(w.t, err)
	if w.rnd.IntN(3) > 0 {
		w.complete(seal, at)
	}
}

// complete completes a checkpoint and deletes what it says is garbage.
func (w *world) complete(seal *changelog.Seal, at model) {
	w.completed = checkpoint{model: at}
	for _, s := range w.subtasks {
		w.completed.keyed = append(w.completed.keyed, seal.Keyed[s.log])
	}
	w.uploader.Completed(w.id)
	for _, r := range seal.Released {
		for n := r.Lo; n <= r.Hi; n++ {
			check(w.t, w.bucket.Delete(w.t.Context(), fmt.Sprintf("%s%012d.0", r.Prefix, n)))
		}
	}
}

// batch makes n random changes and ends the batch.
func (w *world) batch(n int) {
	for range n {
		key := fmt.Sprint("key", w.rnd.IntN(60))
		group := dataflow.KeyGroup(dataflow.KeyHash([]byte(key)), groups)
		s := &w.subtasks[dataflow.SubtaskOf(group, groups, w.parallelism)]
		s.store.SetKey(group, []byte(key))
		w.change(s, key)
	}
	for _, s := range w.subtasks {
		s.store.EndBatch()
	}
}

func (w *world) change(s *subtask, key string) {
	i := w.rnd.IntN(len(s.handles))
	sub := strings.Repeat("s", w.rnd.IntN(6))
	name := fmt.Sprintf("%d/%s/%s", i, key, sub)
	switch w.rnd.IntN(10) {
	case 0, 1, 2:
		s.store.Delete(s.handles[i], []byte(sub))
		delete(w.model, name)
	case 3:
		w.compareScan(s, i, key)
	default:
		v := strings.Repeat(fmt.Sprint(w.rnd.IntN(10)), w.rnd.IntN(80))
		s.store.Put(s.handles[i], []byte(sub), []byte(v))
		w.model[name] = v
	}
}

// compareScan checks the current key's entries of a state and their order.
func (w *world) compareScan(s *subtask, i int, key string) {
	var want []string
	for sub := ""; len(sub) < 6; sub += "s" {
		if v, ok := w.model[fmt.Sprintf("%d/%s/%s", i, key, sub)]; ok {
			want = append(want, sub+"="+v)
		}
	}
	equal(w.t, "scan", scan(s.store, s.handles[i]), want)
}

// compare checks every entry of every subtask against the reference.
func (w *world) compare() {
	w.t.Helper()
	got := model{}
	var entries int64
	for _, s := range w.subtasks {
		n, _ := s.store.Size()
		entries += n
		for i, h := range s.handles {
			s.store.ScanAll(h, func(_ int, key, sub, value []byte) bool {
				got[fmt.Sprintf("%d/%s/%s", i, key, sub)] = string(value)
				return true
			})
		}
	}
	if !maps.Equal(got, w.model) || int(entries) != len(w.model) {
		w.t.Fatalf("%d entries (%d by size) restored, %d expected; different: %v",
			len(got), entries, len(w.model), difference(got, w.model))
	}
}

func difference(a, b model) []string {
	var out []string
	for k := range a {
		if v, ok := b[k]; !ok || v != a[k] {
			out = append(out, fmt.Sprintf("%s is %q, not %q", k, a[k], b[k]))
		}
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			out = append(out, k+" is missing")
		}
	}
	slices.Sort(out)
	return out[:min(len(out), 10)]
}
