package memory

import (
	"fmt"

	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/table"
)

// statesMax is how many states a store may have: a Handle has 16 bits.
const statesMax = 1 << 16

// Register implements state.Store. If the sizes or the schema are others than before,
// all of the state's entries move, at once.
func (s *Store) Register(d state.Definition) (state.Handle, error) {
	h, ok := s.byName[d.Name]
	if !ok {
		return s.add(d)
	}
	st := s.states[h]
	old := st.Definition
	if old.Kind == d.Kind && old.Schema == d.Schema {
		st.expect(d)
		return h, nil
	}
	convert, err := state.Migration(old, d)
	if err != nil {
		return 0, err
	}
	if err := s.convert(st, d, convert); err != nil {
		return 0, err
	}
	s.define(st)
	return h, nil
}

func (s *Store) add(d state.Definition) (state.Handle, error) {
	if len(s.states) == statesMax {
		return 0, fmt.Errorf("state %q: more than %d states", d.Name, statesMax)
	}
	st := &stored{Definition: d, handle: state.Handle(len(s.states)), table: s.newTable(d)}
	s.states = append(s.states, st)
	s.byName[d.Name] = st.handle
	s.define(st)
	return st.handle, nil
}

func (s *Store) newTable(d state.Definition) *table.Table {
	return table.New(table.Config{
		GroupLo: s.cfg.GroupLo, GroupHi: s.cfg.GroupHi, KeySize: state.Variable, SubSize: d.SubSize, ValueSize: d.ValueSize,
	})
}

// define tells the log what the state is.
func (s *Store) define(st *stored) {
	if s.cfg.Log != nil {
		s.cfg.Log.Define(st.handle, st.Definition)
	}
}

// expect takes over the sizes that d knows; those that a log is restored with are not
// known.
func (st *stored) expect(d state.Definition) {
	if d.SubSize == state.Variable {
		d.SubSize = st.SubSize
	}
	if d.ValueSize == state.Variable {
		d.ValueSize = st.ValueSize
	}
	if d.SubSize != st.SubSize || d.ValueSize != st.ValueSize {
		st.table.Expect(d.SubSize, d.ValueSize)
	}
	st.Definition = d
}

// convert replaces a state's table by one of converted values, all of which count as
// changed: the log must say everything again. A nil convert keeps the bytes.
func (s *Store) convert(st *stored, d state.Definition, convert func(dst, value []byte) ([]byte, error)) error {
	if convert == nil {
		convert = func(dst, value []byte) ([]byte, error) { return append(dst, value...), nil }
	}
	to := s.newTable(d)
	var value []byte
	for r := range st.table.All {
		e := st.table.Item(r)
		if e.Flags&deleted != 0 {
			value = value[:0]
		} else if v, err := convert(value[:0], e.Value); err != nil {
			return fmt.Errorf("state %q: entry of key %x in key group %d: %w", d.Name, e.Key, e.Group, err)
		} else {
			value = v
		}
		key := table.MakeKey(e.Group, e.Key)
		at, b, _, _ := to.Change(&key, e.Sub, len(value))
		copy(b, value)
		if e.Flags != 0 {
			to.SetFlags(at, e.Flags)
		}
	}
	st.table, st.Definition = to, d
	return nil
}
