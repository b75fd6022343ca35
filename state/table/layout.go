package table

import (
	"encoding/binary"

	"github.com/cairnstream/cairn/state"
)

// layout says where things are in a slot:
//
//	0              head
//	8              key        beside the head, so that a search reads one cache line
//	subOff         sub-key
//	valOff         value      aligned to 8, so that it can be changed in place
//	stride
//
// Each part has room for so many bytes, a multiple of 8, and an entry's own length
// in the head. Key and sub-key go to the slab together if either does not fit,
// and leave a reference in the key's place; so does the value.
type layout struct {
	stride                 int
	keyCap, subCap, valCap int
	subOff, valOff         int
	slots                  [8]uint32 // per page of a class
	classMin               int
}

const (
	headSize   = 8
	keyOff     = headSize
	slabRef    = 8 // the size of a reference into the slab
	slotsMin   = 4 // of the smallest pages
	keyInline  = 32
	subInline  = 32
	fixInline  = 128 // for values of fixed size
	varInline  = 64  // for others: room that most of them may not need
	adaptUntil = 1024
)

// makeLayout is the layout for entries of these lengths, as far as they are
// stored inline.
func makeLayout(key, sub, value int) layout {
	l := layout{keyCap: max(round8(key), slabRef), subCap: round8(sub), valCap: round8(value)}
	l.subOff = keyOff + l.keyCap
	l.valOff = l.subOff + l.subCap
	l.stride = l.valOff + l.valCap
	for c := 1; c <= classMax; c++ {
		l.slots[c] = uint32((classSize(c) - pageHead) / l.stride)
		if l.classMin == 0 && l.slots[c] >= slotsMin {
			l.classMin = c
		}
	}
	return l
}

// inline is the room for a part: its fixed size or what was seen, if that is not too
// much.
func inline(fixed, seen, most, mostSeen int) int {
	switch {
	case fixed == state.Variable:
		return min(seen, mostSeen)
	case fixed <= most:
		return fixed
	}
	return slabRef
}

// limit is how many entries a page of n slots takes.
func limit(n uint32) uint32 { return n - n/8 }

func round8(n int) int { return (n + 7) &^ 7 }

// The head of a slot; 0 is a free one.
//
//	bits  0..31  hash
//	     32..35  flags of the caller
//	     36      used
//	     37      changed in this batch: in Table.changed
//	     38      key and sub-key are in the slab
//	     39      the value is in the slab
//	     40..47  length of the key, of the sub-key, of the value; 0 for what is in
//	     48..55  the slab
//	     56..63
type head uint64

const (
	userShift      = 32
	used      head = 1 << 36
	changed   head = 1 << 37
	keysOut   head = 1 << 38
	valueOut  head = 1 << 39

	userMask  head = 0xf << userShift
	valueMask head = 0xff<<56 | valueOut
	// matchMask is what two entries of the same key and sub-key have in common.
	matchMask = ^(userMask | changed | valueMask)
)

func (h head) hash() uint32  { return uint32(h) }
func (h head) flags() Flags  { return Flags(h >> userShift & 0xf) }
func (h head) keyLen() int   { return int(h >> 40 & 0xff) }
func (h head) subLen() int   { return int(h >> 48 & 0xff) }
func (h head) valueLen() int { return int(h >> 56) }

func (h head) withValueLen(n int) head { return h&^valueMask | head(n)<<56 }

// match is the part of the head that an entry with this key and sub-key has.
func (l *layout) match(hash uint32, key, sub []byte) head {
	h := head(hash) | used
	if len(key) > l.keyCap || len(sub) > l.subCap {
		return h | keysOut
	}
	return h | head(len(key))<<40 | head(len(sub))<<48
}

func u64(b []byte, at int) uint64       { return binary.LittleEndian.Uint64(b[at:]) }
func putU64(b []byte, at int, v uint64) { binary.LittleEndian.PutUint64(b[at:], v) }
func u32(b []byte, at int) uint32       { return binary.LittleEndian.Uint32(b[at:]) }
func putU32(b []byte, at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }
