package lsm

import (
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/table"
)

// The flags of an entry in the cache.
const (
	unwritten table.Flags = 1 << iota // is not like that in Pebble
	absent                            // there is none: deleted, or looked for in vain
	below                             // Pebble may hold one
	used                              // since the clock came by
)

// payload is what an entry counts in Size.
func payload(t *table.Table, r table.Ref) int64 {
	e := t.Item(r)
	return int64(len(e.Key) + len(e.Sub) + len(e.Value))
}

// add makes an entry of the current key that is not known to exist, and returns its
// value to write.
func (s *Store) add(st *stored, sub []byte, size int, flags table.Flags) []byte {
	r, _, _ := st.table.Upsert(&s.key, sub, size)
	s.evict.added++
	s.size.add(1, int64(len(s.key.Bytes)+len(sub)+size))
	return s.changed(st, r, sub, size, flags)
}

// change gives the entry a value of the given size, which keeps what it can of
// the old one if there was one.
func (s *Store) change(st *stored, r table.Ref, sub []byte, size int) (value []byte, existed bool) {
	flags := st.table.Flags(r)
	if flags&absent != 0 {
		s.size.add(1, int64(len(s.key.Bytes)+len(sub)+size))
		r, _ = st.table.Resize(r, 0) // what was deleted does not shine through
	} else {
		s.size.add(0, int64(size-len(st.table.Value(r))))
	}
	return s.changed(st, r, sub, size, flags&^absent|unwritten|used), flags&absent == 0
}

// remove marks the entry as deleted.
func (s *Store) remove(st *stored, r table.Ref, sub []byte) {
	flags := st.table.Flags(r)
	if flags&absent != 0 {
		return
	}
	s.size.add(-1, -payload(st.table, r))
	s.changed(st, r, sub, 0, flags|absent|unwritten)
}

// changed sets flags and size of an entry that the log must hear of.
func (s *Store) changed(st *stored, r table.Ref, sub []byte, size int, flags table.Flags) []byte {
	if was := st.table.Flags(r); was != flags {
		r = st.table.SetFlags(r, flags)
		if st.order != nil && was&unwritten == 0 {
			st.order.add(s.key.Bytes, sub)
		}
	}
	if !s.load.on {
		r = st.table.MarkChanged(r)
	}
	_, value := st.table.Resize(r, size)
	return value
}

// cache puts what Pebble holds, or does not hold, into the table.
func (s *Store) cache(st *stored, k *table.Key, sub, value []byte, found bool) {
	flags := below
	if !found {
		flags = absent
	}
	r, into, _ := st.table.Upsert(k, sub, len(value))
	copy(into, value)
	st.table.SetFlags(r, flags)
	s.evict.added++
}

// live reports whether the entry is one for the outside.
func live(t *table.Table, r table.Ref) bool { return t.Flags(r)&absent == 0 }

// appendItem appends the entry's key in Pebble.
func appendItem(dst []byte, h state.Handle, e table.Item) []byte {
	dst = appendKey(dst, e.Group, h, e.Key)
	return append(dst, e.Sub...)
}
