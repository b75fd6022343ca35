package memory

import (
	"encoding/binary"
	"slices"

	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/table"
)

// entryHead is the most that an entry's encoding has besides its bytes.
const entryHead = 5 * binary.MaxVarintLen64

// appendEntry is state.AppendEntry, for the hot path: it looks once whether there is
// room, and most of the numbers are small.
func appendEntry(dst []byte, h state.Handle, e *table.Item) []byte {
	size := entryHead + len(e.Key) + len(e.Sub) + len(e.Value)
	if cap(dst)-len(dst) < size {
		dst = slices.Grow(dst, size)
	}
	n := len(dst)
	b := dst[:cap(dst)]
	if e.Flags&deleted != 0 {
		n += binary.PutUvarint(b[n:], uint64(h)<<1|1)
	} else {
		n += putSmall(b[n:], uint64(h)<<1)
	}
	n += putSmall(b[n:], uint64(e.Group))
	n += putBytes(b[n:], e.Key)
	n += putBytes(b[n:], e.Sub)
	if e.Flags&deleted == 0 {
		n += putBytes(b[n:], e.Value)
	}
	return b[:n]
}

// putSmall is binary.PutUvarint without a loop for up to two bytes.
func putSmall(b []byte, x uint64) int {
	if x < 1<<7 {
		b[0] = byte(x)
		return 1
	}
	if x < 1<<14 {
		b[0], b[1] = byte(x)|0x80, byte(x>>7)
		return 2
	}
	return binary.PutUvarint(b, x)
}

func putBytes(b, from []byte) int {
	n := putSmall(b, uint64(len(from)))
	return n + copy(b[n:], from)
}
