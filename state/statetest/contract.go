package statetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cairnstream/cairn/state"
)

// fixed registers a state whose sub-keys have 4 bytes and whose values 8.
func fixed(t *testing.T, s state.Store) state.Handle {
	t.Helper()
	h, err := s.Register(state.Definition{Name: "fixed", Kind: "map", Schema: "bytes", SubSize: 4, ValueSize: 8})
	check(t, err)
	return h
}

func testUpdate(t *testing.T, open Open) {
	s, log := setup(t, open)
	for _, h := range []state.Handle{register(t, s, "a"), fixed(t, s)} {
		sub := []byte("subk")
		s.SetKey(1, []byte("k"))
		update := func(size int, want string, had bool, write string) {
			t.Helper()
			v, existed, err := s.Update(h, sub, size)
			check(t, err)
			if string(v) != want || existed != had {
				t.Errorf("update to %d bytes: %q, existed %v; want %q, %v", size, v, existed, want, had)
			}
			copy(v, write)
		}
		update(8, strings.Repeat("\x00", 8), false, "12345678")
		update(8, "12345678", true, "abcdefgh")
		check(t, s.EndBatch())
		equal(t, "log", log.take(), []string{fmt.Sprintf("%d/k/subk=abcdefgh", h)})
		check(t, s.Delete(h, sub))
		update(8, strings.Repeat("\x00", 8), false, "ABCDEFGH")
		check(t, s.EndBatch())
		equal(t, "log after delete", log.take(), []string{fmt.Sprintf("%d/k/subk=ABCDEFGH", h)})
		if got, ok, err := s.Get(h, sub); !ok || err != nil || string(got) != "ABCDEFGH" {
			t.Errorf("get %q, %v, %v", got, ok, err)
		}
		check(t, s.Delete(h, sub))
		check(t, s.EndBatch())
		log.take()
	}
}

func testUpdateResizes(t *testing.T, open Open) {
	s, _ := setup(t, open)
	h := register(t, s, "a")
	s.SetKey(1, []byte("k"))
	old := []byte(nil)
	for i, size := range []int{3, 10, 2, 5, 300, 0, 40, 5000, 7} {
		want := make([]byte, size)
		copy(want, old)
		v, existed, err := s.Update(h, nil, size)
		check(t, err)
		if !bytes.Equal(v, want) || existed != (i > 0) {
			t.Errorf("update to %d bytes: %q, existed %v, want %q", size, v, existed, want)
		}
		for j := range v {
			v[j] = byte('a' + i)
		}
		old = bytes.Clone(v)
		if i%2 == 0 {
			check(t, s.EndBatch())
		}
	}
}

func testPutOfWhatGetReturned(t *testing.T, open Open) {
	s, _ := setup(t, open)
	h := register(t, s, "a")
	s.SetKey(1, []byte("k"))
	check(t, s.Put(h, nil, []byte("abcdef")))
	for range 3 {
		v, _, err := s.Get(h, nil)
		check(t, err)
		check(t, s.Put(h, nil, v[:len(v)-1]))
	}
	if v, _, _ := s.Get(h, nil); string(v) != "abc" {
		t.Errorf("got %q", v)
	}
}

func testSweepVisitsAll(t *testing.T, open Open) {
	s, log := setup(t, open)
	a, b := register(t, s, "a"), register(t, s, "b")
	for i := range 1000 {
		s.SetKey(i%groups, fmt.Appendf(nil, "%d", i))
		check(t, s.Put(a, nil, fmt.Appendf(nil, "%d", i)))
		check(t, s.Put(b, nil, []byte("other")))
	}
	check(t, s.EndBatch())
	log.take()
	seen := map[string]bool{}
	for calls := 0; len(seen) < 1000; calls++ {
		if calls == 1000 {
			t.Fatalf("%d of 1000 entries seen", len(seen))
		}
		looked := 0
		check(t, s.Sweep(a, 50, func(v []byte) bool {
			looked++
			seen[string(v)] = true
			return v[0] == '7'
		}))
		if looked > 500 {
			t.Fatalf("a sweep of about 50 entries looked at %d", looked)
		}
		s.SetKey(calls%groups, fmt.Appendf(nil, "new%d", calls)) // it goes on while the state changes
		check(t, s.Put(b, nil, []byte("more")))
		check(t, s.EndBatch())
	}
	deleted := 0
	for _, e := range log.entries {
		if e.Deleted {
			deleted++
		}
	}
	if deleted != 111 {
		t.Errorf("%d deletions in the log, want 111", deleted)
	}
	check(t, s.ScanAll(a, func(_ int, _, _, v []byte) bool {
		if v[0] == '7' {
			t.Errorf("%s is left", v)
		}
		return true
	}))
}

func testLoadRecords(t *testing.T, open Open) {
	s, log := setup(t, open)
	h := fixed(t, s)
	r := state.Records{Handle: h, KeySize: 5, SubSize: 4, ValueSize: 8}
	var wg sync.WaitGroup
	for group := range groups { // at once
		wg.Go(func() {
			for part := range 3 {
				var data []byte
				for i := range 100 {
					data = fmt.Appendf(data, "%02d.%02d%04d%08d", group, part, i, group*i)
				}
				if err := s.LoadRecords(r, group, data); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n, _ := s.Size(); n != groups*300 {
		t.Errorf("%d entries", n)
	}
	check(t, s.EndBatch())
	equal(t, "log", log.take(), nil)
	s.SetKey(7, []byte("07.02"))
	if got := scan(s, h); len(got) != 100 || got[99] != "0099=00000693" {
		t.Errorf("%d entries: %q", len(got), got)
	}
	if _, ok, _ := s.Get(h, []byte("0100")); ok {
		t.Error("an entry that was not loaded")
	}
}

func testSchemaChanges(t *testing.T, open Open) {
	type old struct{ A, B int64 }
	type new struct {
		B, C int64
	}
	s, log := setup(t, open)
	v, err := state.NewValue[old](s, "v")
	check(t, err)
	for i := range 200 {
		s.SetKey(i%groups, fmt.Appendf(nil, "%d", i))
		check(t, v.Set(old{1, int64(i)}))
	}
	check(t, s.EndBatch())
	log.take()
	after, err := state.NewValue[new](s, "v")
	check(t, err)
	if len(log.defined) != 2 || log.defined[0] == log.defined[1] {
		t.Errorf("the log knows of %q", log.defined)
	}
	for i := range 200 {
		s.SetKey(i%groups, fmt.Appendf(nil, "%d", i))
		if got, ok, err := after.Get(); !ok || err != nil || got != (new{B: int64(i)}) {
			t.Fatalf("%d: %v, %v, %v", i, got, ok, err)
		}
	}
	check(t, s.EndBatch())
	if n := len(log.take()); n != 200 {
		t.Errorf("%d entries in the log after the change, want all 200", n)
	}
	type wrong struct{ B string }
	if _, err := state.NewValue[wrong](s, "v"); !errors.Is(err, state.ErrIncompatible) || !strings.Contains(err.Error(), "B") {
		t.Errorf("an impossible change: %v", err)
	}
}

func testPrefetch(t *testing.T, open Open) {
	s, _ := setup(t, open)
	p, ok := s.(state.Prefetcher)
	if !ok {
		return // it has no need to
	}
	h := register(t, s, "a")
	var wanted []state.Wanted
	for i := range 300 {
		key := fmt.Appendf(nil, "%d", i)
		s.SetKey(i%groups, key)
		if i%3 > 0 {
			check(t, s.Put(h, []byte("s"), key))
		}
		wanted = append(wanted, state.Wanted{Handle: h, Group: i % groups, Key: key, Sub: []byte("s")})
	}
	check(t, s.EndBatch())
	wanted = append(wanted, wanted...) // twice does no harm
	slices.SortFunc(wanted, func(a, b state.Wanted) int { return bytes.Compare(a.Key, b.Key) })
	check(t, p.Prefetch(wanted))
	for i := range 300 {
		key := fmt.Appendf(nil, "%d", i)
		s.SetKey(i%groups, key)
		if got, ok, err := s.Get(h, []byte("s")); err != nil || ok != (i%3 > 0) || ok && !bytes.Equal(got, key) {
			t.Fatalf("%d: %q, %v, %v", i, got, ok, err)
		}
	}
}
