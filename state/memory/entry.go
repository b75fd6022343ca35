package memory

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/cairnstream/cairn/state"
)

// entry is an entry's bytes, and what follows them in the page:
//
//	 0  hash      uint32
//	 4  keyLen    uint32
//	 8  subLen    uint32
//	12  valueLen  uint32
//	16  valueCap  uint32    room for the value, at least valueLen
//	20  group     uint32
//	24  handle    uint16
//	26  flags     uint8
//	27  -
//	28  key, sub, value, padding to 4
type entry []byte

const headerSize = 28

const (
	flagDirty   = 1 << iota // changed in this batch; in Store.dirty
	flagDeleted             // deleted in this batch; goes at its end
	flagDead                // no slot refers to it: it moved, or is gone
)

func (e entry) u32(at int) int       { return int(binary.LittleEndian.Uint32(e[at:])) }
func (e entry) put32(at int, v int)  { binary.LittleEndian.PutUint32(e[at:], uint32(v)) }
func (e entry) hash() uint32         { return binary.LittleEndian.Uint32(e) }
func (e entry) keyLen() int          { return e.u32(4) }
func (e entry) subLen() int          { return e.u32(8) }
func (e entry) valueLen() int        { return e.u32(12) }
func (e entry) valueCap() int        { return e.u32(16) }
func (e entry) group() int           { return e.u32(20) }
func (e entry) handle() state.Handle { return state.Handle(binary.LittleEndian.Uint16(e[24:])) }
func (e entry) has(flag byte) bool   { return e[26]&flag != 0 }
func (e entry) set(flag byte)        { e[26] |= flag }
func (e entry) clear(flag byte)      { e[26] &^= flag }
func (e entry) payload() int         { return e.keyLen() + e.subLen() + e.valueLen() }
func (e entry) size() int            { return sizeOf(e.keyLen()+e.subLen(), e.valueCap()) }

func (e entry) key() []byte { return e[headerSize : headerSize+e.keyLen()] }

func (e entry) sub() []byte {
	from := headerSize + e.keyLen()
	return e[from : from+e.subLen()]
}

func (e entry) value() []byte {
	from := headerSize + e.keyLen() + e.subLen()
	return e[from : from+e.valueLen() : from+e.valueLen()]
}

func sizeOf(keys, valueCap int) int { return (headerSize + keys + valueCap + 3) &^ 3 }

// newEntry writes an entry of the current key; no slot refers to it yet.
func (s *Store) newEntry(h state.Handle, hash uint32, sub, value []byte) ref {
	at := s.pages.alloc(sizeOf(len(s.key)+len(sub), len(value)))
	e := s.pages.entry(at)
	binary.LittleEndian.PutUint32(e, hash)
	e.put32(4, len(s.key))
	e.put32(8, len(sub))
	e.put32(12, len(value))
	e.put32(16, len(value))
	e.put32(20, s.group)
	binary.LittleEndian.PutUint16(e[24:], uint16(h))
	e[26], e[27] = 0, 0
	n := copy(e[headerSize:], s.key)
	n += copy(e[headerSize+n:], sub)
	copy(e[headerSize+n:], value)
	return at
}

// shrinkMin is the room for a value below which it is not worth getting smaller.
const shrinkMin = 256

// resize gives the value of slot i's entry length n and returns the entry's
// place, which may be new. As much of the old value as fits is kept. A value
// that outgrows its room gets half as much again, so that one that grows for
// long is copied seldom.
func (s *Store) resize(i, n int) ref {
	at := s.table.slots[i].at
	e := s.pages.entry(at)
	room := e.valueCap()
	if n <= room && (room < shrinkMin || n >= room/4) {
		e.put32(12, n)
		return at
	}
	newRoom := n
	if n > room && e.valueLen() > 0 {
		newRoom = n + n/2
	}
	return s.move(i, newRoom, n)
}

// move copies slot i's entry to a new place with the given room for a value of
// length n.
func (s *Store) move(i, room, n int) ref {
	at := s.table.slots[i].at
	size := s.pages.entry(at).size()
	to := s.pages.alloc(sizeOf(s.pages.entry(at).keyLen()+s.pages.entry(at).subLen(), room))
	old, e := s.pages.entry(at), s.pages.entry(to)
	kept := min(n, old.valueLen())
	copy(e, old[:headerSize+old.keyLen()+old.subLen()+kept])
	e.put32(12, n)
	e.put32(16, room)
	s.table.slots[i].at = to
	if old.has(flagDirty) {
		s.dirty = append(s.dirty, to)
	}
	if !old.has(flagDeleted) {
		s.orderMoved(at, to)
	}
	old.clear(flagDirty)
	old.set(flagDead)
	s.pages.release(at, size)
	return to
}

// remove takes an entry out of the table and frees its bytes.
func (s *Store) remove(at ref) {
	e := s.pages.entry(at)
	s.table.remove(s.table.indexOf(e.hash(), at))
	e.set(flagDead)
	s.pages.release(at, e.size())
}

// tend reclaims dead bytes. No entry is dirty: places change.
//
// Emptying a page that is at least half dead copies at most as many bytes as
// it frees, so the cost of a change stays constant on average.
func (s *Store) tend() {
	s.pages.endBatch()
	for s.pages.wasteful() {
		id, ok := s.pages.victim()
		if !ok {
			return
		}
		for at, e := range func(yield func(ref, entry) bool) { s.pages.each(id, yield) } {
			s.move(s.table.indexOf(e.hash(), at), e.valueLen(), e.valueLen())
		}
		s.pages.drop(id)
	}
}

// keyHashOf is the hash of an entry's key.
func (s *Store) keyHashOf(e entry) uint64 { return maphash.Bytes(s.seed, e.key()) }
