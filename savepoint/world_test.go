package savepoint_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/savepoint"
	"github.com/cairnstream/cairn/savepoint/rowfile"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/changelog"
	"github.com/cairnstream/cairn/state/inspect"
	"github.com/cairnstream/cairn/state/inspect/inspecttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const groups = 32

// now is the clock of the states, in Unix milliseconds.
const now = 1_700_000_000_000

// window is a namespace.
type window struct{ Start, End int64 }

// total is a value.
type total struct {
	Sum   int64
	Name  string
	Parts []float64
}

// world is an operator with a state of every kind, and its process.
type world struct {
	t       testing.TB
	bucket  objectstore.Bucket
	p       *inspecttest.Process
	keys    codec.Codec[string]
	spaces  codec.Codec[window]
	totals  []*state.Value[total]
	counts  []*state.Value[int64]
	windows []*state.Value[int64]
	words   []*state.Map[string, total]
	lists   []*state.List[string]
	recent  []*state.Value[int64]
	timers  []*state.Timers
	// sums is what the totals are, by key.
	sums map[string]int64
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start starts the operator. images makes its checkpoints consist of images, which
// are files of backend lsm.
func start(t testing.TB, backend string, parallelism int, images bool) *world {
	t.Helper()
	w := &world{t: t, bucket: mem.New(), keys: must[codec.Codec[string]](t)(codec.Key[string]()), sums: map[string]int64{}}
	w.p = inspecttest.Start(t, inspecttest.Config{
		Bucket: w.bucket, Prefix: "c/jobs/j/1/p/", UID: "Totals by word", KeySchema: w.keys.Schema(), KeyGroups: groups,
		Parallelism: parallelism, Backend: backend, Images: images, MemoryBytes: 4 << 20,
	})
	w.spaces = must[codec.Codec[window]](t)(codec.Ordered[window]())
	for _, s := range w.p.Stores() {
		lives := state.NewLifetimes(s, func() int64 { return now })
		w.totals = append(w.totals, must[*state.Value[total]](t)(state.NewValue[total](s, "total")))
		w.counts = append(w.counts, must[*state.Value[int64]](t)(state.NewValue[int64](s, "Total")))
		w.windows = append(w.windows, must[*state.Value[int64]](t)(state.NewValue[int64](s, "window", state.Namespaced(w.spaces))))
		w.words = append(w.words, must[*state.Map[string, total]](t)(state.NewMap[string, total](s, "words")))
		w.lists = append(w.lists, must[*state.List[string]](t)(state.NewList[string](s, "list")))
		w.recent = append(w.recent, must[*state.Value[int64]](t)(state.NewValue[int64](s, "recent", state.WithTTL(lives, state.TTL{After: time.Hour}))))
		w.timers = append(w.timers, must[*state.Timers](t)(state.NewTimers(s, "timers")))
	}
	return w
}

// set chooses a key and returns the number of its subtask.
func (w *world) set(key string) int { return w.p.SetKey(w.keys.Append(nil, &key)) }

// change does one of a few things to a key.
func (w *world) change(key string, what int, n int64) {
	w.t.Helper()
	i := w.set(key)
	switch what % 8 {
	case 0:
		w.sums[key] = n
		check(w.t, w.totals[i].Set(total{Sum: n, Name: key, Parts: make([]float64, n%5)}))
	case 1:
		delete(w.sums, key)
		w.totals[i].Clear()
	case 2:
		check(w.t, w.counts[i].Set(n))
	case 3:
		w.windows[i].In(w.spaces.Append(nil, &window{n % 3, n%3 + 1}))
		check(w.t, w.windows[i].Set(n))
	case 4:
		check(w.t, w.words[i].Put(fmt.Sprint("word", n%4), total{Sum: n}))
	case 5:
		check(w.t, w.lists[i].Append(fmt.Sprint("item", n)))
	case 6:
		check(w.t, w.recent[i].Set(n))
	case 7:
		w.timers[i].Register(now+n, []byte(fmt.Sprint("tag", n%2)))
	}
}

// checkpoint takes a checkpoint and returns its metadata.
func (w *world) checkpoint(imaged bool) *checkpointstore.Metadata {
	w.t.Helper()
	take := w.p.Checkpoint
	if imaged {
		take = w.p.Imaged
	}
	w.p.Lists = map[string][][]byte{"splits": {[]byte("a"), []byte("b")}}
	part := take(7)
	word := func(s string) []byte { return w.keys.Append(nil, &s) }
	for i := range part.Subtasks {
		o := &part.Subtasks[i].Operators[0]
		o.Unions = map[string][][]byte{"union": {word(fmt.Sprint(i))}}
		o.Broadcast = map[string][][]byte{"rules": {word("rule"), word("text")}}
		o.Schemas = map[string]string{"union": "string", "rules": "string -> string"}
		o.Transactions = []snapshot.Transaction{{Checkpoint: 7, Attempt: 1, Payload: []byte{byte(i)}}}
	}
	return &checkpointstore.Metadata{
		Format: checkpointstore.Format, Cluster: "c", Job: "j", JobName: "words", Attempt: 1, Checkpoint: 7, Trigger: "savepoint",
		Graph: []byte(`{}`), KeyGroups: groups, Artifact: "x", Processes: []snapshot.Process{part}, BegunAt: time.UnixMilli(now).UTC(),
	}
}

// entries are all entries of a checkpoint or savepoint as text, restored at a parallelism and
// into stores of a backend. A copy is restored by way of objects of the attempt's own.
func entries(t testing.TB, from changelog.CopyConfig, m *checkpointstore.Metadata, backend string, parallelism int, viaCopy bool) []string {
	t.Helper()
	var handles []snapshot.Keyed
	for _, p := range m.Processes {
		for _, s := range p.Subtasks {
			handles = append(handles, *s.Operators[0].Keyed)
		}
	}
	var targets []changelog.Target
	for i := range parallelism {
		lo, hi := dataflow.GroupRange(groups, parallelism, i)
		store := must[inspect.Scratch](t)(inspect.OpenScratch(backend, lo, hi, filepath.Join(t.TempDir(), "s")))
		defer store.Close()
		targets = append(targets, changelog.Target{Name: `operator "Totals by word"`, Handles: handles, GroupLo: lo, GroupHi: hi, Into: store})
	}
	cfg := changelog.RestoreConfig{Bucket: from.Bucket, Prefix: from.Prefix, Rows: rowfile.Each}
	if viaCopy {
		cfg = changelog.RestoreConfig{Bucket: mem.New()}
		u := must[*changelog.Uploader](t)(changelog.New(changelog.Config{Bucket: cfg.Bucket, Prefix: "own/"}))
		from.Rows = rowfile.Each
		targets = must[[]changelog.Target](t)(u.Copy(t.Context(), from, targets))
	}
	must[*changelog.Restored](t)(changelog.RestoreAll(t.Context(), cfg, targets))
	var all []string
	for _, target := range targets {
		all = append(all, contents(t, target.Into.(inspect.Scratch), handles)...)
	}
	slices.Sort(all)
	return all
}

// contents are a store's entries.
func contents(t testing.TB, s state.Store, handles []snapshot.Keyed) (all []string) {
	t.Helper()
	states := map[string]snapshot.State{}
	for _, k := range handles {
		for _, st := range k.States {
			states[st.Name] = st
		}
	}
	for _, name := range slices.Sorted(maps.Keys(states)) {
		st := states[name]
		h := must[state.Handle](t)(s.Register(state.Definition{
			Name: name, Kind: st.Kind, Schema: st.Schema, SubSize: state.Variable, ValueSize: state.Variable,
		}))
		check(t, s.ScanAll(h, func(group int, key, sub, value []byte) bool {
			all = append(all, fmt.Sprintf("%s %d %x %x %x", name, group, key, sub, value))
			return true
		}))
	}
	return all
}

// write writes a savepoint of the checkpoint to a folder of another bucket.
func (w *world) write(m *checkpointstore.Metadata, memory int64) (objectstore.Bucket, savepoint.Written) {
	w.t.Helper()
	to := mem.New()
	written, err := savepoint.Write(w.t.Context(), savepoint.WriteConfig{
		Bucket: w.bucket, Metadata: m, To: to, Folder: "points/1/", TempDir: w.t.TempDir(), MemoryBytes: memory,
	})
	check(w.t, err)
	return to, written
}
