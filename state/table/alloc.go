package table

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"unsafe"
)

// pageRef is the place of a page; 0 is none:
//
//	bits 0..3   class: the page has 128<<class bytes
//	     4..13  unit of 256 bytes within the chunk
//	    14..31  chunk
type pageRef uint32

const (
	unitSize    = 256
	classMax    = 5 // 4 KiB
	blockSize   = 4 << 10
	blockUnits  = blockSize / unitSize
	chunkBlocks = 64 // 256 KiB: few objects for the garbage collector
	chunkMax    = 1 << 18
)

func classSize(class int) int { return unitSize / 2 << (class & 7) }

func (r pageRef) class() int { return int(r & 15) }

func makeRef(chunk, unit, class int) pageRef { return pageRef(chunk<<14 | unit<<4 | class) }

// alloc gives pages out of chunks. A chunk is divided into blocks of 4 KiB, and a
// block is a page or is divided into smaller pages of one class. A block whose
// pages are all free can become another class; a chunk whose blocks are all free
// goes back to Go.
//
// Invariant: a page is part of exactly one of: a directory, the pages that wait to
// be freed (Table.retired, Table.limbo), and the free bits here.
//
// bufs is only ever appended to, or has an element set to nil; loads of several
// groups at once read it while one of them appends.
type alloc struct {
	bufs atomic.Pointer[[][]byte] // by chunk

	mu      sync.Mutex
	chunks  []chunk
	open    []uint64           // bit per chunk: it has free blocks
	partial [classMax][]uint32 // blocks with free pages, by class; may name others too
	unused  []int              // chunk numbers without memory
	bytes   int64
	region  []byte // memory for the next chunks
}

type chunk struct {
	blocks int
	free   uint64 // blocks
	block  [chunkBlocks]block
}

// block is 4 KiB that are divided into pages of a class; 0 is not divided.
type block struct {
	class  uint8
	listed uint8  // bit per class: in alloc.partial
	free   uint16 // pages
}

func (a *alloc) init() {
	bufs := make([][]byte, 0, 8)
	a.bufs.Store(&bufs)
}

// page returns the bytes of a page.
func (a *alloc) page(r pageRef) []byte {
	chunk := (*a.bufs.Load())[r>>14]
	at := int(r>>4&1023) * unitSize
	size := classSize(int(r & 15))
	return chunk[at : at+size : at+size]
}

// get returns a page of a class. Its bytes are anything.
func (a *alloc) get(class int) pageRef {
	a.mu.Lock()
	defer a.mu.Unlock()
	if class == classMax {
		c, b := a.getBlock()
		return makeRef(c, b*blockUnits, class)
	}
	list := &a.partial[class]
	for len(*list) > 0 {
		at := (*list)[len(*list)-1]
		b := &a.chunks[at/chunkBlocks].block[at%chunkBlocks]
		if int(b.class) == class && b.free != 0 {
			return a.take(at, b)
		}
		b.listed &^= 1 << class
		*list = (*list)[:len(*list)-1]
	}
	c, i := a.getBlock()
	b := &a.chunks[c].block[i]
	b.class, b.free = uint8(class), pagesOf(class)
	a.list(uint32(c*chunkBlocks+i), b)
	return a.take(uint32(c*chunkBlocks+i), b)
}

// getPages returns n pages of the largest class. Their bytes are anything.
func (a *alloc) getPages(n int) []pageRef {
	pages := make([]pageRef, n)
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range pages {
		c, b := a.getBlock()
		pages[i] = makeRef(c, b*blockUnits, classMax)
	}
	return pages
}

// pagesOf is the free bits of a block whose pages are all free.
func pagesOf(class int) uint16 { return uint16(1<<(blockSize/classSize(class)) - 1) }

// take takes a free page of a divided block.
func (a *alloc) take(at uint32, b *block) pageRef {
	i := bits.TrailingZeros16(b.free)
	b.free &^= 1 << i
	class := int(b.class)
	unit := int(at%chunkBlocks)*blockUnits + i*(classSize(class)/unitSize)
	return makeRef(int(at/chunkBlocks), unit, class)
}

// list puts a block with free pages on its class's list.
func (a *alloc) list(at uint32, b *block) {
	if bit := uint8(1) << b.class; b.listed&bit == 0 {
		b.listed |= bit
		a.partial[b.class] = append(a.partial[b.class], at)
	}
}

// getBlock takes the first free block, so that what is in use stays together, at the
// front, and chunks at the end become free.
func (a *alloc) getBlock() (c, b int) {
	for i, word := range a.open {
		if word == 0 {
			continue
		}
		c = i*64 + bits.TrailingZeros64(word)
		ch := &a.chunks[c]
		b = bits.TrailingZeros64(ch.free)
		if ch.free &^= 1 << b; ch.free == 0 {
			a.open[i] &^= 1 << (c % 64)
		}
		return c, b
	}
	a.addChunk()
	return a.getBlock()
}

// addChunk adds memory. The first chunks are small.
func (a *alloc) addChunk() {
	c := len(a.chunks)
	if n := len(a.unused); n > 0 {
		c, a.unused = a.unused[n-1], a.unused[:n-1]
	} else {
		if c == chunkMax {
			panic("state table: more than 64 GiB of slots in one state of one subtask: use the lsm backend or a higher parallelism")
		}
		if a.chunks = append(a.chunks, chunk{}); c%64 == 0 {
			a.open = append(a.open, 0)
		}
	}
	blocks := min(chunkBlocks, 4<<min(c, 8))
	buf := a.memory(blocks * blockSize)
	a.bytes += int64(len(buf))
	a.setBuf(c, buf)
	ch := &a.chunks[c]
	ch.blocks, ch.free = blocks, allBlocks(blocks)
	a.open[c/64] |= 1 << (c % 64)
}

const (
	// hugeFrom is how much a table has before it takes memory by regions: a huge
	// page is 2 MiB, which is much for a small table.
	hugeFrom = 8 << 20
	// hugePage is the size of a huge page on amd64 and arm64.
	hugePage = 2 << 20
	// regionSize is a compromise between the huge page that alignment wastes in
	// addresses, though not in memory, and what a single chunk in use keeps from being given back:
	// Footprint counts chunks, so it may be less than the memory in use by so much per region.
	regionSize = 8 << 20
)

// memory returns size zero bytes.
func (a *alloc) memory(size int) []byte {
	if a.bytes < hugeFrom || size != chunkBlocks*blockSize {
		return make([]byte, size)
	}
	if len(a.region) == 0 {
		b := make([]byte, regionSize+hugePage)
		skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (hugePage - 1))
		a.region = b[skip : skip+regionSize : skip+regionSize]
		advise(a.region)
	}
	buf := a.region[:size:size]
	a.region = a.region[size:]
	return buf
}

// setBuf sets the memory of a chunk, for readers of bufs at the same time.
func (a *alloc) setBuf(c int, buf []byte) {
	bufs := *a.bufs.Load()
	if c == len(bufs) {
		bufs = append(bufs, buf)
	} else {
		bufs = append([][]byte(nil), bufs...)
		bufs[c] = buf
	}
	a.bufs.Store(&bufs)
}

func allBlocks(n int) uint64 { return 1<<n - 1 } // for n = 64 too

// put frees a page.
func (a *alloc) put(r pageRef) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, unit := int(r>>14), int(r>>4&1023)
	i := unit / blockUnits
	b := &a.chunks[c].block[i]
	if r.class() < classMax {
		b.free |= 1 << (unit % blockUnits / (classSize(r.class()) / unitSize))
		if b.free != pagesOf(r.class()) {
			a.list(uint32(c*chunkBlocks+i), b)
			return
		}
		b.class, b.free = 0, 0
	}
	a.putBlock(c, i)
}

func (a *alloc) putBlock(c, i int) {
	ch := &a.chunks[c]
	ch.free |= 1 << i
	if ch.free == allBlocks(ch.blocks) && a.spare(c) {
		a.bytes -= int64(ch.blocks * blockSize)
		a.setBuf(c, nil)
		ch.free = 0
		a.open[c/64] &^= 1 << (c % 64)
		a.unused = append(a.unused, c)
		return
	}
	a.open[c/64] |= 1 << (c % 64)
}

// spare reports whether another chunk has free blocks, so that one that is
// emptied and filled again does not go back and forth.
func (a *alloc) spare(c int) bool {
	for i, word := range a.open {
		if i == c/64 {
			word &^= 1 << (c % 64)
		}
		if word != 0 {
			return true
		}
	}
	return false
}
