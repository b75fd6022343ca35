package table

// filler puts records into the pages of one group. It keeps the page that it is at: runs
// go from one to the next.
type filler struct {
	t     *Table
	g     *group
	group int
	spare []pageRef // of the largest class, for pages to come

	at   uint64 // page, in the directory
	page []byte
	n    uint32 // its slots
	used uint32 // and how many have entries
}

// fill puts records into the group's pages, as far as these have room, and returns the
// others.
func (f *filler) fill(run Run) (left []byte) {
	t := f.t
	size := run.KeySize + run.SubSize + run.ValueSize
	from := head(run.KeySize)<<40 | head(run.SubSize)<<48 | head(run.ValueSize)<<56 | used
	subAt := run.KeySize + run.SubSize
	whole := run.KeySize == t.keyCap && run.SubSize == t.subCap // a record is as it will lie in its slot
	for d := run.Data; len(d) >= size; d = d[size:] {
		k := Key{hash: hashBytes(d[:run.KeySize])}
		hash := entryHash(&k, d[run.KeySize:subAt])
		if at := uint64(hash) >> f.g.shift; at != f.at || f.page == nil {
			f.turn(at)
		}
		if f.used >= fillLimit(f.n) {
			left = append(left, d[:size]...)
			continue
		}
		slot := f.page[t.slotAt(t.freeSlot(f.page, f.n, hash)):]
		putU64(slot, 0, uint64(from|head(hash)))
		if f.used++; whole {
			copy(slot[keyOff:], d[:size])
			continue
		}
		copy(slot[t.valOff:], d[subAt:size])
		copy(slot[keyOff:], d[:run.KeySize])
		copy(slot[t.subOff:], d[run.KeySize:subAt])
	}
	f.leave()
	for _, r := range f.spare {
		t.alloc.put(r)
	}
	return left
}

// fillLimit is how many entries a load puts into a page of n slots. It is more than limit:
// few pages get so many, and the next entry after the load divides those.
func fillLimit(n uint32) uint32 { return n - n/16 }

// turn goes to another page of the group, and makes it if there is none.
func (f *filler) turn(at uint64) {
	f.leave()
	r := f.g.dir[at]
	if r == 0 {
		r = f.take()
		f.g.dir[at] = r
		f.t.initPage(r, f.group, f.g.depth())
	}
	f.at, f.page, f.n = at, f.t.alloc.page(r), f.t.slots[r.class()]
	f.used = pageUsed(f.page)
}

// leave notes in the page how many entries it has.
func (f *filler) leave() {
	if f.page != nil {
		putU32(f.page, 0, f.used)
	}
}

// take returns a page whose bytes are anything.
func (f *filler) take() pageRef {
	n := len(f.spare)
	if n == 0 {
		return f.t.alloc.get(classMax)
	}
	r := f.spare[0]
	f.spare = f.spare[1:]
	return r
}
