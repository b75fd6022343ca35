package lsm

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/table"
)

// reader is an iterator that is used until the end of the batch: what a batch
// misses is not written meanwhile, since what is written is in the cache.
type reader struct {
	iter *pebble.Iterator
	seq  uint64 // all batches up to this one are seen

	// Scratch of Prefetch.
	arena  []byte
	missed []missed
}

// missed is a wanted entry that is not in the cache. Its key is in the arena.
type missed struct {
	from, to int
	wanted   int
}

// iterator returns an iterator over what is in Pebble. What is in the cache may be
// newer. With all, it sees everything that was ever written back, also what is still
// in the cache.
func (s *Store) iterator(all bool) (*pebble.Iterator, error) {
	r := &s.reader
	seq := s.writer.seq()
	if all && r.seq < seq {
		if err := s.writer.waitFor(seq); err != nil {
			return nil, err
		}
		r.close()
	}
	if r.iter == nil {
		r.seq = s.writer.done()
		it, err := s.disk.db.NewIter(nil)
		if err != nil {
			return nil, err
		}
		r.iter = it
	}
	return r.iter, nil
}

// close forgets the iterator. An error of it was told by its last use.
func (r *reader) close() {
	if r.iter != nil {
		_ = r.iter.Close()
		r.iter = nil
	}
}

// read brings one entry of the current key, or the knowledge that there is none,
// into the table.
func (s *Store) read(st *stored, sub []byte) error {
	s.reader.arena = append(appendKey(s.reader.arena[:0], s.key.Group, st.handle, s.key.Bytes), sub...)
	value, closer, err := s.disk.db.Get(s.reader.arena)
	switch {
	case err == pebble.ErrNotFound:
		s.cache(st, &s.key, sub, nil, false)
		return nil
	case err != nil:
		s.fail(fmt.Errorf("read: %w", err))
		return s.err
	}
	s.cache(st, &s.key, sub, value, true)
	return closer.Close()
}

// Ahead implements state.Prefetcher: below a state that fits into the cache there
// is nothing to read, which Prefetch sees at once.
func (s *Store) Ahead() bool { return true }

// Prefetch implements state.Prefetcher: it reads in the order of Pebble's keys.
func (s *Store) Prefetch(wanted []state.Wanted) error {
	s.loaded()
	if s.err != nil || !s.findMissed(wanted) {
		return s.err
	}
	r := &s.reader
	slices.SortFunc(r.missed, func(a, b missed) int {
		return bytes.Compare(r.arena[a.from:a.to], r.arena[b.from:b.to])
	})
	if err := s.readMissed(wanted); err != nil {
		s.fail(fmt.Errorf("prefetch %d entries: %w", len(r.missed), err))
	}
	return s.err
}

// findMissed collects those of the entries that only Pebble can have.
func (s *Store) findMissed(wanted []state.Wanted) bool {
	r := &s.reader
	r.arena, r.missed = r.arena[:0], r.missed[:0]
	for i := range wanted {
		w := &wanted[i]
		st := s.states[w.Handle]
		if !st.below {
			continue
		}
		s.key = table.MakeKey(w.Group, w.Key)
		if _, ok := st.table.Find(&s.key, w.Sub); ok {
			continue
		}
		from := len(r.arena)
		r.arena = append(appendKey(r.arena, w.Group, w.Handle, w.Key), w.Sub...)
		r.missed = append(r.missed, missed{from, len(r.arena), i})
	}
	return len(r.missed) > 0
}

// readMissed reads what findMissed has collected, sorted by now.
func (s *Store) readMissed(wanted []state.Wanted) error {
	it, err := s.iterator(false)
	if err != nil {
		return err
	}
	it.SetBounds(nil, nil)
	r := &s.reader
	var last []byte
	for _, m := range r.missed {
		key := r.arena[m.from:m.to]
		if last != nil && bytes.Equal(key, last) {
			continue
		}
		last = key
		var value []byte
		found := it.SeekPrefixGE(key)
		if found {
			if value, err = it.ValueAndErr(); err != nil {
				return err
			}
		} else if err := it.Error(); err != nil {
			return err
		}
		w := &wanted[m.wanted]
		s.key = table.MakeKey(w.Group, w.Key)
		s.cache(s.states[w.Handle], &s.key, w.Sub, value, found)
	}
	return nil
}
