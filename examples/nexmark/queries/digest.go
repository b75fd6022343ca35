package queries

import "math/bits"

// Digest stands for a row where only the right answer matters and not its text: the
// sum of the digests of all rows, in any order, tells whether they are those that they
// should be.
type Digest struct {
	// Sum is a hash of the row, for sums modulo 2^64.
	Sum uint64
	// Key and Version are of queries whose rows replace each other: of the rows with
	// the same Key only that with the highest Version counts. Version is 0 where
	// every row counts.
	Key, Version int64
}

// Row is a row of a query's result.
type Row interface{ Digest() Digest }

// hash is a hash of some values: not a strong one, but one that costs next to nothing
// beside making them. The products do not wait for each other; mixed does the mixing.
type hash uint64

// odd is 2^64 over the golden ratio.
const odd = 0x9E3779B97F4A7C15

func (h hash) int(v int64) hash {
	return hash(bits.RotateLeft64(uint64(h), 23) ^ uint64(v)*odd)
}

func (h hash) string(s string) hash {
	h = h.int(int64(len(s)))
	if len(s) < 8 {
		for i := range len(s) {
			h = h.int(int64(s[i]))
		}
		return h
	}
	for i := 0; i+8 <= len(s); i += 8 {
		h = h.int(word(s[i:]))
	}
	return h.int(word(s[len(s)-8:]))
}

func (h hash) mixed() uint64 {
	z := (uint64(h) ^ uint64(h)>>32) * odd
	return z ^ z>>29
}

// word is the first eight bytes of s. The compiler makes one load of it.
func word(s string) int64 {
	_ = s[7]
	return int64(uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56)
}

// once is the digest of a row that counts.
func (h hash) once() Digest { return Digest{Sum: h.mixed()} }
