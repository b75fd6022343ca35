package state

import (
	"bytes"
	"slices"
)

// timerHeap is a binary min-heap whose keys and tags lie in one arena.
type timerHeap struct {
	items []timerItem
	arena []byte
	dead  int // bytes of the arena that no item uses
}

type timerItem struct {
	at     int64
	group  int32
	keyLen uint32
	off    uint64 // of the key in the arena; the tag follows it
	tagLen uint32
}

func (h *timerHeap) len() int { return len(h.items) }

func (h *timerHeap) key(it *timerItem) []byte {
	return h.arena[it.off : it.off+uint64(it.keyLen)]
}

func (h *timerHeap) tag(it *timerItem) []byte {
	from := it.off + uint64(it.keyLen)
	return h.arena[from : from+uint64(it.tagLen)]
}

func (h *timerHeap) at(i int) (at int64, group int, key, tag []byte) {
	it := &h.items[i]
	return it.at, int(it.group), h.key(it), h.tag(it)
}

func (h *timerHeap) min() (at int64, group int, key, tag []byte) { return h.at(0) }

func (h *timerHeap) equal(i int, at int64, group int, key, tag []byte) bool {
	a, g, k, t := h.at(i)
	return a == at && g == group && bytes.Equal(k, key) && bytes.Equal(t, tag)
}

func (h *timerHeap) compare(a, b *timerItem) int {
	switch {
	case a.at != b.at:
		return sign(a.at < b.at)
	case a.group != b.group:
		return sign(a.group < b.group)
	}
	if c := bytes.Compare(h.key(a), h.key(b)); c != 0 {
		return c
	}
	return bytes.Compare(h.tag(a), h.tag(b))
}

func sign(less bool) int {
	if less {
		return -1
	}
	return 1
}

// sort puts the items in order, which is also a heap.
func (h *timerHeap) sort() {
	slices.SortFunc(h.items, func(a, b timerItem) int { return h.compare(&a, &b) })
}

func (h *timerHeap) push(at int64, group int, key, tag []byte) {
	off := uint64(len(h.arena))
	h.arena = append(append(h.arena, key...), tag...)
	h.items = append(h.items, timerItem{at, int32(group), uint32(len(key)), off, uint32(len(tag))})
	h.up()
}

// up moves the last item to its place.
func (h *timerHeap) up() {
	for i := len(h.items) - 1; i > 0; {
		parent := (i - 1) / 2
		if h.compare(&h.items[i], &h.items[parent]) >= 0 {
			return
		}
		h.items[i], h.items[parent] = h.items[parent], h.items[i]
		i = parent
	}
}

func (h *timerHeap) pop() {
	h.dead += int(h.items[0].keyLen + h.items[0].tagLen)
	h.take()
	h.compact()
}

// take takes the first item off, and leaves the arena as it is.
func (h *timerHeap) take() timerItem {
	first, last := h.items[0], len(h.items)-1
	h.items[0] = h.items[last]
	h.items = h.items[:last]
	h.down()
	return first
}

// earliest appends the first items up to a time, at most limit, to dst: they are
// taken and put back.
func (h *timerHeap) earliest(dst []timerItem, until int64, limit int) []timerItem {
	from := len(dst)
	for len(dst)-from < limit && len(h.items) > 0 && h.items[0].at <= until {
		dst = append(dst, h.take())
	}
	for _, it := range dst[from:] {
		h.items = append(h.items, it)
		h.up()
	}
	return dst
}

func (h *timerHeap) down() {
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(h.items) {
			return
		}
		if r := child + 1; r < len(h.items) && h.compare(&h.items[r], &h.items[child]) < 0 {
			child = r
		}
		if h.compare(&h.items[i], &h.items[child]) <= 0 {
			return
		}
		h.items[i], h.items[child] = h.items[child], h.items[i]
		i = child
	}
}

// compactMin is how much of the arena may be dead before it is worth a copy.
const compactMin = 64 << 10

// compact copies the arena when most of it is dead.
func (h *timerHeap) compact() {
	if h.dead < compactMin || h.dead < len(h.arena)/2 {
		return
	}
	arena := make([]byte, 0, len(h.arena)-h.dead)
	for i := range h.items {
		it := &h.items[i]
		key, tag := h.key(it), h.tag(it)
		it.off = uint64(len(arena))
		arena = append(append(arena, key...), tag...)
	}
	h.arena, h.dead = arena, 0
}
