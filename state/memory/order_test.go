package memory

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cairnstream/cairn/state/table"
)

// checkOrder compares the sub-keys of a key with the reference, and the blocks with what
// block.go promises.
func checkOrder(t *testing.T, o *order, key *table.Key, want map[string]bool) {
	t.Helper()
	var got []string
	for sub := range o.subs(key) {
		got = append(got, string(sub))
	}
	if !slices.IsSorted(got) || len(got) != len(want) {
		t.Fatalf("%d sub-keys, want %d, sorted %v", len(got), len(want), slices.IsSorted(got))
	}
	for _, sub := range got {
		if !want[sub] {
			t.Fatalf("sub-key %x is there", sub)
		}
	}
	if root, ok := o.get(key, nil); ok && root.isIndex() {
		for i := range root.len() {
			leaf, ok := o.get(key, root.child(i))
			if !ok || leaf.len() == 0 {
				t.Fatalf("leaf %d of %d: %v, empty", i, root.len(), ok)
			}
			if i > 0 && bytes.Compare(leaf.item(0), root.sub(i)) < 0 {
				t.Fatalf("leaf %d begins before what the index says", i)
			}
		}
	}
}

func TestOrderModel(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 3))
			o := newOrder(Config{GroupLo: 0, GroupHi: 3})
			keys := []table.Key{table.MakeKey(0, []byte("a")), table.MakeKey(3, []byte("another key"))}
			want := []map[string]bool{{}, {}}
			most := []int{20, 500, 20_000}[rnd.IntN(3)]
			long := rnd.IntN(4) == 0
			next := uint64(0)
			for round := range 12 {
				adds := rnd.IntN(3) > 0
				for range rnd.IntN(most) {
					k := rnd.IntN(2)
					sub := binary.BigEndian.AppendUint64(nil, uint64(rnd.IntN(most)))
					if round%2 == 0 { // in ascending order
						next++
						sub = binary.BigEndian.AppendUint64(nil, uint64(most)+next)
					}
					if long {
						sub = append(sub, bytes.Repeat(sub[7:], rnd.IntN(300))...)
					}
					if adds {
						o.add(&keys[k], sub)
						want[k][string(sub)] = true
					}
				}
				if rnd.IntN(3) == 0 {
					drop(rnd, o, keys, want)
				}
				o.table.EndBatch()
				for k := range keys {
					checkOrder(t, o, &keys[k], want[k])
				}
			}
			for k := range keys {
				for sub := range want[k] {
					o.remove(&keys[k], []byte(sub))
				}
			}
			if o.table.EndBatch(); o.table.Len() != 0 {
				t.Errorf("%d blocks are left", o.table.Len())
			}
		})
	}
}

// drop removes the smallest sub-keys of one key, as a window does, or some of all.
func drop(rnd *rand.Rand, o *order, keys []table.Key, want []map[string]bool) {
	if k := rnd.IntN(2); rnd.IntN(2) == 0 {
		var subs []string
		for sub := range want[k] {
			subs = append(subs, sub)
		}
		slices.Sort(subs)
		for _, sub := range subs[:rnd.IntN(len(subs)+1)] {
			o.remove(&keys[k], []byte(sub))
			delete(want[k], sub)
		}
		return
	}
	for k := range keys {
		for sub := range want[k] {
			if rnd.IntN(3) > 0 {
				o.remove(&keys[k], []byte(sub))
				delete(want[k], sub)
			}
		}
	}
}

// TestOrderOfManySubKeys would take long if an insert moved all of a key's sub-keys.
func TestOrderOfManySubKeys(t *testing.T) {
	s, h := setup(t)
	s.SetKey(1, []byte("k"))
	_ = s.Scan(h, func(_, _ []byte) bool { return true })
	const n = 50_000
	for i := range uint64(n) {
		_ = s.Put(h, binary.BigEndian.AppendUint64(nil, i*0x9E3779B97F4A7C15), nil)
		if i%1000 == 0 {
			_ = s.EndBatch()
		}
	}
	seen, last := 0, []byte(nil)
	_ = s.Scan(h, func(sub, _ []byte) bool {
		if bytes.Compare(last, sub) >= 0 && seen > 0 {
			t.Fatalf("%x after %x", sub, last)
		}
		last, seen = append(last[:0], sub...), seen+1
		return true
	})
	if seen != n {
		t.Errorf("%d sub-keys", seen)
	}
}
