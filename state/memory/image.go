package memory

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/table"
)

const (
	// imageBlockBytes is about the size of a block: large enough to be a good read from
	// an object store, and small enough for a restore with another parallelism to
	// read little that it does not need.
	imageBlockBytes = 1 << 20
	// recordMax is the size of a record up to which records are used.
	recordMax = 4 << 10
)

// sliceBytes is about how much of a store is frozen at once. A freeze costs the task a copy
// of every page that is written before it is read: of a whole table of a million
// entries that was a pause of 30 ms and more, spread over its next changes.
const sliceBytes = 1 << 20

// image is a state.Image that is frozen slice by slice: some key groups of all states
// as of one batch, the next ones as of a later one, when the reader is done with them. So it is
// fuzzy, unless all fits into one slice, and few pages are ever copied. It is written in the
// order of the hashes that a restore fills its pages by.
//
// What is of the state's fixed sizes is written as records, the rest as entries.
type image struct {
	lo, hi int // key groups
	step   int // groups in a slice
	slices chan *slice
	wanted atomic.Bool // the reader waits for a slice

	// Of the store's goroutine.
	next int // the first group of the next slice
	seen int // Store.batches at the last Cut

	mu     sync.Mutex
	closed bool
	unread *slice // in slices, or being read
}

// slice is some key groups of the states.
type slice struct {
	lo, hi int
	states []frozen
}

// frozen is a state of an image.
type frozen struct {
	state.Definition
	handle state.Handle
	view   *table.View
}

func (s *slice) close() {
	for _, f := range s.states {
		f.view.Close()
	}
}

// newImage begins an image with its first slice.
func (s *Store) newImage() *image {
	groups := s.cfg.GroupHi - s.cfg.GroupLo + 1
	i := &image{lo: s.cfg.GroupLo, hi: s.cfg.GroupHi, next: s.cfg.GroupLo, slices: make(chan *slice, 1), seen: s.batches}
	i.step = max(1, int(int64(groups)*int64(s.cfg.ImageSlice)/max(s.Footprint(), 1)))
	i.wanted.Store(true)
	return i
}

// feed gives the image that is under way its next slice, if it wants one. At the barrier of
// a store that has not changed since the last, no pause can hurt, and it gets the rest.
func (s *Store) feed(barrier bool) {
	i := s.image
	if i == nil || !i.wanted.Load() {
		return
	}
	hi := min(i.next+i.step-1, i.hi)
	if barrier {
		if i.seen == s.batches && i.next > i.lo {
			hi = i.hi
		}
		i.seen = s.batches
	}
	next := &slice{lo: i.next, hi: hi}
	for _, st := range s.states {
		next.states = append(next.states, frozen{st.Definition, st.handle, st.table.FreezeGroups(next.lo, next.hi)})
	}
	i.next = hi + 1
	if !i.take(next) || hi == i.hi {
		s.image = nil
	}
}

// take hands a slice to the reader; false if the image is closed.
func (i *image) take(next *slice) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		next.close()
		return false
	}
	i.unread = next
	i.wanted.Store(false)
	i.slices <- next // there is room: one is asked for at a time
	return true
}

// Fuzzy implements state.Image.
func (i *image) Fuzzy() bool { return i.step <= i.hi-i.lo }

// Close implements state.Image.
func (i *image) Close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed = true; i.unread != nil {
		i.unread.close()
	}
	i.wanted.Store(true) // so that the store looks, and lets go
}

// Write implements state.Image.
func (i *image) Write(ctx context.Context, yield func(state.Block) error) error {
	w := imageWriter{yield: yield}
	for more := true; more; {
		select {
		case <-ctx.Done():
			return fmt.Errorf("image of key groups %d to %d: %w", i.lo, i.hi, context.Cause(ctx))
		case s := <-i.slices:
			if err := w.slice(ctx, s); err != nil {
				return err
			}
			more = s.hi < i.hi
			i.done(s)
		}
	}
	if err := w.flush(&w.records); err != nil {
		return err
	}
	return w.flush(&w.entries)
}

// done lets go of a slice and asks for the next.
func (i *image) done(s *slice) {
	i.mu.Lock()
	defer i.mu.Unlock()
	s.close()
	i.unread = nil
	i.wanted.Store(true)
}

// imageWriter fills one block of records and one of entries.
type imageWriter struct {
	yield            func(state.Block) error
	records, entries state.Block

	shape state.Records // of the records
	run   []byte        // records of one group, not in the block yet
	runs  int           // their number
}

// slice writes all states of some key groups.
func (w *imageWriter) slice(ctx context.Context, s *slice) error {
	for _, f := range s.states {
		for group := s.lo; group <= s.hi; group++ {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("image of state %q: %w", f.Name, context.Cause(ctx))
			}
			if err := w.group(f, group); err != nil {
				return err
			}
			f.view.Done(group)
		}
		if len(s.states) > 1 || w.shape.Size() == 0 {
			if err := w.flush(&w.records); err != nil { // the next state has other records
				return err
			}
		}
	}
	return nil
}

// group writes a key group of a state.
func (w *imageWriter) group(f frozen, group int) error {
	if n := f.view.GroupLen(group) * w.shape.Size(); len(w.records.Data) > imageBlockBytes/2 && len(w.records.Data)+n > imageBlockBytes {
		if err := w.flush(&w.records); err != nil { // ends with a group, if it can
			return err
		}
	}
	for e := range f.view.Group(group) {
		var err error
		switch {
		case w.fits(f, e):
			err = w.record(e)
		default:
			err = w.entry(f.handle, e)
		}
		if err != nil {
			return err
		}
	}
	w.endRun(group)
	return nil
}

// fits reports whether an entry can be one of the block's records. The first of a block
// decides about the size of keys.
func (w *imageWriter) fits(f frozen, e table.Item) bool {
	if len(e.Sub) != f.SubSize || len(e.Value) != f.ValueSize {
		return false
	}
	if w.records.Data == nil {
		w.shape = state.Records{Handle: f.handle, KeySize: len(e.Key), SubSize: f.SubSize, ValueSize: f.ValueSize}
		if w.shape.Size() == 0 || w.shape.Size() > recordMax {
			return false
		}
		w.records.Data = w.shape.AppendHeader(make([]byte, 0, imageBlockBytes+imageBlockBytes/8))
		w.records.Format = state.RecordBlock
	}
	return len(e.Key) == w.shape.KeySize
}

func (w *imageWriter) record(e table.Item) error {
	w.run = append(w.run, e.Key...)
	w.run = append(w.run, e.Sub...)
	w.run = append(w.run, e.Value...)
	w.runs++
	if len(w.records.Data)+len(w.run) < imageBlockBytes {
		return nil
	}
	w.endRun(e.Group)
	return w.flush(&w.records)
}

// endRun puts the run into its block.
func (w *imageWriter) endRun(group int) {
	if w.runs == 0 {
		return
	}
	w.records.Data = w.shape.AppendRun(w.records.Data, group, w.runs)
	w.records.Data = append(w.records.Data, w.run...)
	note(&w.records, group, w.runs)
	w.run, w.runs = w.run[:0], 0
}

func (w *imageWriter) entry(h state.Handle, e table.Item) error {
	b := &w.entries
	if b.Data == nil {
		b.Data = make([]byte, 0, blockBytes)
	}
	b.Data = state.AppendEntry(b.Data, state.Entry{Handle: h, Group: e.Group, Key: e.Key, Sub: e.Sub, Value: e.Value})
	note(b, e.Group, 1)
	if len(b.Data) < imageBlockBytes {
		return nil
	}
	return w.flush(b)
}

// note counts n entries of a group in a block.
func note(b *state.Block, group, n int) {
	if b.Entries == 0 {
		b.GroupLo, b.GroupHi = group, group
	}
	b.GroupLo, b.GroupHi = min(b.GroupLo, group), max(b.GroupHi, group)
	b.Entries += n
}

// flush yields a block and begins the next.
func (w *imageWriter) flush(b *state.Block) error {
	full := *b
	*b = state.Block{}
	if full.Entries == 0 {
		return nil
	}
	return w.yield(full)
}
