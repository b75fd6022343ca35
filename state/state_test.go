package state

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

func FuzzReadEntry(f *testing.F) {
	f.Add(AppendEntry(nil, Entry{Handle: 65535, Group: 7, Key: []byte("k"), Sub: []byte("s"), Value: []byte("v")}))
	f.Add(AppendEntry(nil, Entry{Deleted: true}))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, n, err := ReadEntry(b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("error %v", err)
			}
			return
		}
		again, _, err := ReadEntry(AppendEntry(nil, e))
		if err != nil || n > len(b) || fmt.Sprint(again) != fmt.Sprint(e) {
			t.Errorf("%+v (%d bytes) comes back as %+v, %v", e, n, again, err)
		}
	})
}

func TestEntryRoundTrip(t *testing.T) {
	for _, e := range []Entry{
		{Handle: 65535, Group: 1 << 20, Key: []byte("k"), Sub: []byte("s"), Value: bytes.Repeat([]byte("v"), 1<<20)},
		{Handle: 1, Deleted: true, Key: []byte("key")},
		{},
	} {
		b := AppendEntry(nil, e)
		got, n, err := ReadEntry(append(bytes.Clone(b), 1, 2, 3))
		if err != nil || n != len(b) || fmt.Sprint(got) != fmt.Sprint(e) {
			t.Errorf("%d of %d bytes, %v", n, len(b), err)
		}
		for i := range min(len(b), 100) {
			if _, _, err := ReadEntry(b[:i]); !errors.Is(err, ErrCorrupt) {
				t.Errorf("the first %d bytes decode: %v", i, err)
			}
		}
	}
}

func TestTimerHeapSortsAndGivesMemoryBack(t *testing.T) {
	var h timerHeap
	rnd := rand.New(rand.NewPCG(1, 2))
	key := make([]byte, 100)
	for round := range 20_000 {
		h.push(rnd.Int64N(1000), rnd.IntN(5), key, []byte{byte(rnd.IntN(3))})
		if round < 1000 {
			continue
		}
		before := h.items[0]
		tag := bytes.Clone(h.tag(&before))
		h.pop()
		if after := &h.items[0]; after.at < before.at || after.at == before.at && after.group < before.group ||
			after.at == before.at && after.group == before.group && bytes.Compare(h.tag(after), tag) < 0 {
			t.Fatalf("%+v after %+v", after, before)
		}
		if live := 1000 * 101; len(h.arena) > 2*live+2*compactMin {
			t.Fatalf("an arena of %d bytes for %d live ones", len(h.arena), live)
		}
	}
}
