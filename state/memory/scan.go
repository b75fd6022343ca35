package memory

import (
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/table"
)

// Scan implements state.Store.
func (s *Store) Scan(h state.Handle, f func(sub, value []byte) bool) error {
	st := s.states[h]
	if st.order == nil {
		st.startOrder(s.cfg)
	}
	for sub := range st.order.subs(&s.key) {
		if value, _, ok := st.table.Get(&s.key, sub); ok && !f(sub, value) {
			return nil
		}
	}
	return nil
}

// startOrder sorts the sub-keys of a state that are there.
func (st *stored) startOrder(cfg Config) {
	st.order = newOrder(cfg)
	for r := range st.table.All {
		if e := st.table.Item(r); e.Flags&deleted == 0 {
			key := table.MakeKey(e.Group, e.Key)
			st.order.add(&key, e.Sub)
		}
	}
}

// ScanAll implements state.Store. f must not change the store.
func (s *Store) ScanAll(h state.Handle, f func(group int, key, sub, value []byte) bool) error {
	t := s.states[h].table
	for r := range t.All {
		if e := t.Item(r); e.Flags&deleted == 0 && !f(e.Group, e.Key, e.Sub, e.Value) {
			return nil
		}
	}
	return nil
}

// sweepMin is how many entries a sweep looks at at least: it goes by pages, so that less
// is saved up.
const sweepMin = 64

// Sweep implements state.Store.
func (s *Store) Sweep(h state.Handle, limit int, expired func(value []byte) bool) error {
	st := s.states[h]
	if st.credit += limit; st.credit < sweepMin && limit < st.table.Len() {
		return nil
	}
	st.credit -= st.table.Sweep(st.credit, deleted, 0, func(r table.Ref) (table.Ref, bool) {
		if expired(st.table.Value(r)) {
			r = st.kill(r)
		}
		return r, false
	})
	st.credit = min(st.credit, 0) // there was nothing more to look at
	s.key = table.Key{}
	return nil
}
