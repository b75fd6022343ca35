package changelog

// block is some encoded entries, in memory of the log's own.
type block struct {
	data    []byte
	entries int
}

const (
	// ownBytes is from when on a block is kept as it is. Copying a smaller one to
	// the others takes less than a microsecond and saves its memory.
	ownBytes = 16 << 10
	// joinedBytes is how large a block of copies is made.
	joinedBytes = 64 << 10
	// freeBytes bounds the memory of blocks that wait to be filled again: what a
	// second brings at some 10 MB/s.
	freeBytes = 16 << 20
	// freeMin and freeMax are the sizes that are worth keeping.
	freeMin, freeMax = 4 << 10, 1 << 20
)

// keepLocked takes a block of changes over, or a copy if it is small or mostly
// empty, and returns an empty one.
func (l *Log) keepLocked(data []byte, entries int) (next []byte) {
	if len(data) >= ownBytes && len(data) >= cap(data)/2 {
		l.pending = append(l.pending, block{data, entries})
		return l.u.free.get(len(data))
	}
	n := len(l.pending)
	if n == 0 || cap(l.pending[n-1].data)-len(l.pending[n-1].data) < len(data) {
		size := min(max(4*len(data), freeMin), joinedBytes)
		l.pending = append(l.pending, block{data: l.u.free.get(max(size, len(data)))})
		n++
	}
	b := &l.pending[n-1]
	b.data = append(b.data, data...)
	b.entries += entries
	return data[:0]
}

// freelist keeps blocks that have been written out.
type freelist struct {
	blocks [][]byte
	bytes  int
}

// get returns an empty block with room for n bytes.
func (f *freelist) get(n int) []byte {
	last := len(f.blocks) - 1
	if last < 0 || cap(f.blocks[last]) < n {
		return make([]byte, 0, n+n/8)
	}
	b := f.blocks[last]
	f.blocks[last] = nil
	f.blocks = f.blocks[:last]
	f.bytes -= cap(b)
	return b
}

// put keeps the blocks' memory if there is room.
func (f *freelist) put(blocks []block) {
	for _, b := range blocks {
		size := cap(b.data)
		if size < freeMin || size > freeMax || f.bytes+size > freeBytes {
			continue
		}
		f.bytes += size
		f.blocks = append(f.blocks, b.data[:0])
	}
}
