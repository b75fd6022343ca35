package lsm

import (
	"bytes"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/table"
)

// Scan implements state.Store: it merges what is unwritten with what is in Pebble.
func (s *Store) Scan(h state.Handle, f func(sub, value []byte) bool) error {
	s.loaded()
	st := s.states[h]
	if st.order == nil {
		st.order = orderOf(st.table)
	}
	if s.err == nil {
		s.fail(s.scan(st, f))
	}
	return s.err
}

func (s *Store) scan(st *stored, f func(sub, value []byte) bool) error {
	m := merge{t: st.table, key: &s.key, subs: st.order.of(nil, st.table, &s.key), f: f}
	if !st.below {
		m.rest()
		return nil
	}
	it, err := s.iterator(true)
	if err != nil {
		return fmt.Errorf("scan: %w", err)
	}
	prefix := appendKey(nil, s.key.Group, st.handle, s.key.Bytes)
	it.SetBounds(prefix, successor(nil, prefix))
	for ok := it.First(); ok && !m.stopped; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		m.below(it.Key()[len(prefix):], value)
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("scan: %w", err)
	}
	m.rest()
	return nil
}

// merge tells of the entries of one key from both sides, in the order of their
// sub-keys.
type merge struct {
	t       *table.Table
	key     *table.Key
	subs    [][]byte // unwritten, and not told of yet
	f       func(sub, value []byte) bool
	stopped bool
}

// below tells of an entry in Pebble, after those that come before it, unless it is
// not what it was.
func (m *merge) below(sub, value []byte) {
	for len(m.subs) > 0 && !m.stopped {
		c := bytes.Compare(m.subs[0], sub)
		if c > 0 {
			break
		}
		m.first()
		if c == 0 {
			return
		}
	}
	if !m.stopped {
		m.stopped = !m.f(sub, value)
	}
}

// first tells of the first of the unwritten entries, if it is alive.
func (m *merge) first() {
	sub := m.subs[0]
	m.subs = m.subs[1:]
	if r, ok := m.t.Find(m.key, sub); ok && live(m.t, r) {
		m.stopped = !m.f(sub, m.t.Value(r))
	}
}

func (m *merge) rest() {
	for len(m.subs) > 0 && !m.stopped {
		m.first()
	}
}

// ScanAll implements state.Store: first what is in the cache, then what is only
// in Pebble.
func (s *Store) ScanAll(h state.Handle, f func(group int, key, sub, value []byte) bool) error {
	return s.ScanGroups(h, s.cfg.GroupLo, s.cfg.GroupHi, f)
}

// ScanGroups is ScanAll for the entries of the key groups lo to hi. It reads only
// these from the disk.
func (s *Store) ScanGroups(h state.Handle, lo, hi int, f func(group int, key, sub, value []byte) bool) error {
	s.loaded()
	if s.err == nil {
		s.fail(s.scanGroups(s.states[h], lo, hi, f))
	}
	return s.err
}

func (s *Store) scanGroups(st *stored, lo, hi int, f func(group int, key, sub, value []byte) bool) error {
	t := st.table
	for r := range t.All {
		if e := t.Item(r); e.Flags&absent == 0 && e.Group >= lo && e.Group <= hi && !f(e.Group, e.Key, e.Sub, e.Value) {
			return nil
		}
	}
	if !st.below {
		return nil
	}
	it, err := s.iterator(false)
	if err != nil {
		return err
	}
	return s.eachBelow(it, st, lo, hi, func(group int, key, sub, value []byte) bool {
		k := table.MakeKey(group, key)
		if _, ok := t.Find(&k, sub); ok {
			return true
		}
		return f(group, key, sub, value)
	})
}

// eachBelow calls f for the entries of a state in Pebble, of the key groups lo to hi in
// order, until it returns false.
func (s *Store) eachBelow(it *pebble.Iterator, st *stored, lo, hi int, f func(group int, key, sub, value []byte) bool) error {
	for group := lo; group <= hi; group++ {
		prefix := appendPrefix(nil, group, st.handle)
		it.SetBounds(prefix, successor(nil, prefix))
		if more, err := visit(it, it.First(), f); err != nil || !more {
			return err
		}
	}
	return nil
}

// visit calls f for the entries from the iterator's place on. more is false if f
// wanted no more.
func visit(it *pebble.Iterator, ok bool, f func(group int, key, sub, value []byte) bool) (more bool, err error) {
	for ; ok; ok = it.Next() {
		group, _, key, sub, err := splitKey(it.Key())
		if err != nil {
			return false, err
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return false, err
		}
		if !f(group, key, sub, value) {
			return false, nil
		}
	}
	return true, it.Error()
}
