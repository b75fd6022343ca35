package table

import (
	"encoding/binary"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// Key is a key, hashed once for all that is done with it.
type Key struct {
	Group int
	Bytes []byte
	hash  uint64
}

// MakeKey keeps key and does not copy it.
func MakeKey(group int, key []byte) Key { return Key{Group: group, Bytes: key, hash: hashBytes(key)} }

// Arbitrary odd numbers with as many ones as zeros. The hash is the same in
// every process, so that an image, which is written in order of hashes, is loaded
// page after page. It may change with any version: it is stored nowhere.
const (
	mixA = 0x9E3779B97F4A7C15
	mixB = 0xD6E8FEB86659FD93
	mixC = 0xA0761D6478BD642F
)

func hashBytes(b []byte) uint64 {
	if len(b) == 8 {
		return mix(binary.LittleEndian.Uint64(b)^mixA, mixB)
	}
	return xxhash.Sum64(b)*mixA ^ mixB
}

// mix folds the 128 bits of a product.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// entryHash is the hash of an entry: its upper bits choose the page, its lower
// ones the slot.
func entryHash(k *Key, sub []byte) uint32 {
	if len(sub) == 0 {
		return uint32(k.hash >> 32)
	}
	return uint32(mix(k.hash^hashBytes(sub), mixC) >> 32)
}
