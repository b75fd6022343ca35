package stream

import (
	"bytes"
	"math/bits"

	"github.com/cairnstream/cairn/dataflow"
)

// merger collects a window's accumulator of each key while its slices are read, in
// the order in which keys come up first. Its memory is used for the next window.
type merger[Acc any] struct {
	keys  []mergedKey[Acc]
	table []uint32 // a hash table of open addressing: index into keys, plus 1
	shift int      // a hash's upper bits are its place
}

type mergedKey[Acc any] struct {
	key   []byte // in the roster
	hash  uint64
	group int
	acc   Acc
}

func (m *merger[Acc]) reset() {
	clear(m.keys)
	clear(m.table)
	m.keys = m.keys[:0]
}

// add merges acc, of a later slice than those before, into what the key has.
func (m *merger[Acc]) add(group int, key []byte, acc Acc, merge func(a, b Acc) Acc) {
	if 2*len(m.keys) >= len(m.table) {
		m.grow()
	}
	hash := dataflow.KeyHash(key)
	for at := int(hash >> m.shift); ; at = (at + 1) & (len(m.table) - 1) {
		i := m.table[at]
		if i == 0 {
			m.keys = append(m.keys, mergedKey[Acc]{key, hash, group, acc})
			m.table[at] = uint32(len(m.keys))
			return
		}
		if k := &m.keys[i-1]; k.hash == hash && bytes.Equal(k.key, key) {
			k.acc = merge(k.acc, acc)
			return
		}
	}
}

const mergerMin = 64

// grow makes the table twice as large.
func (m *merger[Acc]) grow() {
	m.table = make([]uint32, max(mergerMin, 2*len(m.table)))
	m.shift = 64 - bits.Len(uint(len(m.table)-1))
	for i := range m.keys {
		at := int(m.keys[i].hash >> m.shift)
		for m.table[at] != 0 {
			at = (at + 1) & (len(m.table) - 1)
		}
		m.table[at] = uint32(i + 1)
	}
}
