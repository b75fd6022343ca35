package table

import (
	"slices"

	"github.com/cairnstream/cairn/state"
)

// place is where an entry of a batch may be: its page, if there is one.
type place struct {
	hash  uint32
	group int32
	page  pageRef
}

// places are those of the batch at hand.
//
// Invariant: while watched is set, everything that makes another page the page of some
// entry sets moved.
type places struct {
	list           []place
	watched, moved bool
	sum            uint64 // so that the compiler keeps the reads
}

// UpdateBatch changes the entries of a batch in their order, marks them as changed,
// and calls each with the place in the batch and the value. touch has the processor fetch the
// slots first, which pays in a table beyond its caches. An entry that is not there, or has flags,
// a value of another size, or a page that a view reads, is left to other, which may
// call every method but this one.
//
// It is Touch and Change in three short loops. The shorter a loop, the more of its reads
// the processor has under way at once, and that is what a change costs.
func (t *Table) UpdateBatch(b *state.Batch, size int, touch bool, other func(i int), each func(i int, value []byte, existed bool)) {
	t.places.watched, t.places.moved = true, false
	defer func() { t.places.watched = false }()
	at := uint32(0)
	for from := 0; from < b.Len(); from += stepEntries {
		to := min(from+stepEntries, b.Len())
		t.findPages(b, from, to, at)
		if touch {
			t.places.sum += t.touchPlaces()
		}
		at = t.updateStep(b, from, at, size, other, each)
	}
}

// stepEntries is how many entries are found together: what they touch, some 150 bytes each, fits into a
// first-level cache, and waiting for the first of them costs little for each.
const stepEntries = 256

// updateStep changes the entries of places, which are the batch's from first on. at is where in
// the batch's bytes they begin; it returns where they end.
func (t *Table) updateStep(b *state.Batch, first int, at uint32, size int, other func(i int), each func(i int, value []byte, existed bool)) uint32 {
	ordinary := t.ordinary(size)
	for n := range t.places.list {
		x := &t.places.list[n]
		_, key, sub, next := b.Next(first+n, at)
		at = next
		if t.places.moved {
			x.page, ordinary = t.pageOf(x), t.ordinary(size)
		}
		buf, slot, i, h := t.at(x, key, sub)
		if h&(userMask|valueMask|used) != ordinary || (len(t.views) > 0 && t.viewed(int(x.group))) {
			other(first + n)
			continue
		}
		if h&changed == 0 {
			putU64(buf, slot, uint64(h|changed))
			t.changed = append(t.changed, makeEntryRef(x.page, i, int(x.group)))
		}
		v := slot + t.valOff
		each(first+n, buf[v:v+size:v+size], true)
	}
	return at
}

// ordinary is what the head of an entry says, as far as updateStep asks, whose value of that
// size may be changed where it lies. No head is like the result for a size that does not fit.
func (t *Table) ordinary(size int) head {
	if size > t.valCap || size > 0xff {
		return ^head(0)
	}
	return used | head(size)<<56
}

// findPages finds the pages of the batch's entries from first to last, whose bytes begin at at.
func (t *Table) findPages(b *state.Batch, first, last int, at uint32) {
	t.places.moved = false
	t.places.list = slices.Grow(t.places.list[:0], last-first)[:last-first]
	for i := range t.places.list {
		group, key, sub, next := b.Next(first+i, at)
		at = next
		hash := hashBytes(key)
		if len(sub) > 0 {
			hash = mix(hash^hashBytes(sub), mixC)
		}
		x := &t.places.list[i]
		x.hash, x.group = uint32(hash>>32), int32(group-t.lo)
		x.page = t.pageOf(x)
	}
}

// pageOf is the page of an entry, or 0.
func (t *Table) pageOf(x *place) pageRef {
	g := &t.groups[x.group]
	if at := int(uint64(x.hash) >> g.shift); at < len(g.dir) {
		return g.dir[at]
	}
	return 0
}

// touchPlaces reads the first slot in which each entry may be and the next one, which
// lie in two or three cache lines.
func (t *Table) touchPlaces() (sum uint64) {
	bufs := *t.alloc.bufs.Load()
	second := 2*t.stride - 8
	for i := range t.places.list {
		if x := &t.places.list[i]; x.page != 0 {
			b := bufs[x.page>>14]
			at := int(x.page>>4&1023)*unitSize + t.slotAt(home(x.hash, t.slots[x.page&7]))
			sum += u64(b, at) + u64(b, at+t.stride-8) + u64(b, min(at+second, len(b)-8))
		}
	}
	return sum
}

// at finds an entry: the chunk of its page, where in that its slot is, the slot's number in the page,
// and its head, which is 0 if there is no such entry.
func (t *Table) at(x *place, key, sub []byte) (buf []byte, at int, i uint32, h head) {
	if x.page == 0 {
		return nil, 0, 0, 0
	}
	buf = (*t.alloc.bufs.Load())[x.page>>14]
	first, n := int(x.page>>4&1023)*unitSize+pageHead, t.slots[x.page&7]
	want := t.match(x.hash, key, sub)
	i = home(x.hash, n)
	for range n {
		at = first + int(i)*t.stride
		h = head(u64(buf, at))
		if h&matchMask == want && (len(sub) == 0 && len(key) == 8 && u64(buf, at+keyOff) == u64(key, 0) || t.equalKeys(buf, at, h, key, sub)) {
			return buf, at, i, h
		}
		if h == 0 {
			break
		}
		if i++; i == n {
			i = 0
		}
	}
	return buf, at, i, 0
}

// moved says that entries are in other pages than before. It writes nothing if nobody
// wants to know, so that loads of several groups at once may call it.
func (t *Table) moved() {
	t.hints.forget()
	if t.places.watched {
		t.places.moved = true
	}
}
