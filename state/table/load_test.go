package table

import (
	"encoding/binary"
	"fmt"
	"sync"
	"testing"

	"github.com/cairnstream/cairn/state"
)

// runsOf returns a view's entries as runs of at most n records.
func runsOf(v *View, groups, n int) (runs []Run) {
	for g := range groups {
		run := Run{Group: g, KeySize: 8, ValueSize: 16}
		for e := range v.Group(g) {
			run.Data = append(append(run.Data, e.Key...), e.Value...)
			if run.Len() == n {
				runs = append(runs, run)
				run.Data = nil
			}
		}
		runs = append(runs, run)
	}
	return runs
}

// numbered returns a table of n entries with numbers as keys.
func numbered(groups, n int) *Table {
	t := New(Config{GroupHi: groups - 1, KeySize: 8, ValueSize: 16})
	var key [8]byte
	for i := range n {
		binary.LittleEndian.PutUint64(key[:], uint64(i))
		k := MakeKey(i%groups, key[:])
		_, v, _ := t.Upsert(&k, nil, 16)
		binary.LittleEndian.PutUint64(v, uint64(i))
	}
	t.EndBatch()
	return t
}

func checkNumbered(t *testing.T, tb *Table, groups, n int) {
	t.Helper()
	var key [8]byte
	for i := range n {
		binary.LittleEndian.PutUint64(key[:], uint64(i))
		k := MakeKey(i%groups, key[:])
		if v, _, ok := tb.Get(&k, nil); !ok || binary.LittleEndian.Uint64(v) != uint64(i) {
			t.Fatalf("entry %d: %x, %v", i, v, ok)
		}
	}
	if tb.Len() != n || tb.Bytes() != int64(24*n) {
		t.Fatalf("%d entries with %d bytes, want %d", tb.Len(), tb.Bytes(), n)
	}
	checkInvariants(t, tb)
}

func TestLoadRun(t *testing.T) {
	for _, tc := range []struct{ groups, n, run int }{{4, 100_000, 4000}, {4, 100_000, 1 << 20}, {64, 1000, 1 << 20}, {1, 7, 2}} {
		for _, size := range []int{16, 8, state.Variable} { // as the table expects
			t.Run(fmt.Sprint(tc, size), func(t *testing.T) {
				v := numbered(tc.groups, tc.n).Freeze()
				to := New(Config{GroupHi: tc.groups - 1, KeySize: state.Variable, ValueSize: size})
				groups := make([]sync.Mutex, tc.groups)
				var loads sync.WaitGroup
				for _, run := range runsOf(v, tc.groups, tc.run) {
					loads.Go(func() {
						groups[run.Group].Lock()
						defer groups[run.Group].Unlock()
						to.LoadRun(run)
					})
				}
				loads.Wait()
				to.EndBatch()
				checkNumbered(t, to, tc.groups, tc.n)
			})
		}
	}
}

// TestLoadRunKnowsTheGroupFromAnyRun: whichever of a group's runs comes first, it tells how many
// entries the group will have.
func TestLoadRunKnowsTheGroupFromAnyRun(t *testing.T) {
	const n, size = 60_000, 6000
	v := numbered(1, n).Freeze()
	runs := runsOf(v, 1, size)
	for first := range runs[:n/size] {
		to := New(Config{KeySize: state.Variable, ValueSize: 16})
		to.LoadRun(runs[first])
		depth := to.groups[0].depth()
		for i, run := range runs {
			if i != first {
				to.LoadRun(run)
			}
		}
		if now := to.groups[0].depth(); now > depth+1 || 1<<depth > 2*n/64 {
			t.Errorf("run %d first: 2^%d pages at first, 2^%d at the end", first, depth, now)
		}
		checkNumbered(t, to, 1, n)
	}
}

// TestLoadRunInNoOrder loads records that are not in order of hashes, and adds entries to pages
// that are full.
func TestLoadRunInNoOrder(t *testing.T) {
	const n = 30_000
	to := New(Config{KeySize: state.Variable, ValueSize: 16})
	run := Run{KeySize: 8, ValueSize: 16}
	for i := range uint64(n) {
		run.Data = binary.LittleEndian.AppendUint64(run.Data, i)
		run.Data = binary.LittleEndian.AppendUint64(run.Data, i)
		run.Data = append(run.Data, make([]byte, 8)...)
	}
	half := len(run.Data) / 24 / 2 * 24
	first, second := run, run
	first.Data, second.Data = run.Data[:half], run.Data[half:]
	to.LoadRun(first)
	to.LoadRun(second)
	to.EndBatch()
	checkNumbered(t, to, 1, n)
	var key [8]byte
	for i := uint64(n); i < 2*n; i++ {
		binary.LittleEndian.PutUint64(key[:], i)
		k := MakeKey(0, key[:])
		_, v, _ := to.Upsert(&k, nil, 16)
		binary.LittleEndian.PutUint64(v, i)
	}
	to.EndBatch()
	checkNumbered(t, to, 1, 2*n)
}

// TestPresize adds entries to a table that has been told their number, rightly or not.
func TestPresize(t *testing.T) {
	const groups, n = 4, 40_000
	right := numbered(groups, n).Footprint()
	for _, said := range []int64{n, n / 10, 3, 10 * n} {
		tb := New(Config{GroupHi: groups - 1, KeySize: 8, ValueSize: 16})
		tb.Presize(said)
		var key [8]byte
		var first uint32
		for i := range n {
			binary.LittleEndian.PutUint64(key[:], uint64(i))
			k := MakeKey(i%groups, key[:])
			_, v, _ := tb.Upsert(&k, nil, 16)
			binary.LittleEndian.PutUint64(v, uint64(i))
			if i == 0 {
				first = tb.groups[0].depth()
			}
		}
		tb.EndBatch()
		checkNumbered(t, tb, groups, n)
		if now := tb.groups[0].depth(); said >= n && now != first {
			t.Errorf("told %d: 2^%d pages at first, 2^%d at the end", said, first, now)
		}
		if said <= n && tb.Footprint() > 2*right {
			t.Errorf("told %d: %d bytes of memory, %d without", said, tb.Footprint(), right)
		}
		tb.Presize(0)
		for tb.Len() > 0 {
			tb.Sweep(n, 0, 0, func(r Ref) (Ref, bool) { return r, true })
			tb.EndBatch()
		}
		checkInvariants(t, tb)
	}
}

// BenchmarkNewMemory is the rate at which a table gets memory and writes to it once: no restore
// of a table is faster than that, and its entries take twice their size or so.
func BenchmarkNewMemory(b *testing.B) {
	const chunks = 1024
	b.SetBytes(chunks * chunkBlocks * blockSize)
	for b.Loop() {
		var a alloc
		a.init()
		for range chunks {
			for _, r := range a.getPages(chunkBlocks) {
				a.page(r)[0] = 1
			}
		}
	}
}

// TestMemoryIsGivenBack empties a table in one go and by and by.
func TestMemoryIsGivenBack(t *testing.T) {
	const n = 200_000
	tb := numbered(16, n)
	full := tb.Footprint()
	if perEntry := full / n; perEntry > 100 {
		t.Errorf("%d bytes for an entry of 24", perEntry)
	}
	keep := func(ref Ref) bool { return binary.LittleEndian.Uint64(tb.Value(ref))%50 == 0 }
	for looked := 0; looked < n; tb.EndBatch() {
		looked += tb.Sweep(1000, 0, 0, func(r Ref) (Ref, bool) { return r, !keep(r) })
	}
	if tb.Len() != n/50 {
		t.Fatalf("%d entries are left", tb.Len())
	}
	if part := tb.Footprint(); part > full/4 {
		t.Errorf("%d of %d bytes for a 50th of the entries", part, full)
	}
	checkInvariants(t, tb)
	for tb.Len() > 0 {
		tb.Sweep(1000, 0, 0, func(r Ref) (Ref, bool) { return r, true })
		tb.EndBatch()
	}
	if empty := tb.Footprint(); empty > 300<<10 {
		t.Errorf("%d bytes for nothing", empty)
	}
	checkInvariants(t, tb)
}

// TestViewsMemoryIsGivenBack closes a view for which every page was copied.
func TestViewsMemoryIsGivenBack(t *testing.T) {
	const n = 100_000
	tb := numbered(16, n)
	full := tb.Footprint()
	v := tb.Freeze()
	for r := range v.Group(3) {
		if binary.LittleEndian.Uint64(r.Value) != binary.LittleEndian.Uint64(r.Key) {
			t.Fatal("another value")
		}
	}
	var key [8]byte
	for i := range n {
		binary.LittleEndian.PutUint64(key[:], uint64(i))
		k := MakeKey(i%16, key[:])
		_, b, _, _ := tb.Change(&k, nil, 16)
		binary.LittleEndian.PutUint64(b, uint64(i)+1)
	}
	for _, ok := tb.NextChanged(); ok; _, ok = tb.NextChanged() {
	}
	tb.EndBatch()
	for g := range 16 {
		for r := range v.Group(g) {
			if binary.LittleEndian.Uint64(r.Value) != binary.LittleEndian.Uint64(r.Key) {
				t.Fatal("the view has changed")
			}
		}
	}
	v.Close()
	for range 10 {
		tb.EndBatch()
	}
	checkInvariants(t, tb)
	if len(tb.limbo) > 0 || tb.Footprint() > full*5/4 {
		t.Errorf("%d pages wait, %d bytes instead of %d", len(tb.limbo), tb.Footprint(), full)
	}
}
