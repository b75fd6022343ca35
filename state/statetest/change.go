package statetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/changelog"
)

// definitions are the states that a program uses as bytes: of fixed and of
// variable sizes.
var definitions = []state.Definition{
	{Name: "a", SubSize: state.Variable, ValueSize: state.Variable},
	{Name: "b", SubSize: 0, ValueSize: 16},
	{Name: "c", SubSize: 4, ValueSize: 8},
	{Name: "d", SubSize: 4, ValueSize: state.Variable},
}

// subtask is a store and the handles into it.
type subtask struct {
	store   Store
	log     *changelog.Log
	lo, hi  int
	handles []state.Handle // of definitions
	typed   typed
}

// register names the states in another order in each attempt: handles are
// not the same across restores unless the store makes them so.
func (s *subtask) register(w *world) {
	s.handles = make([]state.Handle, len(definitions))
	for _, i := range w.rnd.Perm(len(definitions)) {
		d := definitions[i]
		d.Kind, d.Schema = "map", "bytes"
		h, err := s.store.Register(d)
		check(w.t, err)
		s.handles[i] = h
	}
	s.typed.register(w, s.store)
}

// at returns the subtask that holds a key, set to it.
func (w *world) at(key string) *subtask {
	group := dataflow.KeyGroup(dataflow.KeyHash([]byte(key)), groups)
	s := w.subtasks[dataflow.SubtaskOf(group, groups, w.parallelism)]
	s.store.SetKey(group, []byte(key))
	return s
}

// batch makes n random changes and ends the batch.
func (w *world) batch(n int) {
	w.t.Helper()
	if w.rnd.IntN(2) == 0 {
		w.prefetch()
	}
	for range n {
		if w.rnd.IntN(20) == 0 {
			w.updateBatch()
			continue
		}
		key := fmt.Sprint("key", w.rnd.IntN(60))
		s := w.at(key)
		switch w.rnd.IntN(12) {
		case 0, 1:
			s.typed.change(w, key)
		case 2:
			w.timers(s, key)
		case 3:
			w.sweep(s)
		default:
			w.change(s, key)
		}
	}
	for _, s := range w.subtasks {
		check(w.t, s.store.EndBatch())
	}
}

func entryName(i int, key, sub string) string { return fmt.Sprintf("%d/%s/%s", i, key, sub) }

// randomSub returns one of a few sub-keys of a state.
func randomSub(rnd *rand.Rand, d state.Definition) string {
	switch d.SubSize {
	case state.Variable:
		return strings.Repeat("s", rnd.IntN(6))
	case 0:
		return ""
	}
	return fmt.Sprintf("%0*d", d.SubSize, rnd.IntN(6))
}

func randomValue(rnd *rand.Rand, d state.Definition) []byte {
	size := d.ValueSize
	if size == state.Variable {
		size = rnd.IntN(80)
	}
	return []byte(strings.Repeat(fmt.Sprint(rnd.IntN(10)), size))
}

// change does one thing to an entry of the current key.
func (w *world) change(s *subtask, key string) {
	i := w.rnd.IntN(len(definitions))
	d, h := definitions[i], s.handles[i]
	sub := randomSub(w.rnd, d)
	name := entryName(i, key, sub)
	switch w.rnd.IntN(10) {
	case 0, 1:
		check(w.t, s.store.Delete(h, []byte(sub)))
		delete(w.model, name)
	case 2:
		w.compareScan(s, i, key)
	case 3:
		w.compareGet(s, i, key, sub)
	case 4, 5, 6:
		w.update(s, i, key, sub)
	default:
		v := randomValue(w.rnd, d)
		check(w.t, s.store.Put(h, []byte(sub), v))
		w.model[name] = string(v)
	}
}

// update changes a value in place, after looking at what was there.
func (w *world) update(s *subtask, i int, key, sub string) {
	v := randomValue(w.rnd, definitions[i])
	name := entryName(i, key, sub)
	old, had := w.model[name]
	want := make([]byte, len(v))
	copy(want, old)
	got, existed, err := s.store.Update(s.handles[i], []byte(sub), len(v))
	check(w.t, err)
	if existed != had || string(got) != string(want) {
		w.t.Fatalf("update of %s to %d bytes: existed %v, %q; want %v, %q", name, len(v), existed, got, had, want)
	}
	copy(got, v)
	w.model[name] = string(v)
}

func (w *world) compareGet(s *subtask, i int, key, sub string) {
	w.t.Helper()
	got, ok, err := s.store.Get(s.handles[i], []byte(sub))
	check(w.t, err)
	name := entryName(i, key, sub)
	if want, had := w.model[name]; ok != had || string(got) != want {
		w.t.Fatalf("get %s: %q, %v; want %q, %v", name, got, ok, want, had)
	}
}

// compareScan checks the current key's entries of a state and their order.
func (w *world) compareScan(s *subtask, i int, key string) {
	w.t.Helper()
	prefix := entryName(i, key, "")
	var want []string
	for name, v := range w.model {
		if sub, ok := strings.CutPrefix(name, prefix); ok {
			want = append(want, sub+"="+v)
		}
	}
	slices.SortFunc(want, func(a, b string) int {
		a, _, _ = strings.Cut(a, "=")
		b, _, _ = strings.Cut(b, "=")
		return strings.Compare(a, b)
	})
	equal(w.t, "scan of "+prefix, scan(s.store, s.handles[i]), want)
}

// sweep deletes some of the values that begin with a digit, of a state whose
// values are known by their entries: the store tells no more of them.
func (w *world) sweep(s *subtask) {
	i := 3
	digit := byte('0' + w.rnd.IntN(10))
	expired := map[string]int{}
	check(w.t, s.store.Sweep(s.handles[i], 1+w.rnd.IntN(40), func(v []byte) bool {
		if len(v) > 0 && v[0] == digit {
			expired[string(v)]++
			return true
		}
		return false
	}))
	left := map[string]bool{}
	check(w.t, s.store.ScanAll(s.handles[i], func(_ int, key, sub, _ []byte) bool {
		left[entryName(i, string(key), string(sub))] = true
		return true
	}))
	for name, v := range w.model {
		if name[0] == '3' && name[1] == '/' && !left[name] && w.holds(s, name) {
			expired[v]--
			delete(w.model, name)
		}
	}
	for v, n := range expired {
		if n != 0 {
			w.t.Fatalf("sweep: %d entries of value %q too few are gone", n, v)
		}
	}
}

// holds tells whether the subtask has the key of an entry.
func (w *world) holds(s *subtask, name string) bool {
	key := strings.Split(name, "/")[1]
	group := dataflow.KeyGroup(dataflow.KeyHash([]byte(key)), groups)
	return group >= s.lo && group <= s.hi
}

// prefetch tells the stores of random entries, and then looks at them.
func (w *world) prefetch() {
	w.t.Helper()
	for range w.rnd.IntN(3) {
		s := w.subtasks[w.rnd.IntN(len(w.subtasks))]
		p, ok := s.store.(state.Prefetcher)
		if !ok {
			return
		}
		var wanted []state.Wanted
		var look []func()
		for range w.rnd.IntN(30) {
			key := fmt.Sprint("key", w.rnd.IntN(60))
			group := dataflow.KeyGroup(dataflow.KeyHash([]byte(key)), groups)
			if group < s.lo || group > s.hi {
				continue
			}
			i := w.rnd.IntN(len(definitions))
			sub := randomSub(w.rnd, definitions[i])
			wanted = append(wanted, state.Wanted{Handle: s.handles[i], Group: group, Key: []byte(key), Sub: []byte(sub)})
			look = append(look, func() {
				s.store.SetKey(group, []byte(key))
				w.compareGet(s, i, key, sub)
			})
		}
		check(w.t, p.Prefetch(wanted))
		for _, f := range look {
			f()
		}
	}
}
