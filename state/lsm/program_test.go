package lsm

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/state"
)

var (
	seedFlag = flag.Uint64("lsm.seed", 0, "run the random program of this seed only")
	programs = flag.Int("lsm.programs", 20, "random programs to run")
)

// TestPrograms runs random programs with caches that hold a small part of the
// state, and compares with a map.
func TestPrograms(t *testing.T) {
	first, n := rand.Uint64N(1<<32), *programs
	if *seedFlag != 0 {
		first, n = *seedFlag, 1
	}
	for seed := first; seed < first+uint64(n); seed++ {
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { runProgram(t, seed) }) {
			t.Fatalf("run it again with -lsm.seed %d", seed)
		}
	}
}

const groups = 16

// world is an operator's stores, and what they should hold.
type world struct {
	t      *testing.T
	rnd    *rand.Rand
	shared *Shared
	folder string
	opened int

	stores  []*Store
	logs    []*spy
	handles []state.Handle // the same in all stores: registered in one order
	model   map[string]string
}

func runProgram(t *testing.T, seed uint64) {
	w := &world{
		t: t, rnd: rand.New(rand.NewPCG(seed, 0)), shared: NewShared(1 << 20), folder: t.TempDir(),
		model: map[string]string{},
	}
	defer w.shared.Close()
	w.open(1+w.rnd.IntN(3), nil)
	for range 12 {
		w.step()
	}
	w.compare()
	w.close()
}

func (w *world) step() {
	switch w.rnd.IntN(8) {
	case 0:
		w.restart(len(w.stores))
	case 1:
		w.restart(1 + w.rnd.IntN(4))
	case 2:
		for _, l := range w.logs {
			l.want = true
		}
		w.cut()
	case 3:
		w.compare()
	case 4:
		w.sweep()
	default:
		for range 1 + w.rnd.IntN(12) {
			w.batch(1 + w.rnd.IntN(300))
		}
	}
}

// open opens stores for a parallelism, and restores them from the parts.
func (w *world) open(parallelism int, parts []part) {
	w.stores, w.logs = nil, nil
	for i := range parallelism {
		lo, hi := dataflow.GroupRange(groups, parallelism, i)
		log := newSpy(lo, hi)
		w.opened++
		s, err := Open(Config{
			GroupLo: lo, GroupHi: hi, Log: log, Dir: filepath.Join(w.folder, fmt.Sprint(w.opened)), MemoryBytes: memoryMin, Shared: w.shared,
		})
		if err != nil {
			w.t.Fatal(err)
		}
		s.bound = int64(w.rnd.IntN(1 << 18))
		restore(w.t, s, parts, lo, hi)
		for _, p := range parts {
			if p.lo <= hi && p.hi >= lo {
				p.lo, p.hi = max(p.lo, lo), min(p.hi, hi)
				log.inherited = append(log.inherited, p)
				if p.image != nil { // it knows the files that it inherits
					maps.Copy(log.files, p.image.files)
				}
			}
		}
		w.stores, w.logs = append(w.stores, s), append(w.logs, log)
		w.register(s)
	}
}

func (w *world) register(s *Store) {
	w.handles = nil
	for _, name := range []string{"a", "b"} {
		h, err := s.Register(state.Definition{Name: name, Kind: "map", Schema: "string -> string", SubSize: state.Variable, ValueSize: state.Variable})
		if err != nil {
			w.t.Fatal(err)
		}
		w.handles = append(w.handles, h)
	}
}

// handle returns the i-th state's handle in a store: restores may register in
// another order.
func (w *world) handle(s *Store, i int) state.Handle { return s.byName[[]string{"a", "b"}[i]] }

func (w *world) restart(parallelism int) {
	w.cut()
	var parts []part
	for i, l := range w.logs {
		l.finish(w.t)
		parts = append(parts, l.parts()...)
		if err := w.stores[i].Close(); err != nil {
			w.t.Fatal(err)
		}
	}
	w.open(parallelism, parts)
	w.compare()
}

func (w *world) close() {
	for i, s := range w.stores {
		w.logs[i].finish(w.t)
		if err := s.Close(); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) cut() {
	for i, s := range w.stores {
		if w.end(s); s.Cut(dataflow.CheckpointID(1)).Position != w.logs[i].position {
			w.t.Fatalf("position of store and log differ")
		}
	}
}

func (w *world) end(s *Store) {
	if err := s.EndBatch(); err != nil {
		w.t.Fatal(err)
	}
}

// batch changes some entries.
func (w *world) batch(n int) {
	type op struct{ key, sub, state int }
	ops := make([]op, n)
	for i := range ops {
		ops[i] = op{w.rnd.IntN(400), w.rnd.IntN(4), w.rnd.IntN(2)}
	}
	if w.rnd.IntN(3) > 0 {
		w.prefetch(n, func(i int) (key, sub string, st int) { return keyOf(ops[i].key), subOf(ops[i].sub), ops[i].state })
	}
	for _, o := range ops {
		w.change(keyOf(o.key), subOf(o.sub), o.state)
	}
	for _, s := range w.stores {
		w.end(s)
	}
}

func keyOf(i int) string { return fmt.Sprintf("key-%d", i) }
func subOf(i int) string { return strings.Repeat("s", i) }

func (w *world) storeOf(key string) (*Store, int) {
	group := dataflow.KeyGroup(dataflow.KeyHash([]byte(key)), groups)
	return w.stores[dataflow.SubtaskOf(group, groups, len(w.stores))], group
}

func (w *world) prefetch(n int, op func(i int) (key, sub string, st int)) {
	wanted := map[*Store][]state.Wanted{}
	for i := range n {
		key, sub, st := op(i)
		s, group := w.storeOf(key)
		wanted[s] = append(wanted[s], state.Wanted{Handle: w.handle(s, st), Group: group, Key: []byte(key), Sub: []byte(sub)})
	}
	for s, list := range wanted {
		if err := s.Prefetch(list); err != nil {
			w.t.Fatal(err)
		}
	}
}

func name(st int, key, sub string) string { return fmt.Sprintf("%d/%s/%s", st, key, sub) }

func (w *world) change(key, sub string, st int) {
	s, group := w.storeOf(key)
	s.SetKey(group, []byte(key))
	h := w.handle(s, st)
	id := name(st, key, sub)
	switch w.rnd.IntN(8) {
	case 0, 1:
		w.check(s.Delete(h, []byte(sub)))
		delete(w.model, id)
	case 2:
		w.compareScan(s, h, st, key)
	case 3:
		v, ok, err := s.Get(h, []byte(sub))
		w.check(err)
		if want, there := w.model[id]; ok != there || string(v) != want {
			w.t.Fatalf("%s is %q, %v, want %q, %v", id, v, ok, want, there)
		}
	case 4:
		w.update(s, h, sub, id)
	default:
		v := strings.Repeat(fmt.Sprint(w.rnd.IntN(10)), w.rnd.IntN(120))
		w.check(s.Put(h, []byte(sub), []byte(v)))
		w.model[id] = v
	}
}

func (w *world) update(s *Store, h state.Handle, sub, id string) {
	v, existed, err := s.Update(h, []byte(sub), 40)
	w.check(err)
	old, there := w.model[id]
	want := make([]byte, 40)
	copy(want, old)
	if existed != there || string(v) != string(want) {
		w.t.Fatalf("update of %s: %q, %v, want %q, %v", id, v, existed, want, there)
	}
	v[w.rnd.IntN(40)]++
	w.model[id] = string(v)
}

func (w *world) check(err error) {
	if err != nil {
		w.t.Helper()
		w.t.Fatal(err)
	}
}

func (w *world) compareScan(s *Store, h state.Handle, st int, key string) {
	var want, got []string
	for i := range 4 {
		if v, ok := w.model[name(st, key, subOf(i))]; ok {
			want = append(want, subOf(i)+"="+v)
		}
	}
	w.check(s.Scan(h, func(sub, value []byte) bool {
		got = append(got, string(sub)+"="+string(value))
		return true
	}))
	if !slices.Equal(got, want) {
		w.t.Fatalf("scan of %s: %q, want %q", key, got, want)
	}
}

// sweep deletes what has an even length, in part, and finds out what went.
func (w *world) sweep() {
	expired := func(v []byte) bool { return len(v)%2 == 0 }
	for _, s := range w.stores {
		for st := range 2 {
			for range w.rnd.IntN(6) {
				w.check(s.Sweep(w.handle(s, st), 50, expired))
			}
		}
		w.end(s)
	}
	got := w.all()
	for id, v := range w.model {
		if _, ok := got[id]; !ok {
			if !expired([]byte(v)) {
				w.t.Fatalf("%s was swept and had not expired", id)
			}
			delete(w.model, id)
		}
	}
	w.compare()
}

func (w *world) all() map[string]string {
	got := map[string]string{}
	for _, s := range w.stores {
		for st := range 2 {
			w.check(s.ScanAll(w.handle(s, st), func(_ int, key, sub, value []byte) bool {
				id := name(st, string(key), string(sub))
				if _, twice := got[id]; twice {
					w.t.Fatalf("%s was scanned twice", id)
				}
				got[id] = string(value)
				return true
			}))
		}
	}
	return got
}

func (w *world) compare() {
	w.t.Helper()
	got := w.all()
	for id, v := range got {
		if want, ok := w.model[id]; !ok || v != want {
			w.t.Fatalf("%s is %q, want %q, %v", id, v, want, ok)
		}
	}
	var entries, bytes, wantBytes int64
	for _, s := range w.stores {
		w.check(s.Count())
		e, b := s.Size()
		entries, bytes = entries+e, bytes+b
	}
	for id, v := range w.model {
		if got[id] != v {
			w.t.Fatalf("%s is missing, want %q", id, v)
		}
		wantBytes += int64(len(id) - 3 + len(v))
	}
	if int(entries) != len(w.model) || bytes != wantBytes {
		w.t.Fatalf("size %d entries, %d bytes, want %d, %d", entries, bytes, len(w.model), wantBytes)
	}
}
