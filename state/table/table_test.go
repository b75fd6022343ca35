package table

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cairnstream/cairn/state"
)

const (
	testGroups = 5
	flagA      = Flags(1)
	flagB      = Flags(8)
)

// want is an entry as the reference keeps it.
type want struct {
	value []byte
	flags Flags
}

// world is a table and a reference for it.
type world struct {
	t       *testing.T
	rnd     *rand.Rand
	table   *Table
	model   map[string]want // by entryName
	changed map[string]bool
	views   sync.WaitGroup
	open    int

	keys, subs, values int // how many or how long
	fixed              bool
}

func entryName(group int, key, sub []byte) string { return fmt.Sprintf("%d/%s/%s", group, key, sub) }

func (w *world) name(r Ref) string {
	e := w.table.Item(r)
	return entryName(e.Group, e.Key, e.Sub)
}

// randomKey returns a key and a sub-key, some of them too long for a slot.
func (w *world) randomKey() (Key, []byte) {
	n := w.rnd.IntN(w.keys)
	key := fmt.Appendf(nil, "%08d", n)
	sub := bytes.Repeat([]byte("s"), w.rnd.IntN(w.subs))
	if !w.fixed && n%7 == 0 {
		key = append(key, bytes.Repeat([]byte("k"), n%90)...)
	}
	return MakeKey(10+n%testGroups, key), sub
}

func (w *world) randomValue() []byte {
	n := w.values
	if !w.fixed {
		if n = w.rnd.IntN(w.values + 1); w.rnd.IntN(200) == 0 {
			n = 20_000
		}
	}
	return bytes.Repeat([]byte{byte(w.rnd.IntN(256))}, n)
}

func (w *world) step() {
	k, sub := w.randomKey()
	name := entryName(k.Group, k.Bytes, sub)
	old, there := w.model[name]
	switch x := w.rnd.IntN(20); {
	case x < 12:
		w.put(&k, sub, name)
	case x < 16:
		v, f, ok := w.table.Get(&k, sub)
		if ok != there || !bytes.Equal(v, old.value) || f != old.flags {
			w.t.Fatalf("get %s: %x, %d, %v, want %x, %d, %v", name, v, f, ok, old.value, old.flags, there)
		}
	case x < 18 && there:
		r, _ := w.table.Find(&k, sub)
		old.flags = Flags(w.rnd.IntN(16))
		w.model[name] = old
		w.table.SetFlags(r, old.flags)
	case there && !w.changed[name]:
		r, _ := w.table.Find(&k, sub)
		w.table.Remove(r)
		delete(w.model, name)
	}
}

func (w *world) put(k *Key, sub []byte, name string) {
	old, there := w.model[name]
	v := w.randomValue()
	if w.rnd.IntN(2) == 0 {
		_, b, _, existed := w.table.Change(k, sub, len(v))
		w.check(name, b, old, existed, there)
		copy(b, v)
	} else {
		r, b, existed := w.table.Upsert(k, sub, len(v))
		w.check(name, b, old, existed, there)
		copy(b, v)
		w.table.MarkChanged(r)
	}
	w.changed[name] = true
	w.model[name] = want{v, old.flags}
}

// check compares what Upsert gave: the old value's front, and zeros.
func (w *world) check(name string, got []byte, old want, existed, there bool) {
	full := make([]byte, len(got))
	copy(full, old.value)
	if existed != there || !bytes.Equal(got, full) {
		w.t.Fatalf("upsert %s: %x, %v, want %x, %v", name, got, existed, full, there)
	}
}

// endBatch checks what is said to have changed, and removes some of it.
func (w *world) endBatch() {
	for r, ok := w.table.NextChanged(); ok; r, ok = w.table.NextChanged() {
		name := w.name(r)
		if !w.changed[name] {
			w.t.Fatalf("%s is said to have changed", name)
		}
		delete(w.changed, name)
		switch w.rnd.IntN(4) {
		case 0:
			w.table.Remove(r)
			delete(w.model, name)
		case 1:
			w.table.SetFlags(r, flagA|flagB)
			w.model[name] = want{w.model[name].value, flagA | flagB}
		}
	}
	if len(w.changed) > 0 {
		w.t.Fatalf("not said to have changed: %v", w.changed)
	}
	w.table.EndBatch()
}

// freeze compares a view with the state of now, in another goroutine, while the table goes on.
func (w *world) freeze() {
	if w.open == 2 {
		w.views.Wait()
		w.open = 0
	}
	w.open++
	model := map[string]want{}
	for name, e := range w.model {
		model[name] = want{bytes.Clone(e.value), e.flags}
	}
	v := w.table.Freeze()
	half := w.rnd.IntN(3) == 0
	w.views.Go(func() {
		defer v.Close()
		n := 0
		for g := 10; g < 10+testGroups; g++ {
			for e := range v.Group(g) {
				x, ok := model[entryName(e.Group, e.Key, e.Sub)]
				if n++; !ok || !bytes.Equal(x.value, e.Value) || x.flags != e.Flags {
					w.t.Errorf("view: %s is %x, %d, want %x, %d, %v", e.Key, e.Value, e.Flags, x.value, x.flags, ok)
					return
				}
			}
			if v.Done(g); half && g == 12 {
				return
			}
		}
		if n != len(model) || n != v.Len() {
			w.t.Errorf("view: %d entries of %d, %d by count", n, len(model), v.Len())
		}
	})
}

// sweep visits all and removes some.
func (w *world) sweep() {
	seen := map[string]bool{}
	for looked := 0; looked < 3*w.table.Len()+200; looked++ {
		looked += w.table.Sweep(1+w.rnd.IntN(50), flagA, flagA, func(r Ref) (Ref, bool) {
			name := w.name(r)
			seen[name] = true
			switch {
			case w.model[name].flags&flagA == 0:
				w.t.Fatalf("sweep: %s has no such flag", name)
			case w.changed[name]:
			case w.rnd.IntN(3) == 0:
				delete(w.model, name)
				delete(seen, name)
				return r, true
			case w.rnd.IntN(3) == 0:
				w.model[name] = want{w.model[name].value, flagA | flagB}
				return w.table.SetFlags(r, flagA|flagB), false
			}
			return r, false
		})
	}
	for name, e := range w.model {
		if e.flags&flagA != 0 && !seen[name] {
			w.t.Fatalf("sweep: %s was not visited", name)
		}
	}
}

func (w *world) compare() {
	w.t.Helper()
	n, size := 0, int64(0)
	for r := range w.table.All {
		e := w.table.Item(r)
		x, ok := w.model[w.name(r)]
		if !ok || !bytes.Equal(x.value, e.Value) || x.flags != e.Flags {
			w.t.Fatalf("%s is %x, %d, want %x, %d, %v", w.name(r), e.Value, e.Flags, x.value, x.flags, ok)
		}
		n++
		size += int64(len(e.Key) + len(e.Sub) + len(e.Value))
	}
	if n != len(w.model) || n != w.table.Len() || size != w.table.Bytes() {
		w.t.Fatalf("%d entries with %d bytes, want %d, counted %d with %d", n, size, len(w.model), w.table.Len(), w.table.Bytes())
	}
	checkInvariants(w.t, w.table)
}

// checkInvariants checks what page.go, group.go, alloc.go and slab.go promise.
func checkInvariants(t *testing.T, tb *Table) {
	t.Helper()
	inUse := map[pageRef]bool{}
	for _, r := range append(append([]pageRef(nil), tb.retired...), tb.limbo...) {
		inUse[r] = true
	}
	for gi := range tb.groups {
		g, used := &tb.groups[gi], 0
		for r, p := range g.pages(&tb.alloc) {
			if inUse[r] {
				t.Fatalf("page %x is there twice", r)
			}
			inUse[r] = true
			n := 0
			for i := range tb.slots[r.class()] {
				h := tb.headAt(p, i)
				if h == 0 {
					continue
				}
				n++
				e := tb.item(p, tb.slotAt(i), h)
				k := MakeKey(e.Group, e.Key)
				if at, ok := tb.Find(&k, e.Sub); !ok || at != makeEntryRef(r, i, gi) {
					t.Fatalf("slot %d of page %x is not found", i, r)
				}
			}
			if n != int(pageUsed(p)) || pageGroup(p) != gi {
				t.Fatalf("page %x of group %d: %d entries, head says %d of group %d", r, gi, n, pageUsed(p), pageGroup(p))
			}
			used += n
		}
		if used != int(g.used) {
			t.Fatalf("group %d: %d entries, counted %d", gi, used, g.used)
		}
	}
	checkSlab(t, tb)
	checkAlloc(t, tb, inUse)
}

func checkAlloc(t *testing.T, tb *Table, inUse map[pageRef]bool) {
	t.Helper()
	var bytes, free, taken int64
	for c := range tb.alloc.chunks {
		ch := &tb.alloc.chunks[c]
		if (*tb.alloc.bufs.Load())[c] == nil {
			continue
		}
		bytes += int64(ch.blocks * blockSize)
		for i := range ch.blocks {
			b := ch.block[i]
			switch {
			case ch.free>>i&1 == 1:
				free += blockSize
			case b.class != 0:
				for p := range blockSize / classSize(int(b.class)) {
					free += int64(b.free>>p&1) * int64(classSize(int(b.class)))
				}
			}
		}
	}
	for r := range inUse {
		taken += int64(classSize(r.class()))
	}
	if bytes != tb.alloc.bytes || free+taken != bytes {
		t.Fatalf("chunks of %d bytes, counted %d: %d free, %d taken", bytes, tb.alloc.bytes, free, taken)
	}
}

func checkSlab(t *testing.T, tb *Table) {
	t.Helper()
	live, dead, size := 0, 0, int64(0)
	for _, p := range tb.slab.pages {
		size += int64(len(p.buf))
		if !p.own {
			dead += p.dead
			live += p.fill - p.dead
		}
	}
	for _, b := range tb.slab.spare {
		size += int64(len(b))
	}
	if live != tb.slab.live || dead != tb.slab.dead || size != tb.slab.size {
		t.Fatalf("slab: %d live, %d dead, %d in all; counted %d, %d, %d", live, dead, size, tb.slab.live, tb.slab.dead, tb.slab.size)
	}
}

var (
	seeds     = flag.Uint64("seeds", 60, "number of random programs")
	firstSeed = flag.Uint64("first", 0, "seed of the first")
)

func TestModel(t *testing.T) {
	for i := range *seeds {
		seed := *firstSeed + i
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { runModel(t, seed) })
	}
}

func runModel(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	w := &world{t: t, rnd: rnd, model: map[string]want{}, changed: map[string]bool{}, fixed: rnd.IntN(3) == 0}
	w.keys, w.subs = []int{3, 40, 400, 3000}[rnd.IntN(4)], 1+[]int{0, 3, 50}[rnd.IntN(3)]
	w.values = []int{0, 8, 32, 200}[rnd.IntN(4)]
	cfg := Config{GroupLo: 10, GroupHi: 10 + testGroups - 1, KeySize: state.Variable, SubSize: state.Variable, ValueSize: state.Variable}
	if rnd.IntN(2) == 0 {
		cfg.ValueSize = w.values
	}
	w.table = New(cfg)
	for range 30 {
		for range rnd.IntN(400) {
			w.step()
		}
		if rnd.IntN(8) == 0 {
			w.sweep()
		}
		if w.endBatch(); rnd.IntN(3) == 0 {
			w.freeze()
		}
		if rnd.IntN(10) == 0 {
			w.table.Expect(state.Variable, []int{0, 8, 40, state.Variable}[rnd.IntN(4)])
		}
		if rnd.IntN(8) == 0 {
			w.compare()
		}
	}
	w.compare()
	w.views.Wait()
}
