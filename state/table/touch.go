package table

import "github.com/cairnstream/cairn/state"

// hint is where Touch has found an entry.
type hint struct {
	hash  uint32
	group int32
	page  pageRef
	slot  uint32 // nowhere: there is no such entry
}

const nowhere = ^uint32(0)

// hints are those of the newest Touch, in its order. Whoever uses entries in the
// same order finds them without another search.
//
// Invariant: an entry that moves takes all hints with it (forget), so the page and
// the slot of a hint are a live page and a slot of it.
type hints struct {
	list []hint
	at   int    // the entry that was asked for last
	sum  uint64 // so that the compiler keeps the reads
}

// forget writes nothing if there are none, so that loads of several groups at once may call it.
func (x *hints) forget() {
	if len(x.list) > 0 {
		x.list, x.at = x.list[:0], 0
	}
}

// next returns the hint for an entry, or nil: the one that was used last, or the one
// behind it.
func (x *hints) next(hash uint32, group int32) *hint {
	for i := x.at; i < min(x.at+2, len(x.list)); i++ {
		if h := &x.list[i]; h.hash == hash && h.group == group {
			x.at = i
			if h.slot == nowhere {
				return nil
			}
			return h
		}
	}
	return nil
}

// Touch reads the places where entries lie, so that the processor's caches have
// them. In a table beyond these caches the wait for memory is nearly all that a change
// costs (150 to 400 ns against 10), and it is the same for one entry as for a dozen that
// are asked for at once: here no read waits for another, while a change waits for each.
// Nothing is changed, and keys need not exist. Entries of other states are passed over.
func (t *Table) Touch(h state.Handle, wanted []state.Wanted) {
	t.hints.forget()
	for i := range wanted {
		if w := &wanted[i]; w.Handle == h {
			t.touchPage(w.Group, w.Key, w.Sub)
		}
	}
	t.hints.sum += t.touchHomes()
	t.touchSlots(h, wanted)
}

// TouchEntries is Touch for entries that are about to be loaded, most of which are new.
// It leaves no hints: a load searches in what is at hand by then. Entries of other states or key
// groups are passed over.
func (t *Table) TouchEntries(h state.Handle, entries []state.Entry) {
	t.hints.forget()
	for i := range entries {
		if e := &entries[i]; e.Handle == h && uint(e.Group-t.lo) < uint(len(t.groups)) {
			t.touchPage(e.Group, e.Key, e.Sub)
		}
	}
	t.hints.sum += t.touchHomes() + t.touchFronts()
	t.hints.forget()
}

// touchPage finds the page of an entry.
func (t *Table) touchPage(group int, key, sub []byte) {
	k := Key{hash: hashBytes(key)}
	x := hint{hash: entryHash(&k, sub), group: int32(group - t.lo), slot: nowhere}
	g := &t.groups[x.group]
	if at := int(uint64(x.hash) >> g.shift); at < len(g.dir) {
		x.page = g.dir[at]
	}
	t.hints.list = append(t.hints.list, x)
}

// touchHomes reads the first slot in which each entry may be, which may lie in two cache
// lines.
func (t *Table) touchHomes() (sum uint64) {
	bufs := *t.alloc.bufs.Load()
	for i := range t.hints.list {
		if x := &t.hints.list[i]; x.page != 0 {
			at := int(x.page>>4&1023)*unitSize + t.slotAt(home(x.hash, t.slots[x.page&7]))
			sum += u64(bufs[x.page>>14], at) + u64(bufs[x.page>>14], at+t.stride-8)
		}
	}
	return sum
}

// touchFronts reads the fronts of the pages, which tell whether there is room for one more.
func (t *Table) touchFronts() (sum uint64) {
	bufs := *t.alloc.bufs.Load()
	for i := range t.hints.list {
		if x := &t.hints.list[i]; x.page != 0 {
			sum += u64(bufs[x.page>>14], int(x.page>>4&1023)*unitSize)
		}
	}
	return sum
}

// touchSlots finds the slots.
func (t *Table) touchSlots(h state.Handle, wanted []state.Wanted) {
	n := 0
	for i := range wanted {
		w := &wanted[i]
		if w.Handle != h {
			continue
		}
		x := &t.hints.list[n]
		n++
		if x.page == 0 {
			continue
		}
		p := t.alloc.page(x.page)
		if slot, ok := t.probe(p, t.slots[x.page&7], w.Key, w.Sub, t.match(x.hash, w.Key, w.Sub)); ok {
			x.slot = slot
		}
	}
}
