package table

// group is a key group's directory: the page of an entry is dir[hash>>shift]. A
// page whose depth is less than the directory's stands there several times in a row.
type group struct {
	dir   []pageRef // nil: no entries
	shift uint8     // 32 minus the directory's depth
	epoch uint32    // Table.epoch when dir was made: see view.go
	used  uint32    // entries
}

func (g *group) depth() uint32 { return uint32(32 - g.shift) }

// span returns the directory's indices of a page of a depth.
func (g *group) span(hash, depth uint32) (from, to int) {
	n := 1 << (g.depth() - depth)
	from = int(uint64(hash)>>g.shift) &^ (n - 1)
	return from, from + n
}

// setPage makes r the page of a range of hashes; 0 for none.
func (t *Table) setPage(g *group, hash, depth uint32, r pageRef) {
	t.ownDir(g)
	t.moved()
	from, to := g.span(hash, depth)
	for i := from; i < to; i++ {
		g.dir[i] = r
	}
}

// pageFor returns a page with room for one more entry of that hash.
func (t *Table) pageFor(gi int, hash uint32) (pageRef, []byte) {
	g := &t.groups[gi]
	if g.dir == nil {
		if t.perGroup > 0 {
			t.presize(g, gi, t.perGroup)
		} else {
			g.dir, g.shift, g.epoch = make([]pageRef, 1), 32, t.epoch
		}
	}
	for {
		r := g.dir[uint64(hash)>>g.shift]
		if r == 0 {
			class := t.classMin
			if t.perGroup > 0 && g.depth() > 0 {
				class = classMax
			}
			r, p := t.newPage(class, gi, g.depth())
			t.setPage(g, hash, g.depth(), r)
			return r, p
		}
		p := t.alloc.page(r)
		if pageUsed(p) < limit(t.slots[r.class()]) {
			return t.own(g, hash, r, p)
		}
		if r.class() < classMax {
			return t.resizePage(g, hash, r, p, r.class()+1)
		}
		t.split(g, hash, r, p)
	}
}

// resizePage moves a page's entries to one of another class.
func (t *Table) resizePage(g *group, hash uint32, r pageRef, p []byte, class int) (pageRef, []byte) {
	to, q := t.newPage(class, pageGroup(p), pageDepth(p))
	for i := range t.slots[r.class()] {
		if at := t.slotAt(i); u64(p, at) != 0 {
			t.moveSlot(to, q, p[at:at+t.stride])
		}
	}
	t.setPage(g, hash, pageDepth(p), to)
	t.freePage(r, p)
	return to, q
}

// split divides a page's entries by one more bit of their hashes.
func (t *Table) split(g *group, hash uint32, r pageRef, p []byte) {
	depth := pageDepth(p)
	if depth == 32 {
		panic("state table: too many entries of one hash")
	}
	if depth == g.depth() {
		t.doubleDir(g)
	}
	bit := uint32(1) << (31 - depth)
	low, lowPage := t.newPage(classMax, pageGroup(p), depth+1)
	high, highPage := t.newPage(classMax, pageGroup(p), depth+1)
	for i := range t.slots[r.class()] {
		at := t.slotAt(i)
		switch h := head(u64(p, at)); {
		case h == 0:
		case h.hash()&bit == 0:
			t.moveSlot(low, lowPage, p[at:at+t.stride])
		default:
			t.moveSlot(high, highPage, p[at:at+t.stride])
		}
	}
	t.setPage(g, hash&^bit, depth+1, low)
	t.setPage(g, hash|bit, depth+1, high)
	t.freePage(r, p)
}

func (t *Table) doubleDir(g *group) {
	dir := make([]pageRef, 2*len(g.dir))
	for i, r := range g.dir {
		dir[2*i], dir[2*i+1] = r, r
	}
	g.dir, g.epoch = dir, t.epoch
	g.shift--
	t.dirBytes += int64(len(dir)) / 2 * dirEntry
}

// dirEntry is the size of a directory's element.
const dirEntry = 4

// shrink gives memory back after removals. hash is one of the page's range.
func (t *Table) shrink(g *group, hash uint32, r pageRef, p []byte) {
	n := pageUsed(p)
	switch {
	case g.used == 0:
		t.freePage(r, p)
		t.dirBytes -= int64(len(g.dir)-1) * dirEntry
		g.dir = nil
	case n == 0:
		t.setPage(g, hash, pageDepth(p), 0)
		t.freePage(r, p)
	default:
		class := r.class()
		for class > t.classMin && n < t.slots[class]/4 {
			class--
		}
		if class < r.class() {
			t.resizePage(g, hash, r, p, class)
		}
	}
}

// freePage frees a page that no directory names any more, at the end of the batch:
// until then Table.changed and values that Get returned may lead to it. A view may
// read it longer.
func (t *Table) freePage(r pageRef, p []byte) {
	if t.frozen(p) {
		t.limbo = append(t.limbo, r)
		return
	}
	t.retired = append(t.retired, r)
}
