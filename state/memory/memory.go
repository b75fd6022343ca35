// Package memory is the state backend that keeps everything in memory.
//
// Each state is a table (package table): flat pages without a Go pointer per entry, so
// that the garbage collector's work does not depend on the number of entries. An
// image freezes the tables and is written by another goroutine, while the store goes
// on. States that are scanned in order also keep, per key, their sub-keys in blocks of
// a few KiB, from their first Scan on.
//
//	memory.go   the contract: Open, Get, Put, Update, Delete, EndBatch, Cut
//	register.go named states, and another schema for what is stored
//	update.go   UpdateBatch
//	scan.go     Scan, ScanAll, Sweep
//	order.go    sub-keys in order
//	block.go    a sorted block of them
//	encode.go   an entry as the log has it
//	load.go     restores
//	image.go    full images for the changelog
package memory

import (
	"cmp"
	"fmt"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/table"
)

// Config is what a Store needs.
type Config struct {
	// GroupLo and GroupHi are the first and the last key group that the store
	// holds. Restore takes entries of these only.
	GroupLo, GroupHi int
	// Log takes the changes; nil keeps them in memory only.
	Log state.Log
	// ImageSlice is about how many bytes an image freezes at once. Default 1 MiB.
	ImageSlice int
}

// Store keeps the keyed state of one operator in one subtask in memory. One
// goroutine uses it. Its methods have no errors, but Register, Load and LoadRecords.
type Store struct {
	cfg    Config
	states []*stored // by handle
	byName map[string]state.Handle

	key      table.Key // the current one
	block    []byte    // encoded changes, not with the log yet
	ahead    bool      // the tables are beyond the processor's caches
	batches  int       // that changed something
	image    *image    // the one under way that needs more slices, or nil
	updating updating  // UpdateBatch's
	position uint64
	expects  bool           // since Expect
	meet     []state.Handle // the states that LoadEntries has entries of
}

var (
	_ state.Prefetcher = (*Store)(nil)
	_ state.Batcher    = (*Store)(nil)
)

// stored is a named state.
type stored struct {
	state.Definition
	handle state.Handle
	table  *table.Table
	order  *order // nil until the first Scan

	// Entries that were deleted in this batch stay until its end, without their
	// values and with the flag deleted, for the log.
	deadEntries, deadBytes int64

	credit int // what Sweep may look at and has not
	loaded int // bytes loaded since the last EndBatch of the table
}

// deleted marks entries that go at the end of the batch.
const deleted = table.Flags(1)

// Open makes an empty store. It needs no Close when it is dropped.
func Open(cfg Config) (*Store, error) {
	if cfg.GroupLo < 0 || cfg.GroupHi < cfg.GroupLo {
		return nil, fmt.Errorf("open memory state: key groups %d to %d", cfg.GroupLo, cfg.GroupHi)
	}
	cfg.ImageSlice = cmp.Or(cfg.ImageSlice, sliceBytes)
	s := &Store{cfg: cfg, byName: map[string]state.Handle{}}
	s.updating.other = s.updateOther
	return s, nil
}

// SetKey implements state.Store.
func (s *Store) SetKey(group int, key []byte) { s.key = table.MakeKey(group, key) }

// Key implements state.Store.
func (s *Store) Key() (group int, key []byte) { return s.key.Group, s.key.Bytes }

// Get implements state.Store.
func (s *Store) Get(h state.Handle, sub []byte) (value []byte, ok bool, err error) {
	value, flags, ok := s.states[h].table.Get(&s.key, sub)
	if !ok || flags&deleted != 0 {
		return nil, false, nil
	}
	return value, true, nil
}

// Put implements state.Store. value may be what Get returned: the bytes that it is in
// are not used for others before the batch ends.
func (s *Store) Put(h state.Handle, sub, value []byte) error {
	to, _ := s.change(s.states[h], sub, len(value))
	copy(to, value)
	return nil
}

// Update implements state.Store.
func (s *Store) Update(h state.Handle, sub []byte, size int) (value []byte, existed bool, err error) {
	value, existed = s.change(s.states[h], sub, size)
	return value, existed, nil
}

// change marks an entry as changed, and makes it if there is none.
func (s *Store) change(st *stored, sub []byte, size int) (value []byte, existed bool) {
	r, value, flags, existed := st.table.Change(&s.key, sub, size)
	if existed && flags&deleted == 0 {
		return value, true
	}
	if existed {
		st.revive(r, &s.key, sub)
	}
	if st.order != nil {
		st.order.add(&s.key, sub)
	}
	return value, false
}

// revive takes back that an entry was deleted in this batch.
func (st *stored) revive(r table.Ref, key *table.Key, sub []byte) {
	st.table.SetFlags(r, 0)
	st.deadEntries--
	st.deadBytes -= int64(len(key.Bytes) + len(sub))
}

// Delete implements state.Store. The entry stays, marked, until EndBatch has
// told the log.
func (s *Store) Delete(h state.Handle, sub []byte) error {
	st := s.states[h]
	if r, ok := st.table.Find(&s.key, sub); ok && st.table.Flags(r)&deleted == 0 {
		st.kill(r)
	}
	return nil
}

// kill deletes a live entry.
func (st *stored) kill(r table.Ref) table.Ref {
	e := st.table.Item(r)
	if st.order != nil {
		key := table.MakeKey(e.Group, e.Key)
		st.order.remove(&key, e.Sub)
	}
	st.deadEntries++
	st.deadBytes += int64(len(e.Key) + len(e.Sub))
	r, _ = st.table.Resize(r, 0)
	return st.table.MarkChanged(st.table.SetFlags(r, deleted))
}

// EndBatch implements state.Store.
func (s *Store) EndBatch() error {
	s.endBatch()
	s.feed(false)
	return nil
}

func (s *Store) endBatch() {
	before := s.position
	if s.expects {
		s.loaded()
	}
	for _, st := range s.states {
		if st.table.HasChanged() {
			s.drain(st)
			st.table.EndBatch()
		}
		if st.order != nil {
			st.order.table.EndBatch()
		}
	}
	s.ahead = s.Footprint() > aheadBytes
	if s.position != before {
		s.batches++
	}
}

// blockBytes is about how much EndBatch hands to the log at once: small
// enough for the log to slow it down in the middle of a large batch.
const blockBytes = 64 << 10

// drain appends a state's changes to the log.
func (s *Store) drain(st *stored) {
	n := 0
	for s.cfg.Log != nil {
		var more int
		s.block, more = st.table.AppendChanged(s.block, uint64(st.handle), blockBytes)
		if n += more; len(s.block) < blockBytes {
			if !s.drainOther(st) {
				break
			}
			n++
		}
		if len(s.block) >= blockBytes {
			s.append(n)
			n = 0
		}
	}
	for s.cfg.Log == nil && s.drainOther(st) {
		n++
	}
	s.append(n)
}

// drainOther appends a change that is not an ordinary one; false if there is none left.
func (s *Store) drainOther(st *stored) bool {
	r, ok := st.table.NextChanged()
	if !ok {
		return false
	}
	e := st.table.Item(r)
	if s.cfg.Log != nil {
		s.block = appendEntry(s.block, st.handle, &e)
	}
	if e.Flags&deleted != 0 {
		st.bury(r, e)
	}
	return true
}

// bury removes an entry that was deleted and that the log knows of.
func (st *stored) bury(r table.Ref, e table.Item) {
	st.deadEntries--
	st.deadBytes -= int64(len(e.Key) + len(e.Sub))
	st.table.Remove(r)
}

// append hands n entries, which are in s.block, to the log.
func (s *Store) append(n int) {
	s.position += uint64(n)
	if n > 0 && s.cfg.Log != nil {
		s.block = s.cfg.Log.Append(s.block, n)
	}
}

// Cut implements state.Store. If the log wants an image, a first slice is frozen, which
// takes some microseconds. What a conversion has changed since the last
// batch goes to the log first.
func (s *Store) Cut(dataflow.CheckpointID) state.Cut {
	s.endBatch()
	s.feed(true)
	entries, bytes := s.Size()
	if s.cfg.Log != nil && s.cfg.Log.WantsImage(bytes) {
		s.image = s.newImage()
		i := s.image
		s.feed(true)
		s.cfg.Log.Image(i)
	}
	return state.Cut{Position: s.position, Entries: entries, Bytes: bytes}
}

// Size implements state.Store.
func (s *Store) Size() (entries, bytes int64) {
	for _, st := range s.states {
		entries += int64(st.table.Len()) - st.deadEntries
		bytes += st.table.Bytes() - st.deadBytes
	}
	return entries, bytes
}

// Footprint is how much memory the entries take, with what is kept for the next ones.
func (s *Store) Footprint() (n int64) {
	for _, st := range s.states {
		n += st.table.Footprint()
		if st.order != nil {
			n += st.order.table.Footprint()
		}
	}
	return n
}

// aheadBytes is about what the caches of one core hold: 1 to 2 MiB of second level. What
// is beyond it is worth asking for ahead.
const aheadBytes = 1 << 20

// Ahead implements state.Prefetcher.
func (s *Store) Ahead() bool { return s.ahead }

// Prefetch implements state.Prefetcher: it reads nothing into the store, but has the
// processor fetch a batch's entries side by side instead of one after the other.
func (s *Store) Prefetch(wanted []state.Wanted) error {
	for h, st := range s.states {
		st.table.Touch(state.Handle(h), wanted)
	}
	return nil
}

// Close implements state.Store. Images that are being written stay valid.
func (s *Store) Close() error {
	s.states, s.block, s.image = nil, nil, nil
	return nil
}
