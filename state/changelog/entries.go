package changelog

import (
	"math"

	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// BatchLoader is a Loader that takes many entries faster than one by one;
// memory.Store is one.
type BatchLoader interface {
	Loader
	// Expect says about how many entries a state will have at the end, after its first Register and
	// before its first entry. It is only known of a store with one state.
	Expect(h state.Handle, entries int64)
	// LoadEntries is Load of one entry after the other. It may keep an error of one
	// until it has loaded others.
	LoadEntries(entries []state.Entry) error
}

// batchMax is how many entries are loaded together: enough for the waits for memory to
// overlap, and few enough for what they touch to stay in a core's cache.
const batchMax = 128

// batch collects entries for a Loader. Their slices lie in the segment that they
// were read from, so a batch ends with its segment.
type batch struct {
	into    Loader
	many    BatchLoader // into, if it is one
	entries []state.Entry
}

// live is about how many entries the handles' stores had, as far as they are of key groups
// lo to hi.
func live(handles []snapshot.Keyed, lo, hi int) (entries int64) {
	for _, k := range handles {
		from, to := max(k.GroupLo, lo), min(k.GroupHi, hi)
		if groups := int64(k.GroupHi - k.GroupLo + 1); from <= to {
			entries += k.Entries / groups * int64(to-from+1)
		}
	}
	return entries
}

// add takes an entry, after all before it. one says that its slices end with the
// call.
func (b *batch) add(e state.Entry, one bool) error {
	if b.many == nil || one {
		if err := b.flush(); err != nil {
			return err
		}
		return b.into.Load(e)
	}
	if b.entries = append(b.entries, e); len(b.entries) < batchMax {
		return nil
	}
	return b.flush()
}

// flush loads what is waiting.
func (b *batch) flush() error {
	if len(b.entries) == 0 {
		return nil
	}
	err := b.many.LoadEntries(b.entries)
	b.entries = b.entries[:0]
	return err
}

// loadEntriesLocked loads those entries that lie in the segment's narrowed range
// of key groups and positions.
func (t *target) loadEntriesLocked(s snapshot.Segment, f frame) (loaded int64, err error) {
	handles := f.handles()
	from, to := s.From, s.To
	if s.Base {
		from, to = 0, math.MaxUint64
	}
	body := f.body
	for position := f.from + 1; len(body) > 0; position++ {
		e, n, err := state.ReadEntry(body)
		if err != nil {
			return loaded, damaged(s.Ref.Key, err)
		}
		body = body[n:]
		if position <= from || position > to || e.Group < s.GroupLo || e.Group > s.GroupHi {
			continue
		}
		own := handles.find(e.Handle)
		if own == nil {
			if err := t.batch.flush(); err != nil { // before states change
				return loaded, err
			}
			if own, err = t.meetLocked(handles, s.Ref.Key, f, e.Handle, state.Variable, state.Variable); err != nil {
				return loaded, err
			}
		}
		if err := t.loadLocked(own, e); err != nil {
			return loaded, err
		}
		loaded++
	}
	return loaded, t.batch.flush()
}

// loadLocked loads one entry of a segment, at the latest when the batch is flushed.
func (t *target) loadLocked(own *registered, e state.Entry) (err error) {
	converted := own.convert != nil && !e.Deleted
	if converted {
		if own.value, err = own.convert(own.value[:0], e.Value); err != nil {
			return err
		}
		e.Value = own.value
	}
	e.Handle = own.handle
	return t.batch.add(e, converted)
}
