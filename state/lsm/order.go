package lsm

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/cairnstream/cairn/state/table"
)

// order knows, for a state that is scanned, which sub-keys of a key are unwritten:
// Pebble has the others in order. It is a superset: what was written meanwhile is
// found out and dropped when the key is scanned.
type order struct {
	keys map[string]*subs
	n    int // sub-keys
}

// subs are sub-keys of one key, each after its length.
type subs struct{ data []byte }

// orderMax is how many unwritten sub-keys are remembered. When there are more, those
// that are gone are forgotten, and if most are not, they are written back.
const orderMax = 1 << 16

// orderOf collects what is unwritten in the table.
func orderOf(t *table.Table) *order {
	o := &order{keys: map[string]*subs{}}
	for r := range t.All {
		if e := t.Item(r); e.Flags&unwritten != 0 {
			o.add(e.Key, e.Sub)
		}
	}
	return o
}

func (o *order) add(key, sub []byte) {
	list := o.keys[string(key)]
	if list == nil {
		list = &subs{}
		o.keys[string(key)] = list
	}
	list.data = append(binary.AppendUvarint(list.data, uint64(len(sub))), sub...)
	o.n++
}

// of appends the unwritten sub-keys of a key to dst, in order, each once. They
// point into the order's memory.
func (o *order) of(dst [][]byte, t *table.Table, k *table.Key) [][]byte {
	list := o.keys[string(k.Bytes)]
	if list == nil {
		return dst
	}
	n := 0
	for sub := range list.all {
		n++
		if r, ok := t.Find(k, sub); ok && t.Flags(r)&unwritten != 0 {
			dst = append(dst, sub)
		}
	}
	slices.SortFunc(dst, bytes.Compare)
	dst = slices.CompactFunc(dst, bytes.Equal)
	if n > 2*len(dst) { // most have been written
		o.n -= n
		delete(o.keys, string(k.Bytes))
		for _, sub := range dst {
			o.add(k.Bytes, sub)
		}
	}
	return dst
}

func (s *subs) all(yield func([]byte) bool) {
	for data := s.data; len(data) > 0; {
		n, size := binary.Uvarint(data)
		data = data[size:]
		if !yield(data[:n:n]) {
			return
		}
		data = data[n:]
	}
}

// clear forgets all: everything is written.
func (o *order) clear() {
	clear(o.keys)
	o.n = 0
}
