package table

// The slab holds what is too long for a slot, in records:
//
//	 0  hash   uint32   of the entry, to find its slot
//	 4  what   uint32   group<<1, | 1 for keys
//	 8  a      uint32   keys: length of the key     value: room
//	12  b      uint32   keys: length of the sub-key value: length
//	16  bytes, padded to 8
//
// A shared page is filled from its front and never in holes. What goes leaves dead
// bytes until the page is emptied by moving its live records. A record is live if
// its entry's slot refers to it: nothing is written when one dies, since a view may
// be reading the page.
const (
	recordHead = 16
	// slabPageMax is large enough that pages cost the garbage collector nothing and
	// small enough to be emptied in microseconds; the first are smaller.
	slabPageMax = 64 << 10
	slabPageMin = 4 << 10
	// ownPage is the size from which a record gets a page of its own, so that at
	// most a quarter of a shared page is lost at its end.
	ownPage = slabPageMax / 4
	// sparePages are kept for the next growth instead of being given back.
	sparePages = 4
	// wasteMin is how many dead bytes are left alone: a table with little in
	// its slab would otherwise copy it at every batch.
	wasteMin = 256 << 10
)

// slabPages are the slab's pages by number; 0 is never used.
type slabPages []slabPage

type slabPage struct {
	buf    []byte // nil: the number is not in use
	fill   int
	dead   int
	sealed int  // views read up to here
	own    bool // one record
}

type slab struct {
	pages    slabPages
	current  uint32   // the shared page that is being filled; 0: none
	free     []uint32 // numbers without a page
	spare    [][]byte // shared pages of full size without a number
	live     int      // bytes of live records in shared pages
	dead     int      // bytes of dead records in shared pages
	released int      // bytes that died since the last EndBatch
	size     int64    // of all pages and spare ones
	hand     uint32   // where the search for a page to empty goes on
	sealed   bool     // a view is open: up to slabPage.sealed nothing is written
}

func (s *slab) init() { s.pages = make(slabPages, 1) }

func (s *slab) footprint() int64 { return s.size }

func (s slabPages) record(ref uint64) []byte { return s[ref>>32].buf[uint32(ref):] }

func (s slabPages) keys(ref uint64) (key, sub []byte) {
	b := s.record(ref)
	k := recordHead + int(u32(b, 8))
	end := k + int(u32(b, 12))
	return b[recordHead:k:k], b[k:end:end]
}

func (s slabPages) value(ref uint64) []byte {
	b := s.record(ref)
	end := recordHead + int(u32(b, 12))
	return b[recordHead:end:end]
}

func (s *slab) keys(ref uint64) (key, sub []byte) { return s.pages.keys(ref) }

func (s *slab) room(ref uint64) int         { return int(u32(s.pages.record(ref), 8)) }
func (s *slab) setLen(ref uint64, size int) { putU32(s.pages.record(ref), 12, uint32(size)) }

// writable reports whether no view reads the record.
func (s *slab) writable(ref uint64) bool {
	return !s.sealed || int(uint32(ref)) >= s.pages[ref>>32].sealed
}

// recordSize is the length of the record at the front of b.
func recordSize(b []byte) int {
	n := int(u32(b, 8))
	if u32(b, 4)&1 == 1 {
		n += int(u32(b, 12))
	}
	return recordHead + round8(n)
}

func (s *slab) put(size int, hash uint32, what uint32, a, b int) (uint64, []byte) {
	ref := s.alloc(recordHead + round8(size))
	rec := s.pages.record(ref)
	putU32(rec, 0, hash)
	putU32(rec, 4, what)
	putU32(rec, 8, uint32(a))
	putU32(rec, 12, uint32(b))
	return ref, rec[recordHead : recordHead+size]
}

func (s *slab) putKeys(hash uint32, group int, key, sub []byte) uint64 {
	ref, b := s.put(len(key)+len(sub), hash, uint32(group)<<1|1, len(key), len(sub))
	copy(b[copy(b, key):], sub)
	return ref
}

// newValue makes a zero value with room to grow.
func (s *slab) newValue(hash uint32, group int, size, room int) uint64 {
	ref, b := s.put(room, hash, uint32(group)<<1, room, size)
	clear(b[:size])
	return ref
}

// alloc returns the place of size bytes, which are anything.
func (s *slab) alloc(size int) uint64 {
	if size >= ownPage {
		id := s.add(make([]byte, size))
		s.pages[id].fill, s.pages[id].own = size, true
		return uint64(id) << 32
	}
	if p := &s.pages[s.current]; s.current == 0 || p.fill+size > len(p.buf) {
		s.current = s.add(s.sharedPage(size))
	}
	p := &s.pages[s.current]
	ref := uint64(s.current)<<32 | uint64(p.fill)
	p.fill += size
	s.live += size
	return ref
}

// sharedPage returns a page for records of at least that size, larger the more
// there is.
func (s *slab) sharedPage(size int) []byte {
	if n := len(s.spare); n > 0 {
		buf := s.spare[n-1]
		s.spare = s.spare[:n-1]
		s.size -= int64(len(buf))
		return buf
	}
	n := slabPageMin
	for n < slabPageMax && (n < size || n < s.live) {
		n *= 2
	}
	return make([]byte, n)
}

// add gives buf a number.
func (s *slab) add(buf []byte) uint32 {
	s.size += int64(len(buf))
	if n := len(s.free); n > 0 {
		id := s.free[n-1]
		s.free = s.free[:n-1]
		s.pages[id] = slabPage{buf: buf}
		return id
	}
	s.pages = append(s.pages, slabPage{buf: buf})
	return uint32(len(s.pages) - 1)
}

// release says that a record is dead.
func (s *slab) release(ref uint64) {
	p := &s.pages[ref>>32]
	size := recordSize(p.buf[uint32(ref):])
	s.released += size
	if p.own {
		s.drop(uint32(ref >> 32))
		return
	}
	p.dead += size
	s.live -= size
	s.dead += size
	if p.dead == p.fill && uint32(ref>>32) != s.current {
		s.drop(uint32(ref >> 32))
	}
}

// drop gives back a page without live records. Its bytes stay as they are, for those
// who still read them, unless it becomes a spare one.
func (s *slab) drop(id uint32) {
	p := &s.pages[id]
	s.size -= int64(len(p.buf))
	if !p.own {
		s.dead -= p.dead
		s.live -= p.fill - p.dead
	}
	*p = slabPage{}
	s.free = append(s.free, id)
}
