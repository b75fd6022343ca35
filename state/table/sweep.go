package table

// Hand is how far a sweep has come: the next hash of a key group. The zero value is
// the beginning.
type Hand struct {
	group int
	hash  uint32
}

// advance moves the hand behind a range of hashes of a depth.
func (h *Hand) advance(depth uint32, groups int) {
	size := uint64(1) << (32 - depth)
	next := (uint64(h.hash)/size + 1) * size
	if h.hash = uint32(next); next>>32 == 0 {
		return
	}
	if h.group++; h.group == groups {
		h.group = 0
	}
}

// All visits all entries; the table must not be changed meanwhile.
func (t *Table) All(yield func(Ref) bool) {
	for gi := range t.groups {
		for r, p := range t.groups[gi].pages(&t.alloc) {
			for i := range t.slots[r.class()] {
				if t.headAt(p, i) != 0 && !yield(makeEntryRef(r, i, pageGroup(p))) {
					return
				}
			}
		}
	}
}

// pages visits a group's pages in order of hashes.
func (g *group) pages(a *alloc) func(yield func(pageRef, []byte) bool) {
	return func(yield func(pageRef, []byte) bool) {
		for i := 0; i < len(g.dir); {
			r := g.dir[i]
			if r == 0 {
				i++
				continue
			}
			p := a.page(r)
			if !yield(r, p) {
				return
			}
			i += 1 << (g.depth() - pageDepth(p))
		}
	}
}

// Sweep calls f for entries whose flags, as far as mask goes, are want, going on where the
// call before stopped, until it has looked at about limit entries: whole pages. Calling
// it for ever visits all for ever. f may mark, resize and flag its entry, and
// returns the entry's place and whether to remove it; it must not add entries.
func (t *Table) Sweep(limit int, mask, want Flags, f func(Ref) (r Ref, remove bool)) (looked int) {
	return t.SweepFrom(&t.hand, limit, mask, want, f)
}

// SweepFrom is Sweep with a hand of the caller's.
func (t *Table) SweepFrom(hand *Hand, limit int, mask, want Flags, f func(Ref) (r Ref, remove bool)) (looked int) {
	// A round ends where it began; an empty group costs a step as an entry does.
	for steps := 0; looked+steps < limit && steps <= len(t.groups); {
		g := &t.groups[hand.group]
		if g.dir == nil {
			hand.hash = 0
			hand.advance(0, len(t.groups))
			steps++
			continue
		}
		r := g.dir[uint64(hand.hash)>>g.shift]
		if r == 0 {
			hand.advance(g.depth(), len(t.groups))
			steps++
			continue
		}
		p := t.alloc.page(r)
		depth := pageDepth(p)
		looked += int(pageUsed(p))
		t.sweepPage(g, hand.hash, r, p, mask, want, f)
		hand.advance(depth, len(t.groups))
		if looked >= int(t.entries) {
			return looked
		}
	}
	return looked
}

// sweepPage looks at the entries of a page, one slot after the other. An entry that
// takes the place of a removed one is looked at next.
func (t *Table) sweepPage(g *group, hash uint32, r pageRef, p []byte, mask, want Flags, f func(Ref) (Ref, bool)) {
	removed := false
	for i := uint32(0); i < t.slots[r.class()]; {
		h := t.headAt(p, i)
		if h == 0 || h.flags()&mask != want {
			i++
			continue
		}
		at, remove := f(makeEntryRef(r, i, pageGroup(p)))
		if remove {
			r, p, i = t.write(at)
			t.remove(r, p, i)
			removed = true
			continue
		}
		r, i = at.page(), at.slot()+1
		p = t.alloc.page(r)
	}
	if removed {
		t.shrink(g, hash, r, p)
	}
}
