// Package memory is the state backend that keeps everything in memory.
//
// Entries are encoded into pages of bytes and found by an open-addressing
// table of (hash, place) pairs. Neither holds a Go pointer per entry, so the
// garbage collector's work depends on the number of pages, one per 64 KiB, and
// not on the number of entries. What entries leave behind when they grow or
// go is reclaimed by moving the rest of a page elsewhere: memory stays within
// about twice the live bytes. States that are scanned in order also keep, per
// key, an array of places sorted by sub-key, from their first Scan on.
//
//	memory.go  the contract: Open, Get, Put, Delete, EndBatch, Cut
//	table.go   hash to place
//	pages.go   place to bytes: allocation
//	entry.go   the layout of an entry, and how it grows and moves
//	order.go   sub-keys in order
//	image.go   full images for the changelog
package memory

import (
	"bytes"
	"fmt"
	"hash/maphash"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/state"
)

// Config is what a Store needs.
type Config struct {
	// GroupLo and GroupHi are the first and the last key group that the store
	// holds. Restore takes entries of these only.
	GroupLo, GroupHi int
	// Log takes the changes; nil keeps them in memory only.
	Log state.Log
}

// Store keeps the keyed state of one operator in one subtask in memory. One
// goroutine uses it.
type Store struct {
	cfg    Config
	states []definition // by handle
	byName map[string]state.Handle

	table table
	pages pages
	seed  maphash.Seed

	// The current key.
	group   int
	key     []byte
	keyHash uint64

	// dirty are the entries changed in this batch, each with flagDirty. An
	// entry that moves is added again; its old place has lost the flag.
	dirty []ref
	block []byte // scratch: encoded changes

	entries, bytes int64 // live
	position       uint64
	loaded         int // bytes loaded since pages were last tended
}

var _ state.Store = (*Store)(nil)

type definition struct {
	state.Definition
	ordered bool // its sub-keys are kept in order: it was scanned
}

// handlesMax leaves the upper half of the handles to the sorted arrays of order.go.
const handlesMax = 1 << 15

// Open makes an empty store. It needs no Close when it is dropped.
func Open(cfg Config) (*Store, error) {
	if cfg.GroupLo < 0 || cfg.GroupHi < cfg.GroupLo {
		return nil, fmt.Errorf("open memory state: key groups %d to %d", cfg.GroupLo, cfg.GroupHi)
	}
	s := &Store{cfg: cfg, byName: map[string]state.Handle{}, seed: maphash.MakeSeed()}
	s.table.init()
	s.pages.init()
	return s, nil
}

// Register implements state.Store.
func (s *Store) Register(d state.Definition) (state.Handle, error) {
	if h, ok := s.byName[d.Name]; ok {
		old := s.states[h].Definition
		if old.Kind != d.Kind || old.Schema != d.Schema {
			return 0, fmt.Errorf("state %q: %w: stored as %s of %s, asked for as %s of %s",
				d.Name, state.ErrIncompatible, old.Kind, old.Schema, d.Kind, d.Schema)
		}
		return h, nil
	}
	if len(s.states) == handlesMax {
		return 0, fmt.Errorf("state %q: more than %d states", d.Name, handlesMax)
	}
	h := state.Handle(len(s.states))
	s.states = append(s.states, definition{Definition: d})
	s.byName[d.Name] = h
	if s.cfg.Log != nil {
		s.cfg.Log.Define(h, d)
	}
	return h, nil
}

// SetKey implements state.Store.
func (s *Store) SetKey(group int, key []byte) {
	s.group, s.key = group, key
	s.keyHash = maphash.Bytes(s.seed, key)
}

// Key implements state.Store.
func (s *Store) Key() (group int, key []byte) { return s.group, s.key }

// Get implements state.Store.
func (s *Store) Get(h state.Handle, sub []byte) (value []byte, ok bool, err error) {
	i, ok := s.find(h, s.hash(h, sub), s.key, sub)
	if !ok {
		return nil, false, nil
	}
	e := s.pages.entry(s.table.slots[i].at)
	if e.has(flagDeleted) {
		return nil, false, nil
	}
	return e.value(), true, nil
}

// Update implements state.Store.
func (s *Store) Update(h state.Handle, sub []byte, size int) (value []byte, existed bool, err error) {
	old, existed, _ := s.Get(h, sub)
	fresh := make([]byte, size)
	copy(fresh, old)
	_ = s.Put(h, sub, fresh)
	value, _, err = s.Get(h, sub)
	return value, existed, err
}

// Sweep implements state.Store.
func (s *Store) Sweep(h state.Handle, _ int, expired func(value []byte) bool) error {
	var gone []state.Entry
	for _, e := range s.live {
		if e.handle() == h && expired(e.value()) {
			gone = append(gone, state.Entry{Group: e.group(), Key: bytes.Clone(e.key()), Sub: bytes.Clone(e.sub())})
		}
	}
	for _, e := range gone {
		s.SetKey(e.Group, e.Key)
		_ = s.Delete(h, e.Sub)
	}
	return nil
}

// Put implements state.Store. value may be what Get returned.
func (s *Store) Put(h state.Handle, sub, value []byte) error {
	s.dirtied(s.put(h, sub, value))
	return nil
}

// put sets an entry without marking it as changed.
func (s *Store) put(h state.Handle, sub, value []byte) ref {
	hash := s.hash(h, sub)
	i, ok := s.find(h, hash, s.key, sub)
	if !ok {
		at := s.newEntry(h, hash, sub, value)
		s.table.insert(slot{hash: hash, at: at})
		s.appeared(at)
		return at
	}
	at := s.table.slots[i].at
	if e := s.pages.entry(at); e.has(flagDeleted) {
		e.clear(flagDeleted)
		at = s.setValue(i, value)
		s.appeared(at)
		return at
	}
	s.count(at, -1)
	at = s.setValue(i, value)
	s.count(at, 1)
	return at
}

// setValue gives slot i's entry a value.
func (s *Store) setValue(i int, value []byte) ref {
	at := s.resize(i, len(value))
	copy(s.pages.entry(at).value(), value)
	return at
}

// Delete implements state.Store. The entry stays, marked, until EndBatch has
// told the log.
func (s *Store) Delete(h state.Handle, sub []byte) error {
	i, ok := s.find(h, s.hash(h, sub), s.key, sub)
	if !ok {
		return nil
	}
	at := s.table.slots[i].at
	if e := s.pages.entry(at); e.has(flagDeleted) {
		return nil
	}
	s.disappeared(at)
	s.pages.entry(at).set(flagDeleted)
	s.dirtied(at)
	return nil
}

// appeared counts an entry that is live from now on.
func (s *Store) appeared(at ref) {
	s.count(at, 1)
	s.orderAdd(at)
}

func (s *Store) disappeared(at ref) {
	s.count(at, -1)
	s.orderRemove(at)
}

func (s *Store) count(at ref, n int64) {
	s.entries += n
	s.bytes += n * int64(s.pages.entry(at).payload())
}

// dirtied marks the entry at at as changed in this batch.
func (s *Store) dirtied(at ref) {
	if e := s.pages.entry(at); !e.has(flagDirty) {
		e.set(flagDirty)
		s.dirty = append(s.dirty, at)
	}
}

// ScanAll implements state.Store. f must not change the store.
func (s *Store) ScanAll(h state.Handle, f func(group int, key, sub, value []byte) bool) error {
	for _, e := range s.live {
		if e.handle() == h && !f(e.group(), e.key(), e.sub(), e.value()) {
			return nil
		}
	}
	return nil
}

// live visits the live entries of all states.
func (s *Store) live(yield func(ref, entry) bool) {
	for at, e := range s.pages.all {
		if !e.has(flagDeleted) && e.handle() < handlesMax && !yield(at, e) {
			return
		}
	}
}

// blockBytes is about how much EndBatch hands to the log at once: small
// enough for the log to slow it down in the middle of a large batch.
const blockBytes = 64 << 10

// EndBatch implements state.Store.
func (s *Store) EndBatch() error {
	n := 0
	for _, at := range s.dirty {
		e, ok := s.pages.lookup(at)
		if !ok || !e.has(flagDirty) {
			continue // it has moved, and is further on in dirty
		}
		e.clear(flagDirty)
		deleted := e.has(flagDeleted)
		s.block = state.AppendEntry(s.block, state.Entry{
			Handle: e.handle(), Deleted: deleted, Group: e.group(), Key: e.key(), Sub: e.sub(), Value: e.value(),
		})
		if n++; len(s.block) >= blockBytes {
			s.append(n)
			n = 0
		}
		if deleted {
			s.remove(at)
		}
	}
	s.append(n)
	s.dirty = s.dirty[:0]
	s.tend()
	return nil
}

// append hands n entries, which are in s.block, to the log.
func (s *Store) append(n int) {
	if n > 0 && s.cfg.Log != nil {
		s.block = s.cfg.Log.Append(s.block, n)
	}
	s.position += uint64(n)
	s.block = s.block[:0]
}

// Cut implements state.Store. It also gives the log a full image, if it wants
// one; that takes time in proportion to the state.
func (s *Store) Cut(dataflow.CheckpointID) state.Cut {
	if s.cfg.Log != nil && s.cfg.Log.WantsImage(s.bytes) {
		s.cfg.Log.Image(&image{s.image()})
	}
	return state.Cut{Position: s.position, Entries: s.entries, Bytes: s.bytes}
}

// Size implements state.Store.
func (s *Store) Size() (entries, bytes int64) { return s.entries, s.bytes }

// Close implements state.Store.
func (s *Store) Close() error {
	s.table, s.pages, s.dirty = table{}, pages{}, nil
	return nil
}

// tendBytes is how much Load takes in before it looks after the pages.
const tendBytes = 1 << 20

// Load sets or deletes an entry that comes from the log or an image, and does
// not log it again. Its handle is one that Register has given. It is for a
// restore, before the first change.
func (s *Store) Load(e state.Entry) error {
	if int(e.Handle) >= len(s.states) {
		return fmt.Errorf("load entry of state %d: %w: no such state", e.Handle, state.ErrCorrupt)
	}
	if e.Group < s.cfg.GroupLo || e.Group > s.cfg.GroupHi {
		return fmt.Errorf("load entry of key group %d: outside of %d to %d", e.Group, s.cfg.GroupLo, s.cfg.GroupHi)
	}
	s.SetKey(e.Group, e.Key)
	if e.Deleted {
		if i, ok := s.find(e.Handle, s.hash(e.Handle, e.Sub), e.Key, e.Sub); ok {
			at := s.table.slots[i].at
			s.disappeared(at)
			s.remove(at)
		}
	} else {
		s.put(e.Handle, e.Sub, e.Value)
	}
	if s.loaded += len(e.Key) + len(e.Sub) + len(e.Value) + headerSize; s.loaded >= tendBytes {
		s.loaded = 0
		s.tend()
	}
	return nil
}

// hash of an entry of the current key.
func (s *Store) hash(h state.Handle, sub []byte) uint32 { return s.hashOf(h, s.keyHash, sub) }

// hashOf mixes by multiplication with 2^64 over the golden ratio and takes the
// upper half, which depends on all bits.
func (s *Store) hashOf(h state.Handle, keyHash uint64, sub []byte) uint32 {
	const golden = 0x9E3779B97F4A7C15
	x := keyHash + uint64(h)*golden
	if len(sub) > 0 {
		x = (x ^ x>>29) * golden
		x ^= maphash.Bytes(s.seed, sub)
	}
	return uint32((x ^ x>>32) * golden >> 32)
}

// find returns the slot of an entry.
func (s *Store) find(h state.Handle, hash uint32, key, sub []byte) (int, bool) {
	for i := s.table.home(hash); ; i = s.table.next(i) {
		sl := s.table.slots[i]
		if sl.at == 0 {
			return 0, false
		}
		if sl.hash == hash {
			e := s.pages.entry(sl.at)
			if e.handle() == h && bytes.Equal(e.key(), key) && bytes.Equal(e.sub(), sub) {
				return i, true
			}
		}
	}
}
