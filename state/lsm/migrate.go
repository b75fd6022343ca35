package lsm

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/cairnstream/cairn/state"
)

// registerAgain gives a state another definition, and its entries what that asks for.
func (s *Store) registerAgain(st *stored, d state.Definition) error {
	old := st.Definition
	if old.Kind == d.Kind && old.Schema == d.Schema {
		st.Definition = d
		st.table.Expect(d.SubSize, d.ValueSize)
		return nil
	}
	convert, err := state.Migration(old, d)
	if err != nil {
		return err
	}
	s.logChanges(st) // as what they were
	st.Definition = d
	s.define(st.handle)
	if convert == nil {
		return nil
	}
	if err := s.convert(st, convert); err != nil {
		return fmt.Errorf("state %q: convert to %s: %w", d.Name, d.Schema, err)
	}
	st.relog = true
	return nil
}

// convert rewrites all values of a state, in Pebble, and begins with an empty table.
func (s *Store) convert(st *stored, f func(dst, value []byte) ([]byte, error)) error {
	if err := s.writeAll(); err != nil {
		return err
	}
	st.table, st.order, st.sweep = s.newTable(st.Definition), nil, sweeper{}
	*s.handsOf(st) = hands{}
	s.reader.close()
	it, err := s.iterator(true)
	if err != nil {
		return err
	}
	c := converter{s: s, st: st, f: f, batch: s.disk.db.NewBatch()}
	err = s.eachBelow(it, st, s.cfg.GroupLo, s.cfg.GroupHi, c.entry)
	s.reader.close()
	if err == nil {
		err = c.err
	}
	if err == nil {
		err = c.batch.Commit(pebble.NoSync)
	}
	_ = c.batch.Close()
	return err
}

// converter collects converted entries into batches.
type converter struct {
	s     *Store
	st    *stored
	f     func(dst, value []byte) ([]byte, error)
	batch *pebble.Batch
	key   []byte
	value []byte
	err   error
}

// convertBytes is the size of a batch.
const convertBytes = 1 << 20

func (c *converter) entry(group int, key, sub, value []byte) bool {
	c.value, c.err = c.f(c.value[:0], value)
	if c.err != nil {
		c.err = fmt.Errorf("key %x: %w", key, c.err)
		return false
	}
	c.key = append(appendKey(c.key[:0], group, c.st.handle, key), sub...)
	c.s.size.add(0, int64(len(c.value)-len(value)))
	if c.err = c.batch.Set(c.key, c.value, nil); c.err == nil && c.batch.Len() >= convertBytes {
		c.err = c.batch.Commit(pebble.NoSync)
		_ = c.batch.Close()
		c.batch = c.s.disk.db.NewBatch()
	}
	return c.err == nil
}

// logAll appends all entries of a state to the log: all have changed.
func (s *Store) logAll(st *stored) {
	n := 0
	s.fail(s.scanGroups(st, s.cfg.GroupLo, s.cfg.GroupHi, func(group int, key, sub, value []byte) bool {
		s.block = state.AppendEntry(s.block, state.Entry{Handle: st.handle, Group: group, Key: key, Sub: sub, Value: value})
		if n++; len(s.block) >= logBlockBytes {
			s.append(n)
			n = 0
		}
		return true
	}))
	s.append(n)
	st.relog = false
}
