package table

// Item is an entry as it is read. Its slices point into the table.
type Item struct {
	Group           int
	Flags           Flags
	Key, Sub, Value []byte
}

// Item returns an entry, valid until the next call that changes the table.
func (t *Table) Item(ref Ref) Item {
	p := t.alloc.page(ref.page())
	at := t.slotAt(ref.slot())
	e := t.layout.item(p, at, head(u64(p, at)), &t.slab.pages)
	e.Group = t.lo + ref.group()
	return e
}

func (t *Table) item(p []byte, at int, h head) Item {
	e := t.layout.item(p, at, h, &t.slab.pages)
	e.Group = t.lo + pageGroup(p)
	return e
}

// item reads a slot, but for its group; slabs are the pages that it may refer to.
func (l *layout) item(p []byte, at int, h head, slabs *slabPages) Item {
	e := Item{Flags: h.flags()}
	if h&keysOut != 0 {
		e.Key, e.Sub = slabs.keys(u64(p, at+keyOff))
	} else {
		from := at + keyOff
		e.Key = p[from : from+h.keyLen() : from+h.keyLen()]
		from = at + l.subOff
		e.Sub = p[from : from+h.subLen() : from+h.subLen()]
	}
	if h&valueOut != 0 {
		e.Value = slabs.value(u64(p, at+l.valOff))
	} else {
		from := at + l.valOff
		e.Value = p[from : from+h.valueLen() : from+h.valueLen()]
	}
	return e
}

func (t *Table) valueOf(p []byte, at int, h head) []byte {
	if h&valueOut != 0 {
		return t.slab.pages.value(u64(p, at+t.valOff))
	}
	from := at + t.valOff
	return p[from : from+h.valueLen() : from+h.valueLen()]
}

// Value returns an entry's value, under the rules of Item.
func (t *Table) Value(ref Ref) []byte {
	p := t.alloc.page(ref.page())
	at := t.slotAt(ref.slot())
	return t.valueOf(p, at, head(u64(p, at)))
}

// Flags returns an entry's flags.
func (t *Table) Flags(ref Ref) Flags {
	return t.headAt(t.alloc.page(ref.page()), ref.slot()).flags()
}

// SetFlags sets all four flags of an entry and returns its place, which may be new.
func (t *Table) SetFlags(ref Ref, f Flags) Ref {
	r, p, i := t.write(ref)
	at := t.slotAt(i)
	putU64(p, at, uint64(head(u64(p, at))&^userMask|head(f&0xf)<<userShift))
	return makeEntryRef(r, i, ref.group())
}

// shrinkMin is the room for a value below which it is not worth getting smaller.
const shrinkMin = 256

// resize gives a value a size, in a page that may be written. A value that outgrows
// its room in the slab gets half as much again, so that one that grows for long is
// copied seldom.
func (t *Table) resize(r pageRef, p []byte, i uint32, size int) (pageRef, []byte, uint32) {
	at := t.slotAt(i)
	h := head(u64(p, at))
	old := t.valueOf(p, at, h)
	if size == len(old) && (h&valueOut == 0 || t.slab.writable(u64(p, at+t.valOff))) {
		return r, p, i
	}
	if size > t.valCap && size != len(old) {
		e := t.item(p, at, h)
		if k := MakeKey(e.Group, e.Key); t.adapt(len(e.Key), len(e.Sub), size) { // all slots have moved
			r, p, i, _ = t.locate(&k, e.Sub, t.match(h.hash(), e.Key, e.Sub))
			at = t.slotAt(i)
			h = head(u64(p, at))
		}
	}
	t.bytes += int64(size - len(old))
	switch {
	case size > t.valCap:
		h = t.resizeOut(p, at, h, old, size)
	case h&valueOut != 0:
		t.slab.release(u64(p, at+t.valOff))
		clear(p[at+t.valOff : at+t.valOff+t.valCap])
		copy(p[at+t.valOff:at+t.valOff+size], old)
		h = h.withValueLen(size)
	default:
		if size > len(old) {
			clear(p[at+t.valOff+len(old) : at+t.valOff+size])
		}
		h = h.withValueLen(size)
	}
	putU64(p, at, uint64(h))
	return r, p, i
}

// resizeOut gives a value a size that needs the slab.
func (t *Table) resizeOut(p []byte, at int, h head, old []byte, size int) head {
	if h&valueOut != 0 {
		ref := u64(p, at+t.valOff)
		if room := t.slab.room(ref); t.slab.writable(ref) && size <= room && (room < shrinkMin || size >= room/4) {
			t.slab.setLen(ref, size)
			if size > len(old) {
				clear(t.slab.pages.value(ref)[len(old):])
			}
			return h
		}
	}
	room := size
	if h&valueOut != 0 && size > len(old) {
		room += size / 2
	}
	to := t.slab.newValue(h.hash(), pageGroup(p), size, room)
	copy(t.slab.pages.value(to), old)
	if h&valueOut != 0 {
		t.slab.release(u64(p, at+t.valOff))
	}
	putU64(p, at+t.valOff, to)
	return h.withValueLen(0) | valueOut
}
