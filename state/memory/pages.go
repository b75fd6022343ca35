package memory

const (
	// pageSize is large enough that pages cost the garbage collector nothing
	// (16 thousand for a GiB) and small enough to be emptied in microseconds.
	pageSize = 64 << 10
	// ownPage is the size from which an entry gets a page of its own, so that
	// at most a quarter of a shared page is lost at its end.
	ownPage = pageSize / 4
	// sparePages are kept for the next growth instead of being given back.
	sparePages = 16
)

// pages allocates room for entries and knows how much of it is dead.
//
// A shared page is filled from its front and never in holes; an entry that
// goes leaves dead bytes until its page is emptied. Within a batch nothing is
// reused, so that stale refs in Store.dirty stay readable.
type pages struct {
	list    []page   // by number; 0 is never used
	current uint32   // the shared page that is being filled
	free    []uint32 // numbers without a page
	retired []uint32 // numbers that become free when the batch ends
	spare   [][]byte // shared pages without a number
	live    int      // bytes of live entries in shared pages
	dead    int      // bytes of dead entries in shared pages
	hand    uint32   // where the search for a page to empty goes on
}

type page struct {
	buf  []byte // nil: the number is not in use
	fill int
	dead int
}

func (p *page) own() bool { return len(p.buf) != pageSize }

func (p *pages) init() {
	p.list = make([]page, 1)
	p.current = p.add(make([]byte, pageSize))
}

// add gives buf a number.
func (p *pages) add(buf []byte) uint32 {
	if n := len(p.free); n > 0 {
		id := p.free[n-1]
		p.free = p.free[:n-1]
		p.list[id] = page{buf: buf}
		return id
	}
	p.list = append(p.list, page{buf: buf})
	return uint32(len(p.list) - 1)
}

// alloc returns the place of size fresh bytes.
func (p *pages) alloc(size int) ref {
	if size >= ownPage {
		if size == pageSize {
			size++ // a length that tells it from a shared page
		}
		id := p.add(make([]byte, size))
		p.list[id].fill = size
		return ref(id) << 32
	}
	pg := &p.list[p.current]
	if pg.fill+size > pageSize {
		p.current = p.add(p.sharedPage())
		pg = &p.list[p.current]
	}
	at := ref(p.current)<<32 | ref(pg.fill)
	pg.fill += size
	p.live += size
	return at
}

func (p *pages) sharedPage() []byte {
	if n := len(p.spare); n > 0 {
		buf := p.spare[n-1]
		p.spare = p.spare[:n-1]
		return buf
	}
	return make([]byte, pageSize)
}

// release says that the size bytes at at are dead. The caller has marked the entry.
func (p *pages) release(at ref, size int) {
	id := uint32(at >> 32)
	pg := &p.list[id]
	if pg.own() {
		*pg = page{}
		p.retired = append(p.retired, id)
		return
	}
	pg.dead += size
	p.live -= size
	p.dead += size
}

// entry returns the entry at at, which must be one.
func (p *pages) entry(at ref) entry { return entry(p.list[at>>32].buf[uint32(at):]) }

// lookup is entry for a ref that may be stale.
func (p *pages) lookup(at ref) (entry, bool) {
	if p.list[at>>32].buf == nil {
		return nil, false
	}
	return p.entry(at), true
}

// all visits the entries that are not dead.
func (p *pages) all(yield func(ref, entry) bool) {
	for id := range p.list {
		if !p.each(uint32(id), yield) {
			return
		}
	}
}

func (p *pages) each(id uint32, yield func(ref, entry) bool) bool {
	for off := 0; off < p.list[id].fill; {
		e := entry(p.list[id].buf[off:])
		size := e.size()
		if !e.has(flagDead) && !yield(ref(id)<<32|ref(off), e) {
			return false
		}
		off += size
		if p.list[id].own() {
			break
		}
	}
	return true
}

// endBatch makes what was freed during the batch usable again.
func (p *pages) endBatch() {
	p.free = append(p.free, p.retired...)
	p.retired = p.retired[:0]
}

// wasteMin is how many dead bytes are left alone: a store with little state
// would otherwise copy it at every batch.
const wasteMin = 1 << 20

// wasteful reports whether so much is dead that a page should be emptied: by
// two pages more than is alive, so that there is one to empty.
func (p *pages) wasteful() bool { return p.dead > p.live+2*pageSize && p.dead > wasteMin }

// victim returns a shared page that is at least half dead. There is one
// whenever wasteful holds, but for the page that is being filled.
func (p *pages) victim() (id uint32, ok bool) {
	for range p.list {
		if p.hand++; int(p.hand) >= len(p.list) {
			p.hand = 0
		}
		pg := &p.list[p.hand]
		if pg.buf != nil && p.hand != p.current && !pg.own() && pg.dead*2 >= pg.fill {
			return p.hand, true
		}
	}
	return 0, false
}

// drop gives back a shared page all of whose entries are dead.
func (p *pages) drop(id uint32) {
	pg := &p.list[id]
	p.dead -= pg.dead
	if len(p.spare) < sparePages {
		p.spare = append(p.spare, pg.buf)
	}
	*pg = page{}
	p.free = append(p.free, id)
}
