package lsm

import (
	"bytes"
	"slices"

	"github.com/cairnstream/cairn/state/table"
)

// evictor keeps the tables within their memory.
//
// Two clock hands go round in each table. The first collects unwritten entries and
// hands them to the writer; it sets out when the tables come near their bound. The
// second, while no batch is being written, drops entries that are like in Pebble
// and were not used since it came by. Each goes a little after every batch, in
// proportion to what the batch has added, so that no batch waits long.
type evictor struct {
	added int // entries, since the last EndBatch
	turn  int // the state that comes next
	hands []hands

	arena   []byte // scratch: keys and values of a batch
	entries []outgoing
}

// hands of one state, by handle.
type hands struct{ write, drop table.Hand }

// outgoing is an entry on its way to Pebble. Its bytes are in the arena: the key up
// to value, and the value up to end.
type outgoing struct {
	from, value, end int
	deleted          bool
}

const (
	// sliceMin is how many entries a hand looks for at least: a batch of so few
	// costs less than a millisecond.
	sliceMin = 512
	// sliceScan is how many entries a hand passes for each that it wants.
	sliceScan = 8
	// batchEntries bounds a batch for Pebble.
	batchEntries = 4096
)

// makeRoom goes on with writing back and dropping. It is called between batches.
func (s *Store) makeRoom() {
	e := &s.evict
	want := max(sliceMin, 2*e.added)
	e.added = 0
	for _, st := range s.states {
		if st.order != nil && st.order.n > orderMax {
			s.boundOrder(st)
		}
	}
	footprint := s.footprint()
	if footprint > s.bound {
		s.drop(want, footprint > s.bound+s.bound/8)
	}
	if footprint > s.bound-s.bound/8 {
		s.writeSome(want)
	}
}

// boundOrder makes the order of a state smaller: most of it may be of entries that
// are gone. If not, they are written back.
func (s *Store) boundOrder(st *stored) {
	if st.order = orderOf(st.table); st.order.n > orderMax/2 {
		s.writeState(st)
	}
}

// footprint is the memory that the tables take.
func (s *Store) footprint() (n int64) {
	for _, st := range s.states {
		n += st.table.Footprint()
	}
	return n
}

func (s *Store) handsOf(st *stored) *hands {
	for len(s.evict.hands) < len(s.states) {
		s.evict.hands = append(s.evict.hands, hands{})
	}
	return &s.evict.hands[st.handle]
}

// drop evicts about want entries. What is being written is not in Pebble yet, so
// nothing is dropped meanwhile, unless memory is short: then the writer is
// waited for.
func (s *Store) drop(want int, short bool) {
	if !s.writer.idle() {
		if !short {
			return
		}
		if s.writer.wait() != nil {
			return // EndBatch tells of it
		}
	}
	for range s.states {
		st := s.next()
		if want -= s.dropFrom(st, want); want <= 0 {
			return
		}
	}
}

// next returns the states in turn.
func (s *Store) next() *stored {
	s.evict.turn = (s.evict.turn + 1) % len(s.states)
	return s.states[s.evict.turn]
}

func (s *Store) dropFrom(st *stored, want int) (dropped int) {
	t, hand := st.table, &s.handsOf(st).drop
	for looked := 0; looked < sliceScan*want && looked < 2*t.Len() && dropped < want; {
		n := t.SweepFrom(hand, want, unwritten, 0, func(r table.Ref) (table.Ref, bool) {
			if flags := t.Flags(r); flags&used != 0 {
				return t.SetFlags(r, flags&^used), false
			}
			dropped++
			return r, true
		})
		if n == 0 {
			break
		}
		looked += n
	}
	return dropped
}

// writeSome writes about want unwritten entries back, if the writer has time.
func (s *Store) writeSome(want int) {
	if !s.writer.idle() {
		return
	}
	for range s.states {
		st := s.next()
		if want -= s.writeBack(st, want, sliceScan*want); want <= 0 {
			return
		}
	}
}

// writeBack hands up to about want unwritten entries of a state to the writer, and
// looks at about scan entries for them.
func (s *Store) writeBack(st *stored, want, scan int) (written int) {
	t, hand := st.table, &s.handsOf(st).write
	for looked := 0; looked < min(scan, t.Len()) && written < want; {
		n := t.SweepFrom(hand, min(want-written, batchEntries), unwritten, unwritten, func(r table.Ref) (table.Ref, bool) {
			return s.collect(st, t, r)
		})
		if n == 0 {
			break
		}
		looked += n
		written += s.submit(st)
	}
	return written
}

// collect takes an unwritten entry into the next batch. It reports whether the
// entry goes from the table, because it is nowhere.
func (s *Store) collect(st *stored, t *table.Table, r table.Ref) (table.Ref, bool) {
	e := &s.evict
	item := t.Item(r)
	flags := item.Flags
	if flags&(absent|below) == absent {
		return t.SetFlags(r, flags&^unwritten), false
	}
	from := len(e.arena)
	e.arena = appendItem(e.arena, st.handle, item)
	o := outgoing{from: from, value: len(e.arena), deleted: flags&absent != 0}
	if o.deleted {
		flags &^= below
	} else {
		e.arena = append(e.arena, item.Value...)
		flags |= below
	}
	o.end = len(e.arena)
	e.entries = append(e.entries, o)
	return t.SetFlags(r, flags&^unwritten), false
}

// submit hands what was collected to the writer, in order.
func (s *Store) submit(st *stored) int {
	e := &s.evict
	n := len(e.entries)
	if n == 0 {
		return 0
	}
	slices.SortFunc(e.entries, func(a, b outgoing) int {
		return bytes.Compare(e.arena[a.from:a.value], e.arena[b.from:b.value])
	})
	b := s.disk.db.NewBatchWithSize(len(e.arena) + 16*n)
	for _, o := range e.entries {
		var err error
		if o.deleted {
			err = b.Delete(e.arena[o.from:o.value], nil)
		} else {
			err = b.Set(e.arena[o.from:o.value], e.arena[o.value:o.end], nil)
		}
		s.fail(err)
	}
	st.below = true
	s.writer.submit(b)
	e.arena, e.entries = e.arena[:0], e.entries[:0]
	return n
}

// writeAll writes everything back and waits for it.
func (s *Store) writeAll() error {
	for _, st := range s.states {
		s.writeState(st)
	}
	return s.writer.wait()
}

// writeState writes all of a state back. Once round is not enough: writeBack gives up
// where it finds nothing but empty key groups for a while.
func (s *Store) writeState(st *stored) {
	for s.unwrittenIn(st) && s.err == nil {
		s.writeBack(st, st.table.Len(), st.table.Len())
	}
	if st.order != nil && s.err == nil {
		st.order.clear()
	}
}

func (s *Store) unwrittenIn(st *stored) bool {
	for r := range st.table.All {
		if st.table.Flags(r)&unwritten != 0 {
			return true
		}
	}
	return false
}
