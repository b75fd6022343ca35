package table

import (
	"slices"
	"sync/atomic"
)

// View is a table as of one moment, for another goroutine to read while the table goes
// on. All of its methods may be called by one goroutine that is not the table's.
//
// Invariant: a page that an open view may still read is not written and not freed, nor
// are its directories and the slab up to where it was filled. The table's goroutine
// copies a page before its first write and gives the old one back after the view
// is closed. A page was there before the view if its epoch is not greater than the
// view's.
type View struct {
	layout
	groups         []group
	bufs           [][]byte
	slabs          slabPages
	lo             int // the first group of the view
	from, end      int // its groups, counted from the table's first
	epoch          uint32
	entries, bytes int64

	done   atomic.Int64 // groups that are read, counted from the table's first
	closed atomic.Bool
}

// Freeze makes a view of the table as it is, between two batches. It copies a header per
// key group and one per 64 KiB of slab.
func (t *Table) Freeze() *View { return t.FreezeGroups(t.lo, t.lo+len(t.groups)-1) }

// FreezeGroups is Freeze for the key groups lo to hi only: others are written as ever.
func (t *Table) FreezeGroups(lo, hi int) *View {
	if len(t.changed) > 0 {
		panic("state table: freeze in the middle of a batch")
	}
	t.reap()
	for i := range t.slab.pages {
		t.slab.pages[i].sealed = t.slab.pages[i].fill
	}
	t.slab.sealed = true
	from, end := lo-t.lo, hi-t.lo+1
	v := &View{
		layout: t.layout, groups: slices.Clone(t.groups[from:end]), bufs: *t.alloc.bufs.Load(), slabs: slices.Clone(t.slab.pages),
		lo: lo, from: from, end: end, epoch: t.epoch, entries: t.entries, bytes: t.bytes,
	}
	v.done.Store(int64(from))
	t.epoch++
	t.views = append(t.views, v)
	return v
}

// Len is the number of the table's entries.
func (v *View) Len() int { return int(v.entries) }

// GroupLen is the number of a key group's entries.
func (v *View) GroupLen(group int) int { return int(v.groups[group-v.lo].used) }

// Close lets the table write where it likes. The view must not be used any more.
func (v *View) Close() { v.closed.Store(true) }

// Done says that the view will not read key groups up to this one again: their pages
// need no copies.
func (v *View) Done(group int) { v.done.Store(int64(group - v.lo + v.from + 1)) }

// Group visits the entries of a key group. An item is valid until yield returns.
func (v *View) Group(group int) func(yield func(Item) bool) {
	return func(yield func(Item) bool) {
		g := &v.groups[group-v.lo]
		for i := 0; i < len(g.dir); {
			r := g.dir[i]
			if r == 0 {
				i++
				continue
			}
			p := v.page(r)
			for s := range v.slots[r.class()] {
				at := v.slotAt(s)
				h := head(u64(p, at))
				if h == 0 {
					continue
				}
				e := v.item(p, at, h, &v.slabs)
				if e.Group = group; !yield(e) {
					return
				}
			}
			i += 1 << (g.depth() - pageDepth(p))
		}
	}
}

func (v *View) page(r pageRef) []byte {
	at := int(r>>4&1023) * unitSize
	size := classSize(r.class())
	return v.bufs[r>>14][at : at+size : at+size]
}

// frozen reports whether a view may still read a page.
func (t *Table) frozen(p []byte) bool {
	for _, v := range t.views {
		if pageEpoch(p) <= v.epoch && v.reads(pageGroup(p)) {
			return true
		}
	}
	return false
}

// reads reports whether the view may still read a group, counted from the table's first.
func (v *View) reads(group int) bool { return group < v.end && int64(group) >= v.done.Load() }

// viewed reports whether a view may still read a group. It looks at no page.
func (t *Table) viewed(group int) bool {
	for _, v := range t.views {
		if v.reads(group) {
			return true
		}
	}
	return false
}

// own returns a page that may be written in the place of one that may be not. The copy
// has no changed entries: they would have made it before.
func (t *Table) own(g *group, hash uint32, r pageRef, p []byte) (pageRef, []byte) {
	if !t.frozen(p) {
		return r, p
	}
	to := t.alloc.get(r.class())
	q := t.alloc.page(to)
	copy(q, p)
	putU32(q, 8, t.epoch)
	t.setPage(g, hash, pageDepth(p), to)
	t.limbo = append(t.limbo, r)
	return to, q
}

// ownDir copies a directory that a view may read.
func (t *Table) ownDir(g *group) {
	if len(t.views) > 0 && g.epoch != t.epoch {
		g.dir, g.epoch = slices.Clone(g.dir), t.epoch
	}
}

// freeMax is how many pages that views have left one batch frees: the work of a batch
// is bounded.
const freeMax = 1024

// reap forgets views that are closed, and frees what waited for them.
func (t *Table) reap() {
	t.views = slices.DeleteFunc(t.views, func(v *View) bool { return v.closed.Load() })
	t.slab.sealed = len(t.views) > 0
	if len(t.views) > 0 {
		return
	}
	n := max(len(t.limbo)-freeMax, 0)
	for _, r := range t.limbo[n:] {
		t.alloc.put(r)
	}
	if t.limbo = t.limbo[:n]; n == 0 {
		t.limbo = nil
	}
}
