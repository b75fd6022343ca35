package lsm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// spy is a log that keeps what a restore needs.
type spy struct {
	inherited []part
	own       part
	position  uint64
	want      bool // an image

	mu     sync.Mutex
	defs   []state.Definition // by handle
	writes sync.WaitGroup     // images under way
	files  map[string][]byte  // of all images
	sent   int                // files that came with data
	images []taken
	busy   bool // an image is under way
}

// part is a run of a handle: an image, and what follows.
type part struct {
	lo, hi  int
	defs    []state.Definition
	image   *taken
	entries []state.Entry // from the image's position on
}

// taken is an image.
type taken struct {
	at     uint64
	blocks []state.Block
	files  map[string][]byte
	err    error
}

func newSpy(lo, hi int) *spy {
	return &spy{own: part{lo: lo, hi: hi}, files: map[string][]byte{}}
}

func (l *spy) Define(h state.Handle, d state.Definition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if int(h) == len(l.defs) {
		l.defs = append(l.defs, d)
	}
	l.defs[h] = d
}

func (l *spy) Append(block []byte, n int) []byte {
	l.position += uint64(n)
	for data := block; len(data) > 0; n-- {
		e, size, err := state.ReadEntry(data)
		if err != nil {
			panic(err)
		}
		l.own.entries = append(l.own.entries, e)
		data = data[size:]
	}
	if n != 0 {
		panic(fmt.Sprintf("%d entries missing", n))
	}
	return nil
}

func (l *spy) WantsImage(int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.want && !l.busy
}

func (l *spy) HasFile(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.files[name]
	return ok
}

func (l *spy) Image(i state.Image) {
	l.want, l.busy = false, true
	t := taken{at: l.position}
	l.writes.Go(func() {
		defer i.Close()
		t.err = i.Write(context.Background(), func(b state.Block) error { return l.take(&t, b) })
		l.mu.Lock()
		defer l.mu.Unlock()
		l.images, l.busy = append(l.images, t), false
	})
}

func (l *spy) take(t *taken, b state.Block) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b.Format == state.FileBlock {
		if t.files == nil {
			t.files = map[string][]byte{}
		}
		if b.Data != nil {
			l.sent++
			l.files[b.Name] = b.Data
		} else if l.files[b.Name] == nil {
			return fmt.Errorf("file %s has no data", b.Name)
		}
		t.files[b.Name] = l.files[b.Name]
	}
	t.blocks = append(t.blocks, b)
	return nil
}

// finish waits for images, and lets the handle begin with the newest.
func (l *spy) finish(t testing.TB) {
	l.writes.Wait()
	for _, i := range l.images {
		if i.err != nil {
			t.Fatal(i.err)
		}
		first := l.position - uint64(len(l.own.entries))
		l.own.entries = l.own.entries[i.at-first:]
		l.own.image, l.inherited = &i, nil
	}
	l.images = nil
}

// parts is the handle.
func (l *spy) parts() []part {
	own := l.own
	own.defs = l.defs
	return append(l.inherited[:len(l.inherited):len(l.inherited)], own)
}

// restore loads the parts into a store, as the changelog does, and returns the number
// of bytes of files that it fetched.
func restore(t testing.TB, s *Store, parts []part, lo, hi int) (fetched int64) {
	t.Helper()
	for _, p := range parts {
		if p.image == nil || p.image.files == nil {
			continue
		}
		from, to := max(lo, p.lo), min(hi, p.hi)
		if from > to {
			continue
		}
		n, err := loadFiles(s, p.image, from, to)
		if err != nil {
			t.Fatal(err)
		}
		fetched += n
	}
	for _, p := range parts {
		if p.image != nil {
			for _, b := range p.image.blocks {
				if b.Format == state.EntryBlock {
					load(t, s, p, lo, hi, decode(b.Data))
				}
			}
		}
		load(t, s, p, lo, hi, p.entries)
	}
	return fetched
}

// loadFiles gives the store those of the image's files that hold any of lo to hi.
func loadFiles(s *Store, i *taken, lo, hi int) (fetched int64, err error) {
	var segments []snapshot.Segment
	for _, b := range i.blocks {
		if b.Format == state.FileBlock && b.GroupLo <= hi && b.GroupHi >= lo {
			segments = append(segments, snapshot.Segment{
				Kind: snapshot.SegmentFile, Name: b.Name, Base: true, GroupLo: max(lo, b.GroupLo), GroupHi: min(hi, b.GroupHi),
			})
		}
	}
	var mu sync.Mutex
	err = s.LoadFiles(context.Background(), segments, lo, hi, func(_ context.Context, f snapshot.Segment, path string) error {
		mu.Lock()
		defer mu.Unlock()
		fetched += int64(len(i.files[f.Name]))
		return os.WriteFile(path, i.files[f.Name], 0o644)
	})
	return fetched, err
}

func load(t testing.TB, s *Store, p part, lo, hi int, entries []state.Entry) {
	t.Helper()
	for _, e := range entries {
		if e.Group < max(lo, p.lo) || e.Group > min(hi, p.hi) {
			continue
		}
		d := p.defs[e.Handle]
		d.SubSize, d.ValueSize = state.Variable, state.Variable
		h, err := s.Register(d)
		if err != nil {
			t.Fatal(err)
		}
		e.Handle = h
		if err := s.Load(e); err != nil {
			t.Fatal(err)
		}
	}
}

func decode(data []byte) (out []state.Entry) {
	data = bytes.Clone(data)
	for len(data) > 0 {
		e, n, err := state.ReadEntry(data)
		if err != nil {
			panic(err)
		}
		out, data = append(out, e), data[n:]
	}
	return out
}
