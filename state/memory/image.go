package memory

import (
	"context"
	"fmt"

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

// image is a state.Image: a view of each table. It is written key group by key group,
// in the order of the hashes that a restore fills its pages by.
//
// What is of the state's fixed sizes is written as records, the rest as entries.
type image struct {
	lo, hi int
	states []frozen
}

// frozen is a state of an image.
type frozen struct {
	state.Definition
	handle state.Handle
	view   *table.View
}

func (s *Store) freeze() *image {
	i := &image{lo: s.cfg.GroupLo, hi: s.cfg.GroupHi}
	for _, st := range s.states {
		i.states = append(i.states, frozen{st.Definition, st.handle, st.table.Freeze()})
	}
	return i
}

// Fuzzy implements state.Image.
func (i *image) Fuzzy() bool { return false }

// Close implements state.Image.
func (i *image) Close() {
	for _, f := range i.states {
		f.view.Close()
	}
}

// Write implements state.Image.
func (i *image) Write(ctx context.Context, yield func(state.Block) error) error {
	w := imageWriter{yield: yield}
	for _, f := range i.states {
		for group := i.lo; group <= i.hi; group++ {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("image of state %q: %w", f.Name, context.Cause(ctx))
			}
			if err := w.group(f, group); err != nil {
				return err
			}
			f.view.Done(group)
		}
		if err := w.flush(&w.records); err != nil {
			return err
		}
	}
	return w.flush(&w.entries)
}

// imageWriter fills one block of records and one of entries.
type imageWriter struct {
	yield            func(state.Block) error
	records, entries state.Block

	shape state.Records // of the records
	run   []byte        // records of one group, not in the block yet
	runs  int           // their number
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
