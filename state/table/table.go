package table

import "sync"

// Config says what a table is for.
type Config struct {
	// GroupLo and GroupHi are the first and the last key group.
	GroupLo, GroupHi int
	// KeySize, SubSize and ValueSize are the sizes that entries are expected to have,
	// or state.Variable: then the first entries decide about the slots. Entries of other
	// sizes are taken too.
	KeySize, SubSize, ValueSize int
}

// Ref is the place of an entry, until the next call that changes the table: 16 bits of
// slot, 32 of page, 16 of key group. The page knows its group too, but at its front, which is
// a read of cold memory when the slot is not.
type Ref uint64

func makeEntryRef(r pageRef, slot uint32, group int) Ref {
	return Ref(group)<<48 | Ref(r)<<16 | Ref(slot)
}

// group counts from the table's first.
func (r Ref) group() int { return int(r >> 48) }

func (r Ref) page() pageRef { return pageRef(r >> 16) }
func (r Ref) slot() uint32  { return uint32(r & 0xffff) }

// Flags are four bits of the caller's per entry; a new entry has none.
type Flags uint8

// Table holds one state's entries. One goroutine uses it; LoadRun and View
// say what others may do.
type Table struct {
	layout
	alloc  alloc
	groups []group
	lo     int

	epoch uint32  // of pages made now: the number of freezes so far
	views []*View // open ones

	slab    slab
	changed []Ref     // entries changed in this batch: see batch.go
	next    int       // the first of them that NextChanged has not looked at
	retired []pageRef // freed in this batch
	limbo   []pageRef // freed, but views may read them
	hand    Hand      // Sweep's
	hints   hints     // Touch's
	places  places    // UpdateBatch's

	entries, bytes int64
	dirBytes       int64
	perGroup       int        // entries that each group will have; 0: not known
	expect         Config     // sizes as told; Variable if not
	seen           [3]int     // the largest key, sub-key, value that decided about the layout
	mu             sync.Mutex // for LoadRun, of several groups at once
}

// New makes an empty table.
func New(cfg Config) *Table {
	t := &Table{lo: cfg.GroupLo, groups: make([]group, cfg.GroupHi-cfg.GroupLo+1), expect: cfg, epoch: 1}
	t.alloc.init()
	t.slab.init()
	t.layout = t.wanted()
	return t
}

// Len is the number of entries, whatever their flags.
func (t *Table) Len() int { return int(t.entries) }

// Bytes is the length of all their keys, sub-keys and values.
func (t *Table) Bytes() int64 { return t.bytes }

// Footprint is how much memory the table has, including what it keeps for the next
// entries and what views may still read.
func (t *Table) Footprint() int64 {
	return t.alloc.bytes + t.slab.footprint() + t.dirBytes + int64(len(t.groups))*groupBytes
}

// groupBytes is about the size of a group and its first directory.
const groupBytes = 48

// locate finds an entry: its page, its slot and where that is in the page. key and sub
// must fit want. This is the hot path of all, so it is search with little around it:
// the fewer instructions there are until the slot is read, the more of these reads the
// processor has under way at once.
func (t *Table) locate(k *Key, sub []byte, want head) (r pageRef, p []byte, i uint32, ok bool) {
	if len(t.hints.list) > 0 {
		if x := t.hints.next(want.hash(), int32(k.Group-t.lo)); x != nil {
			p = t.alloc.page(x.page)
			at := t.slotAt(x.slot)
			if h := head(u64(p, at)); h&matchMask == want && t.equalKeys(p, at, h, k.Bytes, sub) {
				return x.page, p, x.slot, true
			}
		}
	}
	g := &t.groups[k.Group-t.lo]
	at := int(uint64(want.hash()) >> g.shift)
	if at >= len(g.dir) {
		return 0, nil, 0, false // the group is empty
	}
	if r = g.dir[at]; r == 0 {
		return 0, nil, 0, false
	}
	p = t.alloc.page(r)
	i, ok = t.probe(p, t.slots[r&7], k.Bytes, sub, want)
	return r, p, i, ok
}

// probe finds an entry's slot in a page of n slots.
func (t *Table) probe(p []byte, n uint32, key, sub []byte, want head) (i uint32, ok bool) {
	i = home(want.hash(), n)
	for range n {
		at := pageHead + int(i)*t.stride
		h := head(u64(p, at))
		if h&matchMask == want && t.equalKeys(p, at, h, key, sub) {
			return i, true
		}
		if h == 0 {
			break
		}
		if i++; i == n {
			i = 0
		}
	}
	return i, false
}

// Find returns the place of an entry.
func (t *Table) Find(k *Key, sub []byte) (Ref, bool) {
	r, _, i, ok := t.locate(k, sub, t.match(entryHash(k, sub), k.Bytes, sub))
	return makeEntryRef(r, i, k.Group-t.lo), ok
}

// Get returns an entry's value and flags. The value is valid, and not to be changed,
// until the next call that changes the table.
func (t *Table) Get(k *Key, sub []byte) (value []byte, f Flags, ok bool) {
	_, p, i, ok := t.locate(k, sub, t.match(entryHash(k, sub), k.Bytes, sub))
	if !ok {
		return nil, 0, false
	}
	at := t.slotAt(i)
	h := head(u64(p, at))
	return t.valueOf(p, at, h), h.flags(), true
}

// Upsert finds an entry or makes it, and gives its value a size: as much as fits
// is kept, the rest is zero. The value may be overwritten until the next call
// that changes the table.
func (t *Table) Upsert(k *Key, sub []byte, size int) (r Ref, value []byte, existed bool) {
	hash := entryHash(k, sub)
	pr, p, i, existed := t.locate(k, sub, t.match(hash, k.Bytes, sub))
	if !existed || !t.ready(k.Group-t.lo, p, i, size) {
		pr, p, i = t.prepare(k, sub, hash, size, pr, p, i, existed)
	}
	at := t.slotAt(i)
	return makeEntryRef(pr, i, k.Group-t.lo), t.valueOf(p, at, head(u64(p, at))), existed
}

// Change is Upsert and MarkChanged in one. f are the entry's flags.
func (t *Table) Change(k *Key, sub []byte, size int) (r Ref, value []byte, f Flags, existed bool) {
	hash := entryHash(k, sub)
	pr, p, i, existed := t.locate(k, sub, t.match(hash, k.Bytes, sub))
	if !existed || !t.ready(k.Group-t.lo, p, i, size) {
		pr, p, i = t.prepare(k, sub, hash, size, pr, p, i, existed)
	}
	at := t.slotAt(i)
	h := head(u64(p, at))
	r = makeEntryRef(pr, i, k.Group-t.lo)
	if h&changed == 0 {
		h |= changed
		putU64(p, at, uint64(h))
		t.changed = append(t.changed, r)
	}
	return r, t.valueOf(p, at, h), h.flags(), existed
}

// ready reports whether an entry may be written as it is, with a value of that size.
func (t *Table) ready(group int, p []byte, i uint32, size int) bool {
	h := t.headAt(p, i)
	return (len(t.views) == 0 || !t.viewed(group)) && h&valueOut == 0 && h.valueLen() == size
}

// prepare makes an entry that is not there, or what locate found ready.
func (t *Table) prepare(k *Key, sub []byte, hash uint32, size int, r pageRef, p []byte, i uint32, found bool) (pageRef, []byte, uint32) {
	if !found {
		return t.insert(k, sub, hash, size)
	}
	if len(t.views) > 0 {
		r, p = t.own(&t.groups[k.Group-t.lo], hash, r, p)
	}
	return t.resize(r, p, i, size)
}

// insert adds an entry that is not there, with a zero value.
func (t *Table) insert(k *Key, sub []byte, hash uint32, size int) (pageRef, []byte, uint32) {
	t.adapt(len(k.Bytes), len(sub), size)
	r, p := t.pageFor(k.Group-t.lo, hash)
	i := t.place(r, p, k, sub, hash, size)
	t.groups[k.Group-t.lo].used++
	t.entries++
	t.bytes += int64(len(k.Bytes) + len(sub) + size)
	return r, p, i
}

// place writes a new entry into a page that has room.
func (t *Table) place(r pageRef, p []byte, k *Key, sub []byte, hash uint32, size int) uint32 {
	n := t.slots[r.class()]
	i := t.freeSlot(p, n, hash)
	at := t.slotAt(i)
	h := t.match(hash, k.Bytes, sub)
	if h&keysOut != 0 {
		putU64(p, at+keyOff, t.slab.putKeys(hash, pageGroup(p), k.Bytes, sub))
	} else {
		copy(p[at+keyOff:], k.Bytes)
		copy(p[at+t.subOff:], sub)
	}
	if size > t.valCap {
		h |= valueOut
		putU64(p, at+t.valOff, t.slab.newValue(hash, pageGroup(p), size, size))
	} else {
		clear(p[at+t.valOff : at+t.valOff+size]) // a slot is free with anything in it
		h = h.withValueLen(size)
	}
	putU64(p, at, uint64(h))
	putU32(p, 0, pageUsed(p)+1)
	return i
}

// Resize gives an entry's value a size, as Upsert does.
func (t *Table) Resize(ref Ref, size int) (Ref, []byte) {
	r, p, i := t.write(ref)
	r, p, i = t.resize(r, p, i, size)
	at := t.slotAt(i)
	return makeEntryRef(r, i, ref.group()), t.valueOf(p, at, head(u64(p, at)))
}

// Remove takes an entry out. It must not be marked as changed.
func (t *Table) Remove(ref Ref) {
	r, p, i := t.write(ref)
	hash := t.headAt(p, i).hash()
	t.remove(r, p, i)
	t.shrink(&t.groups[pageGroup(p)], hash, r, p)
}

// remove is Remove, in a page that may be written, without giving memory back.
func (t *Table) remove(r pageRef, p []byte, i uint32) {
	at := t.slotAt(i)
	h := head(u64(p, at))
	e := t.item(p, at, h)
	t.entries--
	t.bytes -= int64(len(e.Key) + len(e.Sub) + len(e.Value))
	t.groups[pageGroup(p)].used--
	if h&keysOut != 0 {
		t.slab.release(u64(p, at+keyOff))
	}
	if h&valueOut != 0 {
		t.slab.release(u64(p, at+t.valOff))
	}
	t.unslot(r, p, i)
}

// write returns an entry's page and slot, to be written.
func (t *Table) write(ref Ref) (pageRef, []byte, uint32) {
	r, i := ref.page(), ref.slot()
	p := t.alloc.page(r)
	if len(t.views) > 0 {
		r, p = t.own(&t.groups[ref.group()], t.headAt(p, i).hash(), r, p)
	}
	return r, p, i
}
