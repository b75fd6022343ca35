package stream

import (
	"bytes"
	"math/bits"

	"github.com/cairnstream/cairn/dataflow"
)

// keyNumbers gives the keys of slices small numbers, so that a window finds what its
// slices have of a key without hashing it for each. A number is taken back some time
// after the last slice that has it has let go. It holds no Go pointer per key.
type keyNumbers struct {
	all   []numberedKey
	free  []uint32 // numbers that nobody has
	table []uint32 // a hash table of open addressing: a number, plus 1
	shift int      // a hash's upper bits are its place
	used  int      // places of the table, those of keys without users included
	idle  int      // keys without users
	bytes []byte   // the keys
}

type numberedKey struct {
	hash  uint64
	from  uint64 // in bytes
	size  uint32
	group int32
	users uint32
}

// numbersMin is the least size of the table, and how many idle keys are left alone.
const numbersMin = 64

// use returns the number of a key, and counts a user.
func (k *keyNumbers) use(group int, key []byte) uint32 {
	if 2*k.used >= len(k.table) {
		k.rebuild()
	}
	hash := dataflow.KeyHash(key)
	at := int(hash >> k.shift)
	for ; k.table[at] != 0; at = (at + 1) & (len(k.table) - 1) {
		n := k.table[at] - 1
		x := &k.all[n]
		if x.hash != hash || !bytes.Equal(k.key(n), key) {
			continue
		}
		if x.users++; x.users == 1 {
			k.idle--
		}
		return n
	}
	k.used++
	n := k.take()
	k.table[at] = n + 1
	k.all[n] = numberedKey{hash: hash, from: uint64(len(k.bytes)), size: uint32(len(key)), group: int32(group), users: 1}
	k.bytes = append(k.bytes, key...)
	return n
}

// take returns a number that nobody has.
func (k *keyNumbers) take() uint32 {
	if n := len(k.free); n > 0 {
		number := k.free[n-1]
		k.free = k.free[:n-1]
		return number
	}
	k.all = append(k.all, numberedKey{})
	return uint32(len(k.all) - 1)
}

// letGo is the end of a use.
func (k *keyNumbers) letGo(n uint32) {
	if k.all[n].users--; k.all[n].users == 0 {
		k.idle++
	}
}

// key is the key of a number. It is valid until the next use.
func (k *keyNumbers) key(n uint32) []byte {
	x := &k.all[n]
	return k.bytes[x.from : x.from+uint64(x.size)]
}

// rebuild takes the numbers of idle keys back, and makes the table large enough.
func (k *keyNumbers) rebuild() {
	size := numbersMin
	for size < 4*(k.used-k.idle) {
		size *= 2
	}
	if size > len(k.table) || size < len(k.table)/4 {
		k.table = make([]uint32, size)
	} else {
		clear(k.table)
	}
	k.shift = 64 - bits.Len(uint(len(k.table)-1))
	k.used, k.idle = 0, 0
	k.free = k.free[:0]
	kept := make([]byte, 0, len(k.bytes))
	for n := range k.all {
		x := &k.all[n]
		if x.users == 0 {
			k.free = append(k.free, uint32(n))
			continue
		}
		key := k.key(uint32(n))
		x.from = uint64(len(kept))
		kept = append(kept, key...)
		at := int(x.hash >> k.shift)
		for k.table[at] != 0 {
			at = (at + 1) & (len(k.table) - 1)
		}
		k.table[at] = uint32(n) + 1
		k.used++
	}
	k.bytes = kept
}
