package memory

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cairnstream/cairn/state"
)

// loadableStore opens a store of key groups 2 to 5 with two states.
func loadableStore(t *testing.T) *Store {
	t.Helper()
	s, err := Open(Config{GroupLo: 2, GroupHi: 5})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		d := state.Definition{Name: name, Kind: "value", Schema: "bytes", SubSize: state.Variable, ValueSize: state.Variable}
		if _, err := s.Register(d); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestLoadEntriesIsLoad loads random entries in batches and one by one.
func TestLoadEntriesIsLoad(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for _, sizes := range [][]int{{90}, {0}, {8}, {3, 90, 400}} {
		one, many := loadableStore(t), loadableStore(t)
		var batch []state.Entry
		for range 20_000 {
			value := make([]byte, sizes[r.IntN(len(sizes))])
			for i := range value {
				value[i] = byte(r.Uint32())
			}
			e := state.Entry{
				Handle: state.Handle(r.IntN(2)), Deleted: r.IntN(4) == 0, Group: 2 + r.IntN(4), Key: fmt.Appendf(nil, "key %d", r.IntN(5000)), Value: value,
			}
			if e.Deleted {
				e.Value = nil
			}
			if err := one.Load(e); err != nil {
				t.Fatal(err)
			}
			if batch = append(batch, e); r.IntN(100) == 0 {
				if err := many.LoadEntries(batch); err != nil {
					t.Fatal(err)
				}
				batch = batch[:0]
			}
		}
		if err := many.LoadEntries(batch); err != nil {
			t.Fatal(err)
		}
		sameEntries(t, one, many)
	}
}

// sameEntries fails unless the stores hold the same.
func sameEntries(t *testing.T, want, got *Store) {
	t.Helper()
	entries, bytes := want.Size()
	if n, b := got.Size(); n != entries || b != bytes {
		t.Fatalf("%d entries of %d bytes, want %d of %d", n, b, entries, bytes)
	}
	for h := range want.states {
		err := want.ScanAll(state.Handle(h), func(group int, key, sub, value []byte) bool {
			got.SetKey(group, key)
			v, ok, err := got.Get(state.Handle(h), sub)
			if err != nil || !ok || string(v) != string(value) {
				t.Fatalf("state %d, key %q of group %d: %x, %v, %v, want %x", h, key, group, v, ok, err, value)
			}
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestLoadEntriesRefusesWhatDoesNotFit(t *testing.T) {
	good := state.Entry{Group: 2, Key: []byte("k"), Value: []byte("v")}
	for name, bad := range map[string]state.Entry{
		"group below": {Group: 1, Key: []byte("k")}, "group above": {Group: 6, Key: []byte("k")}, "no such state": {Handle: 2, Group: 2},
	} {
		for _, entries := range [][]state.Entry{{bad}, {good, bad}} {
			if err := loadableStore(t).LoadEntries(entries); err == nil {
				t.Errorf("%s: loaded", name)
			} else if bad.Handle != 0 && !errors.Is(err, state.ErrCorrupt) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestLoadExpectsTheSizeOfTheFirstValues: a log does not say that a state's values are of one
// size, and entries that lie in the slab would move when the operator says it.
func TestLoadExpectsTheSizeOfTheFirstValues(t *testing.T) {
	s := loadableStore(t)
	var entries []state.Entry
	for i := range 2000 {
		entries = append(entries, state.Entry{Group: 2 + i%4, Key: fmt.Appendf(nil, "%08d", i), Value: make([]byte, 100)})
	}
	if err := s.LoadEntries(entries); err != nil {
		t.Fatal(err)
	}
	before := s.Footprint()
	if _, err := s.Register(state.Definition{Name: "a", Kind: "value", Schema: "bytes", SubSize: 0, ValueSize: 100}); err != nil {
		t.Fatal(err)
	}
	if after := s.Footprint(); after != before {
		t.Errorf("%d bytes of memory before the operator said the size and %d after: the entries moved", before, after)
	}
}
