package statetest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/changelog"
)

// testImage takes an image while the store goes on, and loads it, and what the
// log has after its position, into another store.
func testImage(t *testing.T, open Open) {
	s, log := setup(t, open)
	a, b := register(t, s, "a"), fixed(t, s)
	change := func(round int) {
		for i := range 500 {
			s.SetKey(i%groups, fmt.Appendf(nil, "%03d", i))
			switch (i + round) % 5 {
			case 0:
				check(t, s.Delete(a, []byte("x")))
				check(t, s.Delete(b, []byte("subk")))
			case 1, 2:
				check(t, s.Put(a, []byte("x"), fmt.Appendf(nil, "%0*d", 1+round*i%90, i)))
			default:
				v, _, err := s.Update(b, []byte("subk"), 8)
				check(t, err)
				copy(v, fmt.Sprintf("%04d%04d", round, i))
			}
			if i%50 == 0 {
				scan(s, a)
			}
		}
		check(t, s.EndBatch())
	}
	for round := range 4 {
		change(round)
	}
	atCut := contents(t, s, a, b)
	log.want = true
	cut := s.Cut(1)
	if log.done == nil {
		t.Fatal("the store gave no image, though the log wants one")
	}
	for round := 4; !log.imageDone(); round++ {
		change(round)
		s.Cut(2)
		runtime.Gosched()
	}
	check(t, log.imageErr)
	blocks := log.image
	if int(cut.Position) > len(log.entries) {
		t.Fatalf("cut at %d of %d entries", cut.Position, len(log.entries))
	}
	restored, ra, rb := loadImage(t, open, blocks)
	if !log.fuzzy {
		equal(t, "image", contents(t, restored, ra, rb), atCut)
	}
	own := map[state.Handle]state.Handle{a: ra, b: rb}
	for _, e := range log.entries[cut.Position:] {
		e.Handle = own[e.Handle]
		check(t, restored.Load(e))
	}
	equal(t, "image and log", contents(t, restored, ra, rb), contents(t, s, a, b))
}

// contents describes all entries of some states, in order.
func contents(t *testing.T, s state.Store, handles ...state.Handle) (out []string) {
	t.Helper()
	for i, h := range handles {
		check(t, s.ScanAll(h, func(group int, key, sub, value []byte) bool {
			out = append(out, fmt.Sprintf("%d/%d/%s/%s=%s", i, group, key, sub, value))
			return true
		}))
	}
	slices.Sort(out)
	return out
}

// loadImage loads an image's blocks into another store, where the states have
// other numbers.
func loadImage(t *testing.T, open Open, blocks []state.Block) (s Store, a, b state.Handle) {
	t.Helper()
	s, _ = setup(t, open)
	if slices.ContainsFunc(blocks, func(b state.Block) bool { return b.Format == state.FileBlock }) {
		loadFiles(t, s, blocks)
		return s, register(t, s, "a"), fixed(t, s)
	}
	b = fixed(t, s)
	a = register(t, s, "a")
	own := map[state.Handle]state.Handle{0: a, 1: b}
	for _, block := range blocks {
		entries := 0
		inRange := func(group int) {
			if group < block.GroupLo || group > block.GroupHi {
				t.Errorf("entry of group %d in a block of %d to %d", group, block.GroupLo, block.GroupHi)
			}
		}
		if block.Format == state.RecordBlock {
			check(t, state.ReadRecords(block.Data, func(r state.Records, group int, data []byte) error {
				inRange(group)
				entries += len(data) / r.Size()
				r.Handle = own[r.Handle]
				return s.LoadRecords(r, group, data)
			}))
		} else {
			for _, e := range decodeEntries(block.Data) {
				inRange(e.Group)
				entries++
				e.Handle = own[e.Handle]
				check(t, s.Load(e))
			}
		}
		if entries != block.Entries {
			t.Errorf("block of %d entries is said to have %d", entries, block.Entries)
		}
	}
	return s, a, b
}

// loadFiles loads an image in files.
func loadFiles(t *testing.T, s Store, blocks []state.Block) {
	t.Helper()
	var files []snapshot.Segment
	data := map[string][]byte{}
	for _, b := range blocks {
		files = append(files, snapshot.Segment{Kind: snapshot.SegmentFile, Name: b.Name, Base: true, GroupLo: b.GroupLo, GroupHi: b.GroupHi})
		data[b.Name] = b.Data
	}
	fetch := func(_ context.Context, f snapshot.Segment, path string) error {
		return os.WriteFile(path, data[f.Name], 0o600)
	}
	check(t, s.(changelog.FileLoader).LoadFiles(t.Context(), files, 0, groups-1, fetch))
}

// testImageIsClosedUnread takes an image that nobody writes.
func testImageIsClosedUnread(t *testing.T, open Open) {
	s, log := setup(t, open)
	h := register(t, s, "a")
	for round := range 3 {
		log.want, log.drop = true, true
		s.SetKey(1, []byte("k"))
		check(t, s.Put(h, nil, bytes.Repeat([]byte("v"), round)))
		check(t, s.EndBatch())
		s.Cut(1)
	}
	if got, ok, err := s.Get(h, nil); !ok || err != nil || len(got) != 2 {
		t.Errorf("get %q, %v, %v", got, ok, err)
	}
	if log.dropped != 3 {
		t.Errorf("%d images, want 3", log.dropped)
	}
}
