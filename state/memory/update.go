package memory

import "github.com/cairnstream/cairn/state"

// updating is the call of UpdateBatch under way.
type updating struct {
	st    *stored
	batch *state.Batch
	size  int
	each  func(i int, value []byte, existed bool)
	other func(i int) // Store.updateOther, made once
}

// UpdateBatch implements state.Batcher.
func (s *Store) UpdateBatch(h state.Handle, b *state.Batch, size int, each func(i int, value []byte, existed bool)) error {
	u := &s.updating
	u.st, u.batch, u.size, u.each = s.states[h], b, size, each
	u.st.table.UpdateBatch(b, size, s.ahead, u.other, each)
	u.batch, u.each = nil, nil
	return nil
}

// updateOther is SetKey and Update for an entry of the batch.
func (s *Store) updateOther(i int) {
	u := &s.updating
	group, key, sub := u.batch.Entry(i)
	s.SetKey(group, key)
	value, existed := s.change(u.st, sub, u.size)
	u.each(i, value, existed)
}
