package table

// wasteful reports whether so much is dead that a page should be emptied: by two pages
// more than is alive, so that there is one to empty.
func (s *slab) wasteful() bool { return s.dead > s.live+2*slabPageMax && s.dead > wasteMin }

// victim returns a shared page that is at least half dead. There is one whenever
// wasteful holds, but for the page that is being filled.
func (s *slab) victim() (id uint32, ok bool) {
	for range s.pages {
		if s.hand++; int(s.hand) >= len(s.pages) {
			s.hand = 0
		}
		p := &s.pages[s.hand]
		if p.buf != nil && s.hand != s.current && !p.own && p.dead*2 >= p.fill {
			return s.hand, true
		}
	}
	return 0, false
}

// compact empties pages while much is dead. It copies at most as many bytes as it
// frees, and no more at once than about twice what died since the last time, so that
// no batch pays for many others.
func (t *Table) compact() {
	s := &t.slab
	budget := 2*s.released + slabPageMax
	s.released = 0
	for s.wasteful() && budget > 0 {
		id, ok := s.victim()
		if !ok {
			return
		}
		budget -= s.pages[id].fill
		t.emptySlabPage(id)
	}
}

// emptySlabPage moves the live records of a page elsewhere.
func (t *Table) emptySlabPage(id uint32) {
	s := &t.slab
	page := s.pages[id]
	for off := 0; off < page.fill; {
		b := page.buf[off:]
		size := recordSize(b)
		if r, p, at, ok := t.owner(uint64(id)<<32|uint64(off), b); ok {
			to := s.alloc(size)
			copy(s.pages.record(to), b[:size])
			t.redirect(r, p, at, u32(b, 4)&1 == 1, to)
		}
		off += size
	}
	s.drop(id) // until now what has moved counted twice
	if len(page.buf) == slabPageMax && !s.sealed && len(s.spare) < sparePages {
		s.spare = append(s.spare, page.buf)
		s.size += int64(len(page.buf))
	}
}

// owner returns the slot that refers to a record.
func (t *Table) owner(ref uint64, record []byte) (r pageRef, p []byte, i uint32, ok bool) {
	hash, what := u32(record, 0), u32(record, 4)
	g := &t.groups[what>>1]
	if g.dir == nil {
		return 0, nil, 0, false
	}
	if r = g.dir[uint64(hash)>>g.shift]; r == 0 {
		return 0, nil, 0, false
	}
	p = t.alloc.page(r)
	flag, off := valueOut, t.valOff
	if what&1 == 1 {
		flag, off = keysOut, keyOff
	}
	n := t.slots[r.class()]
	i = home(hash, n)
	for range n {
		at := t.slotAt(i)
		h := head(u64(p, at))
		if h == 0 {
			break
		}
		if h&flag != 0 && u64(p, at+off) == ref {
			return r, p, i, true
		}
		if i++; i == n {
			i = 0
		}
	}
	return 0, nil, 0, false
}

// redirect makes a slot refer to a record's new place.
func (t *Table) redirect(r pageRef, p []byte, i uint32, keys bool, to uint64) {
	if len(t.views) > 0 {
		_, p = t.own(&t.groups[pageGroup(p)], t.headAt(p, i).hash(), r, p)
	}
	at := t.slotAt(i) + t.valOff
	if keys {
		at = t.slotAt(i) + keyOff
	}
	putU64(p, at, to)
}
