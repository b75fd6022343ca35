package memory

import (
	"fmt"
	"slices"

	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/table"
)

// tendBytes is how much Load takes in before it looks after the table's memory.
const tendBytes = 1 << 20

// Load sets or deletes an entry that comes from the log or an image, and does
// not log it again. Its handle is one that Register has given. It is for a
// restore, before the first change.
func (s *Store) Load(e state.Entry) error {
	st, err := s.loadable(e.Handle, e.Group)
	if err != nil {
		return fmt.Errorf("load entry: %w", err)
	}
	key := table.MakeKey(e.Group, e.Key)
	if e.Deleted {
		st.unload(&key, e.Sub)
	} else {
		st.load(&key, e.Sub, e.Value)
	}
	if st.loaded += len(e.Key) + len(e.Sub) + len(e.Value); st.loaded >= tendBytes && !st.table.HasChanged() {
		st.loaded = 0
		st.table.EndBatch()
	}
	return nil
}

// Expect says about how many entries a state will have when all are loaded, before the first is.
func (s *Store) Expect(h state.Handle, entries int64) {
	s.states[h].table.Presize(entries)
	s.expects = true
}

// loaded ends what Expect began: the store is in use.
func (s *Store) loaded() {
	for _, st := range s.states {
		st.table.Presize(0)
	}
	s.expects = false
}

// LoadEntries is Load of one entry after the other. It has the processor fetch the memory of all
// of them side by side first, as Prefetch does for a batch.
func (s *Store) LoadEntries(entries []state.Entry) error {
	s.meet = s.meet[:0]
	for i := range entries {
		e := &entries[i]
		if slices.Contains(s.meet, e.Handle) {
			continue
		}
		st, err := s.loadable(e.Handle, e.Group)
		if err != nil {
			return fmt.Errorf("load entry: %w", err)
		}
		s.meet = append(s.meet, e.Handle)
		if st.table.Len() == 0 {
			st.guess(entries[i:])
		}
	}
	for _, h := range s.meet {
		s.states[h].table.TouchEntries(h, entries)
	}
	for i := range entries {
		if err := s.Load(entries[i]); err != nil {
			return err
		}
	}
	return nil
}

// guessMin is how many values decide about the size of all.
const guessMin = 16

// guess has the table expect values of the size of the first ones, if they are all of one:
// the log does not tell which states are of fixed size. Others are loaded as well.
func (st *stored) guess(entries []state.Entry) {
	size, n := state.Variable, 0
	for i := range entries {
		e := &entries[i]
		if e.Handle != st.handle || e.Deleted {
			continue
		}
		if n++; n > 1 && len(e.Value) != size {
			return
		}
		size = len(e.Value)
	}
	if st.ValueSize == state.Variable && n >= guessMin {
		st.table.Expect(st.SubSize, size)
	}
}

func (s *Store) loadable(h state.Handle, group int) (*stored, error) {
	if int(h) >= len(s.states) {
		return nil, fmt.Errorf("state %d: %w: no such state", h, state.ErrCorrupt)
	}
	if group < s.cfg.GroupLo || group > s.cfg.GroupHi {
		return nil, fmt.Errorf("key group %d: outside of %d to %d", group, s.cfg.GroupLo, s.cfg.GroupHi)
	}
	return s.states[h], nil
}

func (st *stored) load(key *table.Key, sub, value []byte) {
	r, to, existed := st.table.Upsert(key, sub, len(value))
	copy(to, value)
	if existed && st.deadEntries > 0 && st.table.Flags(r)&deleted != 0 {
		st.revive(r, key, sub)
		existed = false
	}
	if !existed && st.order != nil {
		st.order.add(key, sub)
	}
}

// unload deletes an entry. One that a conversion has changed must be deleted in the log
// as well.
func (st *stored) unload(key *table.Key, sub []byte) {
	r, ok := st.table.Find(key, sub)
	switch {
	case !ok || st.table.Flags(r)&deleted != 0:
	case st.table.HasChanged():
		st.kill(r)
	default:
		if st.order != nil {
			st.order.remove(key, sub)
		}
		st.table.Remove(r)
	}
}

// LoadRecords adds the entries of a run of records of one key group, none of which is in
// the store. It may be called at once for different groups, but not beside anything
// else.
func (s *Store) LoadRecords(r state.Records, group int, data []byte) error {
	st, err := s.loadable(r.Handle, group)
	if err != nil {
		return fmt.Errorf("load records: %w", err)
	}
	if r.Size() <= 0 || len(data)%r.Size() != 0 {
		return fmt.Errorf("load records of key group %d: %w: %d bytes of records of %d", group, state.ErrCorrupt, len(data), r.Size())
	}
	st.table.LoadRun(table.Run{Group: group, KeySize: r.KeySize, SubSize: r.SubSize, ValueSize: r.ValueSize, Data: data})
	return nil
}
