package memory

import (
	"bytes"
	"encoding/binary"
)

// block is a sorted array of byte strings in a value of the order's table:
//
//	0  number of items<<1, | 1 in an index
//	4  low: where the items' bytes begin
//	8  offsets of the items, 4 bytes each, in the items' order
//	   free
//	low  items, in no order, dead ones among them: length, 4 bytes, and bytes
//
// A leaf's items are sub-keys. An index's are the id of a leaf and the first
// sub-key that it may have.
type block []byte

const (
	blockHead  = 8
	itemHead   = 4 // and as much for the offset
	leafID     = 8
	blockFirst = 64
	blockMax   = 4 << 10 // of leaves: an insert moves a few hundred bytes at most
)

func (b block) u32(at int) int       { return int(binary.LittleEndian.Uint32(b[at:])) }
func (b block) put32(at int, v int)  { binary.LittleEndian.PutUint32(b[at:], uint32(v)) }
func (b block) len() int             { return b.u32(0) >> 1 }
func (b block) isIndex() bool        { return b[0]&1 == 1 }
func (b block) init(index bool)      { clear(b[:blockHead]); b.put32(4, len(b)); b.setIndex(index) }
func (b block) setLen(n int)         { b.put32(0, n<<1|int(b[0]&1)) }
func (b block) offset(i int) int     { return b.u32(blockHead + 4*i) }
func (b block) room(size int) bool   { return b.u32(4)-blockHead-4*b.len() >= itemSize(size) }
func itemSize(size int) int          { return itemHead + 4 + size }
func (b block) child(pos int) []byte { return b.item(pos)[:leafID] }

func (b block) setIndex(index bool) {
	if index {
		b[0] |= 1
	}
}

func (b block) item(i int) []byte {
	at := b.offset(i)
	from := at + itemHead
	return b[from : from+b.u32(at)]
}

// sub is the sub-key of an item.
func (b block) sub(i int) []byte {
	if b.isIndex() {
		return b.item(i)[leafID:]
	}
	return b.item(i)
}

// search returns where sub is, or would be.
func (b block) search(sub []byte) (pos int, found bool) {
	lo, hi := 0, b.len()
	if hi > 0 && bytes.Compare(b.sub(hi-1), sub) < 0 {
		return hi, false // in ascending order, as they often come
	}
	for lo < hi {
		mid := (lo + hi) / 2
		if bytes.Compare(b.sub(mid), sub) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < b.len() && bytes.Equal(b.sub(lo), sub)
}

// leafOf returns the item of an index whose leaf sub belongs in: the last one that
// is not behind it. The first leaf has what comes before it too.
func (b block) leafOf(sub []byte) int {
	pos, found := b.search(sub)
	if found {
		return pos
	}
	return max(pos-1, 0)
}

// insert puts an item, of two parts, at pos; there is room for it.
func (b block) insert(pos int, id, sub []byte) {
	n, size := b.len(), len(id)+len(sub)
	low := b.u32(4) - itemHead - size
	b.put32(4, low)
	b.put32(low, size)
	copy(b[low+itemHead:], id)
	copy(b[low+itemHead+len(id):], sub)
	at := blockHead + 4*pos
	copy(b[at+4:], b[at:blockHead+4*n])
	b.put32(at, low)
	b.setLen(n + 1)
}

func (b block) remove(pos int) {
	n := b.len()
	at := blockHead + 4*pos
	copy(b[at:], b[at+4:blockHead+4*n])
	b.setLen(n - 1)
}

// live is how long the block would be without free and dead bytes.
func (b block) live() int {
	n := blockHead
	for i := range b.len() {
		n += itemSize(len(b.item(i)))
	}
	return n
}

// addFrom appends items from to to of another block.
func (b block) addFrom(other block, from, to int) {
	for i := from; i < to; i++ {
		b.insert(b.len(), nil, other.item(i))
	}
}
