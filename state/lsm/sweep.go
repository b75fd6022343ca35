package lsm

import (
	"bytes"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/table"
)

// sweeper is how far Sweep has come in a state: it goes round in the cache and,
// apart from that, in Pebble.
type sweeper struct {
	hand table.Hand
	next []byte // the first key in Pebble to look at; empty: begin again
}

// expiredEntry is a copy of an entry that is to be deleted.
type expiredEntry struct {
	group    int
	key, sub []byte
	value    int // its length
}

// Sweep implements state.Store.
func (s *Store) Sweep(h state.Handle, limit int, expired func(value []byte) bool) error {
	s.loaded()
	if s.err != nil {
		return s.err
	}
	st := s.states[h]
	if st.below {
		limit = (limit + 1) / 2
		s.fail(s.sweepBelow(st, limit, expired))
	}
	s.sweepCache(st, limit, expired)
	return s.err
}

func (s *Store) sweepCache(st *stored, limit int, expired func(value []byte) bool) {
	var gone []expiredEntry
	t := st.table
	t.SweepFrom(&st.sweep.hand, limit, absent, 0, func(r table.Ref) (table.Ref, bool) {
		if expired(t.Value(r)) {
			e := t.Item(r)
			gone = append(gone, expiredEntry{group: e.Group, key: bytes.Clone(e.Key), sub: bytes.Clone(e.Sub)})
		}
		return r, false
	})
	for _, e := range gone {
		s.key = table.MakeKey(e.group, e.key)
		if r, ok := t.Find(&s.key, e.sub); ok {
			s.remove(st, r, e.sub)
		}
	}
}

// sweepBelow looks at entries in Pebble, and passes over those in the cache.
func (s *Store) sweepBelow(st *stored, limit int, expired func(value []byte) bool) error {
	it, err := s.iterator(false)
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	var gone []expiredEntry
	look := func(group int, key, sub, value []byte) bool {
		k := table.MakeKey(group, key)
		if _, ok := st.table.Find(&k, sub); !ok && expired(value) {
			gone = append(gone, expiredEntry{group, bytes.Clone(key), bytes.Clone(sub), len(value)})
		}
		limit--
		if limit <= 0 {
			st.sweep.next = append(appendKey(st.sweep.next[:0], group, st.handle, key), sub...)
		}
		return limit > 0
	}
	if err := s.sweepFrom(st, it, look); err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	if limit > 0 {
		st.sweep.next = st.sweep.next[:0] // it came to the end
	}
	for _, e := range gone {
		s.removeBelow(st, e)
	}
	return nil
}

// sweepFrom calls look for the entries in Pebble after the one at which the sweep
// stopped.
func (s *Store) sweepFrom(st *stored, it *pebble.Iterator, look func(group int, key, sub, value []byte) bool) error {
	if len(st.sweep.next) == 0 {
		return s.eachBelow(it, st, s.cfg.GroupLo, s.cfg.GroupHi, look)
	}
	group, _, _, _, err := splitKey(st.sweep.next)
	if err != nil {
		return err
	}
	prefix := appendPrefix(nil, group, st.handle)
	it.SetBounds(prefix, successor(nil, prefix))
	if more, err := visit(it, it.SeekGE(append(bytes.Clone(st.sweep.next), 0)), look); err != nil || !more {
		return err
	}
	return s.eachBelow(it, st, group+1, s.cfg.GroupHi, look)
}

// removeBelow deletes an entry that only Pebble has, without reading it again.
func (s *Store) removeBelow(st *stored, e expiredEntry) {
	s.key = table.MakeKey(e.group, e.key)
	s.cache(st, &s.key, e.sub, nil, true)
	s.size.add(0, -int64(e.value)) // the cached one is empty
	if r, ok := st.table.Find(&s.key, e.sub); ok {
		s.remove(st, r, e.sub)
	}
}
