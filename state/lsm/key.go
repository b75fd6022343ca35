package lsm

import (
	"encoding/binary"
	"fmt"

	"github.com/cairnstream/cairn/state"
)

// An entry's key in Pebble:
//
//	0  group   uint16, big endian: a file holds few key groups
//	2  handle  uint16, big endian
//	4  uvarint length of key, key
//	   sub     to the end
//
// The length keeps the entries of one key together, in the order of their
// sub-keys.
const keyHeader = 4

// appendPrefix appends what the keys of all entries of a state in a key group
// begin with.
func appendPrefix(dst []byte, group int, h state.Handle) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(group))
	return binary.BigEndian.AppendUint16(dst, uint16(h))
}

// appendKey appends what the keys of all entries of a key begin with; the
// sub-key completes it.
func appendKey(dst []byte, group int, h state.Handle, key []byte) []byte {
	dst = appendPrefix(dst, group, h)
	dst = binary.AppendUvarint(dst, uint64(len(key)))
	return append(dst, key...)
}

// splitKey is the opposite of appendKey with a sub-key. The slices point into b.
func splitKey(b []byte) (group int, h state.Handle, key, sub []byte, err error) {
	if len(b) <= keyHeader {
		return 0, 0, nil, nil, fmt.Errorf("key of %d bytes: %w", len(b), state.ErrCorrupt)
	}
	group = int(binary.BigEndian.Uint16(b))
	h = state.Handle(binary.BigEndian.Uint16(b[2:]))
	n, size := binary.Uvarint(b[keyHeader:])
	rest := b[keyHeader:]
	if size <= 0 || n > uint64(len(rest)-size) {
		return 0, 0, nil, nil, fmt.Errorf("key %x: %w", b, state.ErrCorrupt)
	}
	rest = rest[size:]
	return group, h, rest[:n:n], rest[n:], nil
}

// successor returns the first key after all keys that begin with prefix, in
// dst's memory; nil if there is none.
func successor(dst, prefix []byte) []byte {
	dst = append(dst[:0], prefix...)
	for i := len(dst) - 1; i >= 0; i-- {
		if dst[i]++; dst[i] != 0 {
			return dst[:i+1]
		}
	}
	return nil
}
