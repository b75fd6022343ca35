package memory

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/statetest"
)

func TestConformance(t *testing.T) {
	statetest.Run(t, func(lo, hi int, log state.Log) (statetest.Store, error) {
		return Open(Config{GroupLo: lo, GroupHi: hi, Log: log})
	})
}

func setup(t testing.TB) (*Store, state.Handle) {
	t.Helper()
	s, err := Open(Config{GroupLo: 0, GroupHi: 1023})
	if err != nil {
		t.Fatal(err)
	}
	h, err := s.Register(state.Definition{Name: "a", Kind: "value", Schema: "bytes", ValueSize: state.Variable})
	if err != nil {
		t.Fatal(err)
	}
	return s, h
}

// slack is the memory that an empty store may keep: dead bytes that are left alone, spare
// pages, a chunk.
const slack = 1500 << 10

func TestMemoryIsReusedWhenValuesChangeSize(t *testing.T) {
	s, h := setup(t)
	rnd := rand.New(rand.NewPCG(1, 1))
	var most int64
	for i := range 300_000 {
		s.SetKey(0, fmt.Appendf(nil, "%d", rnd.IntN(5000)))
		switch rnd.IntN(5) {
		case 0:
			s.Delete(h, nil)
		default:
			s.Put(h, nil, make([]byte, rnd.IntN(1000)))
		}
		if i%1000 == 0 {
			s.EndBatch()
			most = max(most, s.Footprint())
		}
	}
	s.EndBatch()
	// Live are about 4,000 entries of 500 bytes, with room for half as much again at
	// most; twice that, what a slab leaves alone, and a batch.
	_, live := s.Size()
	if limit := 3*live + slack + 2*1000*1000; most > limit {
		t.Errorf("%d bytes of memory for %d live ones, limit %d", most, live, limit)
	}
}

func TestEmptiedStoreGivesPagesBack(t *testing.T) {
	s, h := setup(t)
	for i := range 20_000 {
		s.SetKey(0, fmt.Appendf(nil, "%d", i))
		s.Put(h, nil, make([]byte, 500+i%30_000))
	}
	s.EndBatch()
	full := s.Footprint()
	for i := range 20_000 {
		s.SetKey(0, fmt.Appendf(nil, "%d", i))
		s.Delete(h, nil)
	}
	s.EndBatch()
	if n := s.Footprint(); n > full/20 {
		t.Errorf("%d of %d bytes of pages are left", n, full)
	}
}

func TestPutTakesWhatGetReturned(t *testing.T) {
	s, h := setup(t)
	s.SetKey(0, []byte("k"))
	long := bytes.Repeat([]byte("0123456789"), 100)
	s.Put(h, nil, long)
	v, _, _ := s.Get(h, nil)
	s.Put(h, nil, v[500:])
	if got, _, _ := s.Get(h, nil); !bytes.Equal(got, long[500:]) {
		t.Errorf("got %q", got)
	}
	v, _, _ = s.Get(h, nil)
	s.Put(h, []byte("copy"), v)
	if got, _, _ := s.Get(h, []byte("copy")); !bytes.Equal(got, long[500:]) {
		t.Errorf("copy %q", got)
	}
}

func TestGetAndPutDoNotAllocate(t *testing.T) {
	s, h := setup(t)
	key, value := []byte("key"), make([]byte, 40)
	run := func() {
		s.SetKey(7, key)
		v, _, _ := s.Get(h, nil)
		copy(value, v)
		s.Put(h, nil, value)
		s.EndBatch()
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestOrderSurvivesCompaction(t *testing.T) {
	s, h := setup(t)
	rnd := rand.New(rand.NewPCG(5, 6))
	want := map[string]map[string]int{}
	value := make([]byte, 400)
	for i := range 100_000 {
		key, sub := fmt.Sprint(rnd.IntN(50)), fmt.Sprint(rnd.IntN(200))
		s.SetKey(0, []byte(key))
		if want[key] == nil {
			want[key] = map[string]int{}
		}
		if rnd.IntN(3) == 0 {
			s.Delete(h, []byte(sub))
			delete(want[key], sub)
		} else {
			n := rnd.IntN(len(value))
			s.Put(h, []byte(sub), value[:n])
			want[key][sub] = n
		}
		if i%500 == 0 {
			compareScan(t, s, h, want[key])
			s.EndBatch()
		}
	}
	s.EndBatch()
	for key, subs := range want {
		s.SetKey(0, []byte(key))
		compareScan(t, s, h, subs)
	}
}

func compareScan(t *testing.T, s *Store, h state.Handle, want map[string]int) {
	t.Helper()
	n, last := 0, ""
	s.Scan(h, func(sub, value []byte) bool {
		if l, ok := want[string(sub)]; !ok || l != len(value) || string(sub) <= last {
			t.Fatalf("sub-key %q after %q with %d bytes, want %d (%v)", sub, last, len(value), l, ok)
		}
		n, last = n+1, string(sub)
		return true
	})
	if n != len(want) {
		t.Fatalf("%d entries, want %d", n, len(want))
	}
}

func TestLoadReclaimsWhatItReplaces(t *testing.T) {
	s, h := setup(t)
	for i := range 500_000 {
		e := state.Entry{Handle: h, Key: fmt.Appendf(nil, "%d", i%1000), Value: make([]byte, i%300)}
		if err := s.Load(e); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Footprint(); n > slack+tendBytes {
		t.Errorf("%d bytes of pages", n)
	}
}
