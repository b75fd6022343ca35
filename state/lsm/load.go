package lsm

import (
	"fmt"
	"sync"

	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/table"
)

// loading is the time of a restore, from the first load until the store is used.
//
// A load does not look into Pebble for what it replaces: that would cost a read for
// every entry of the log. So it is not known whether it adds an entry, and the
// entries are counted when all are loaded.
type loading struct {
	on bool
	// recount says that Size is a guess.
	recount bool

	mu    sync.Mutex // LoadRecords is called at once for different groups
	bytes int        // since room was made
}

// loadBytes is how much is loaded before room is made.
const loadBytes = 256 << 10

// Load sets or deletes an entry without logging it. For a restore only.
func (s *Store) Load(e state.Entry) error {
	s.load.mu.Lock()
	defer s.load.mu.Unlock()
	st, err := s.loadInto(e.Handle, e.Group)
	if err != nil {
		return err
	}
	s.key = table.MakeKey(e.Group, e.Key)
	if e.Deleted {
		s.loadDeleted(st, e.Sub)
	} else {
		s.loadValue(st, e.Sub, e.Value)
	}
	return s.loadedBytes(len(e.Key) + len(e.Sub) + len(e.Value))
}

// LoadRecords loads a run of records of a group. It may be called at once for
// different groups.
func (s *Store) LoadRecords(r state.Records, group int, data []byte) error {
	s.load.mu.Lock()
	defer s.load.mu.Unlock()
	st, err := s.loadInto(r.Handle, group)
	if err != nil {
		return err
	}
	for size := r.Size(); len(data) > 0; data = data[size:] {
		s.key = table.MakeKey(group, data[:r.KeySize])
		s.loadValue(st, data[r.KeySize:r.KeySize+r.SubSize], data[r.KeySize+r.SubSize:size])
		if err := s.loadedBytes(size); err != nil {
			return err
		}
	}
	return nil
}

// loadInto returns the state that an entry of a group is loaded into.
func (s *Store) loadInto(h state.Handle, group int) (*stored, error) {
	if int(h) >= len(s.states) {
		return nil, fmt.Errorf("load: entry of unknown state %d", h)
	}
	if group < s.cfg.GroupLo || group > s.cfg.GroupHi {
		return nil, fmt.Errorf("load: entry of key group %d into a store of %d to %d", group, s.cfg.GroupLo, s.cfg.GroupHi)
	}
	s.load.on = true
	return s.states[h], s.err
}

func (s *Store) loadValue(st *stored, sub, value []byte) {
	if r, found := st.table.Find(&s.key, sub); found {
		into, _ := s.change(st, r, sub, len(value))
		copy(into, value)
		return
	}
	copy(s.add(st, sub, len(value), s.unknown(st)), value)
}

func (s *Store) loadDeleted(st *stored, sub []byte) {
	r, found := st.table.Find(&s.key, sub)
	switch {
	case found:
		s.remove(st, r, sub)
	case st.below:
		s.add(st, sub, 0, s.unknown(st)|absent)
	}
	if !st.below {
		if r, found = st.table.Find(&s.key, sub); found {
			st.table.Remove(r)
		}
	}
}

// unknown returns the flags of an entry that is loaded without looking for an older
// one.
func (s *Store) unknown(st *stored) table.Flags {
	if !st.below {
		return unwritten
	}
	s.load.recount = true
	return unwritten | below
}

func (s *Store) loadedBytes(n int) error {
	if s.load.bytes += n; s.load.bytes < loadBytes {
		return nil
	}
	s.load.bytes = 0
	for _, st := range s.states {
		st.table.EndBatch()
	}
	s.makeRoom()
	s.fail(s.writer.failure())
	return s.err
}

// loaded ends a restore: the store is used from now on.
func (s *Store) loaded() {
	if !s.load.on {
		return
	}
	s.load.on = false
	if !s.load.recount {
		return
	}
	s.load.recount = false
	err := s.writeAll()
	if err == nil {
		err = s.size.recount(s.disk.db)
	}
	s.fail(err)
}
