package table

import "bytes"

// The front of a page:
//
//	 0  used    uint32   entries
//	 4  group   uint32   the key group, counted from the table's first
//	 8  epoch   uint32   Table.epoch when the page was made: see view.go
//	12  depth   uint32   how many of the upper hash bits its entries have in common
//	16  slots
//
// Slots are probed linearly from an entry's home. Invariant: between an entry's home
// and its slot there is no free slot, so that removing moves later entries back
// instead of leaving marks behind.
const pageHead = 16

func pageUsed(p []byte) uint32  { return u32(p, 0) }
func pageGroup(p []byte) int    { return int(u32(p, 4)) }
func pageEpoch(p []byte) uint32 { return u32(p, 8) }
func pageDepth(p []byte) uint32 { return u32(p, 12) }

// newPage returns an empty page.
func (t *Table) newPage(class, group int, depth uint32) (pageRef, []byte) {
	r := t.alloc.get(class)
	return r, t.initPage(r, group, depth)
}

// initPage makes a page whose bytes are anything an empty one.
func (t *Table) initPage(r pageRef, group int, depth uint32) []byte {
	p := t.alloc.page(r)
	clear(p)
	putU32(p, 4, uint32(group))
	putU32(p, 8, t.epoch)
	putU32(p, 12, depth)
	return p
}

// home is where an entry's slot is looked for first, in a page of n slots.
func home(hash, n uint32) uint32 { return (hash & 0xffff) * n >> 16 }

func (l *layout) slotAt(i uint32) int { return pageHead + int(i)*l.stride }

func (l *layout) headAt(p []byte, i uint32) head { return head(u64(p, l.slotAt(i))) }

// equalKeys compares an entry's keys, whose lengths are right.
func (t *Table) equalKeys(p []byte, at int, h head, key, sub []byte) bool {
	if h&keysOut != 0 {
		k, s := t.slab.keys(u64(p, at+keyOff))
		return bytes.Equal(k, key) && bytes.Equal(s, sub)
	}
	from := at + keyOff
	if len(key) == 8 {
		if u64(p, from) != u64(key, 0) {
			return false
		}
	} else if string(p[from:from+len(key)]) != string(key) {
		return false
	}
	return len(sub) == 0 || string(p[at+t.subOff:at+t.subOff+len(sub)]) == string(sub)
}

// freeSlot returns the slot for an entry that is not in the page, which has room.
func (l *layout) freeSlot(p []byte, n, hash uint32) uint32 {
	i := home(hash, n)
	for l.headAt(p, i) != 0 {
		if i++; i == n {
			i = 0
		}
	}
	return i
}

// moveSlot copies a slot of a page that is given up into p. A changed entry is noted
// at its new place, and no longer at the old one.
func (t *Table) moveSlot(r pageRef, p []byte, slot []byte) {
	h := head(u64(slot, 0))
	i := t.freeSlot(p, t.slots[r.class()], h.hash())
	copy(p[t.slotAt(i):], slot)
	putU32(p, 0, pageUsed(p)+1)
	if h&changed != 0 {
		t.changed = append(t.changed, makeEntryRef(r, i, pageGroup(p)))
		putU64(slot, 0, uint64(h&^changed))
	}
}

// unslot frees slot i and moves back those behind it that would be cut off from
// their homes.
func (t *Table) unslot(r pageRef, p []byte, i uint32) {
	t.hints.forget()
	n := t.slots[r.class()]
	putU32(p, 0, pageUsed(p)-1)
	for j := (i + 1) % n; j != i; j = (j + 1) % n {
		h := t.headAt(p, j)
		if h == 0 {
			break
		}
		distance := (j + n - home(h.hash(), n)) % n
		if distance < (j+n-i)%n {
			continue
		}
		copy(p[t.slotAt(i):t.slotAt(i)+t.stride], p[t.slotAt(j):])
		if h&changed != 0 {
			t.changed = append(t.changed, makeEntryRef(r, i, pageGroup(p)))
		}
		i = j
	}
	clear(p[t.slotAt(i) : t.slotAt(i)+t.stride])
}
