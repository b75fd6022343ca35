package state

import "bytes"

// Batch lists the entries of one state that a batch of records changes, one for
// each record, in their order; the same entry may be there more than once. It is
// filled again and again, without allocating:
//
//	b.Reset()
//	for i := range records {
//		b.Bytes = keys.Append(b.Bytes, &records[i].Key)
//		b.EndKey(group)
//		b.Bytes = w.AppendSub(b.Bytes, records[i].Window) // if the state has sub-keys
//		b.EndSub()
//	}
type Batch struct {
	// Bytes are the keys and sub-keys, one behind the other. Whoever fills the batch
	// appends to them.
	Bytes   []byte
	entries []batchEntry
}

// batchEntry ends where the next one begins.
type batchEntry struct {
	group    int32
	key, sub uint32 // where they end
}

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() { b.Bytes, b.entries = b.Bytes[:0], b.entries[:0] }

// EndKey says that what was appended since the entry before is the key of another
// one, of that key group.
func (b *Batch) EndKey(group int) {
	end := uint32(len(b.Bytes))
	b.entries = append(b.entries, batchEntry{int32(group), end, end})
}

// EndSub says that what was appended since EndKey is the entry's sub-key.
func (b *Batch) EndSub() { b.entries[len(b.entries)-1].sub = uint32(len(b.Bytes)) }

// Len is the number of entries.
func (b *Batch) Len() int { return len(b.entries) }

// Entry returns entry i.
func (b *Batch) Entry(i int) (group int, key, sub []byte) {
	from := uint32(0)
	if i > 0 {
		from = b.entries[i-1].sub
	}
	e := &b.entries[i]
	return int(e.group), b.Bytes[from:e.key:e.key], b.Bytes[e.key:e.sub:e.sub]
}

// Next is Entry for those who go through all of them: from is what it returned for
// the entry before, 0 for the first.
func (b *Batch) Next(i int, from uint32) (group int, key, sub []byte, next uint32) {
	e := &b.entries[i]
	return int(e.group), b.Bytes[from:e.key:e.key], b.Bytes[e.key:e.sub:e.sub], e.sub
}

// Batcher is a Store that changes a batch's entries together, faster than one by one.
type Batcher interface {
	Store
	// UpdateBatch calls SetKey and Update for each entry, and each with its
	// place in the batch and what Update returned. each must not use the
	// store. The current key is undefined afterwards.
	UpdateBatch(h Handle, b *Batch, size int, each func(i int, value []byte, existed bool)) error
}

// ahead tells a store of a batch's entries, if it wants to know. wanted is scratch.
func (b *Batch) ahead(s Store, h Handle, wanted []Wanted) ([]Wanted, error) {
	p, ok := s.(Prefetcher)
	if !ok || !p.Ahead() {
		return wanted, nil
	}
	wanted = wanted[:0]
	from := uint32(0)
	for i := range b.entries {
		w := Wanted{Handle: h}
		w.Group, w.Key, w.Sub, from = b.Next(i, from)
		wanted = append(wanted, w)
	}
	return wanted, p.Prefetch(wanted)
}

// batchSlot is what a slot needs for UpdateBatch: functions that are made once, since one
// per call would be garbage.
type batchSlot[T any] struct {
	batcher Batcher // nil if the store is none
	each    func(i int, value []byte, existed bool)
	f       func(i int, v *T, existed bool)
	wanted  []Wanted
	err     error
}

// updateBatch lets f change the values of a batch's entries.
func (s *slot[T]) updateBatch(b *Batch, f func(i int, v *T, existed bool)) error {
	x := &s.batch
	if s.flat == nil || x.batcher == nil {
		return s.updateEach(b, f)
	}
	if x.each == nil {
		x.each = s.updateOf
	}
	x.f, x.err = f, nil
	if err := x.batcher.UpdateBatch(s.handle, b, s.size, x.each); err != nil {
		return err
	}
	return x.err
}

// updateOf is update for what the store has found.
func (s *slot[T]) updateOf(i int, b []byte, existed bool) {
	x := &s.batch
	if s.front == 0 {
		if v, ok := s.flat.View(b); ok {
			x.f(i, v, existed)
			return
		}
	}
	if err := s.updateFound(b, existed, func(v *T, existed bool) { x.f(i, v, existed) }); err != nil && x.err == nil {
		x.err = err
	}
}

// updateEach is updateBatch, one by one.
func (s *slot[T]) updateEach(b *Batch, f func(i int, v *T, existed bool)) (err error) {
	if s.batch.wanted, err = b.ahead(s.store, s.handle, s.batch.wanted); err != nil {
		return err
	}
	at := 0
	one := func(v *T, existed bool) { f(at, v, existed) }
	from := uint32(0)
	for ; at < b.Len(); at++ {
		group, key, sub, next := b.Next(at, from)
		from = next
		s.store.SetKey(group, key)
		if s.flat == nil {
			at, from, err = s.updateRun(b, at, from, f)
		} else {
			err = s.update(sub, one)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// updateRun is update for entry i of a batch and those equal to it that follow at once: one
// value that many records change is decoded and encoded once. from is where the entry
// ends; it returns the last one and where that ends.
func (s *slot[T]) updateRun(b *Batch, i int, from uint32, f func(i int, v *T, existed bool)) (last int, end uint32, err error) {
	group, key, sub := b.Entry(i)
	v, existed, err := s.get(sub)
	if err != nil {
		return i, from, err
	}
	s.value = v
	for {
		f(i, &s.value, existed)
		if i+1 == b.Len() {
			break
		}
		g, k, u, next := b.Next(i+1, from)
		if g != group || !bytes.Equal(k, key) || !bytes.Equal(u, sub) {
			break
		}
		i, from, existed = i+1, next, true
	}
	return i, from, s.putVariable(sub)
}
