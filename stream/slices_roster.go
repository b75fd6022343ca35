package stream

import (
	"encoding/binary"
	"slices"
	"sort"
)

// roster knows which keys have something in which slice, so that a window finds its
// keys when it ends, without a timer for each. It is no state: the store's
// entries say the same, and it is built from them when an operator opens. It holds no Go
// pointer per key.
type roster struct {
	slices []*keyList // in order of their begins
	last   *keyList   // the one that was added to last
	free   []*keyList // empty ones, for their memory
}

// keyList is the keys of a slice, each once, in the order in which they came.
type keyList struct {
	start int64
	bytes []byte // key group and length as varints, then the key
}

// freeMax is how many empty lists are kept.
const freeMax = 4

// add puts a key down in a slice.
func (r *roster) add(start int64, group int, key []byte) {
	if r.last == nil || r.last.start != start {
		r.last = r.at(start)
	}
	r.last.add(group, key)
}

func (l *keyList) add(group int, key []byte) {
	l.bytes = binary.AppendUvarint(l.bytes, uint64(group))
	l.bytes = binary.AppendUvarint(l.bytes, uint64(len(key)))
	l.bytes = append(l.bytes, key...)
}

// next reads the key at a position, and tells that of the next one.
func (l *keyList) next(at int) (group int, key []byte, next int) {
	g, n := binary.Uvarint(l.bytes[at:])
	at += n
	size, n := binary.Uvarint(l.bytes[at:])
	at += n
	next = at + int(size)
	return int(g), l.bytes[at:next:next], next
}

// at returns the list of a slice, which it makes if there is none.
func (r *roster) at(start int64) *keyList {
	i := r.search(start)
	if i < len(r.slices) && r.slices[i].start == start {
		return r.slices[i]
	}
	l := &keyList{}
	if n := len(r.free); n > 0 {
		l, r.free = r.free[n-1], r.free[:n-1]
	}
	l.start = start
	r.slices = slices.Insert(r.slices, i, l)
	return l
}

// search is the place of the first slice at or after t.
func (r *roster) search(t int64) int {
	return sort.Search(len(r.slices), func(i int) bool { return r.slices[i].start >= t })
}

// within is the slices that begin in [from, to).
func (r *roster) within(from, to int64) []*keyList {
	return r.slices[r.search(from):r.search(to)]
}

// drop forgets the first n slices.
func (r *roster) drop(n int) {
	for _, l := range r.slices[:n] {
		if r.last == l {
			r.last = nil
		}
		if l.bytes = l.bytes[:0]; len(r.free) < freeMax {
			r.free = append(r.free, l)
		}
	}
	r.slices = slices.Delete(r.slices, 0, n)
}
