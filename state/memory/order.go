package memory

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/cairnstream/cairn/state"
)

// A state that is scanned keeps its sub-keys in order: for each key there is
// one more entry, of the state's handle with orderBit set, whose value is an
// array of refs in ascending order of the sub-keys that they lead to. It is
// made by the state's first Scan and kept up from then on, so that states
// which are never scanned pay nothing. A new sub-key moves the refs behind it,
// 8 bytes each: some microseconds for 10,000 sub-keys of one key.

// orderBit makes a state's handle that of its sorted arrays.
const orderBit = handlesMax

const refSize = 8

// order is an array of refs.
type order []byte

func (o order) len() int          { return len(o) / refSize }
func (o order) at(i int) ref      { return ref(binary.LittleEndian.Uint64(o[i*refSize:])) }
func (o order) put(i int, at ref) { binary.LittleEndian.PutUint64(o[i*refSize:], uint64(at)) }

// search returns where sub is in o, or where it would be.
func (s *Store) search(o order, sub []byte) int {
	lo, hi := 0, o.len()
	if hi > 0 && bytes.Compare(s.pages.entry(o.at(hi-1)).sub(), sub) < 0 {
		return hi // in ascending order, as they often come
	}
	for lo < hi {
		mid := (lo + hi) / 2
		if bytes.Compare(s.pages.entry(o.at(mid)).sub(), sub) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// Scan implements state.Store.
func (s *Store) Scan(h state.Handle, f func(sub, value []byte) bool) error {
	if !s.states[h].ordered {
		s.startOrder(h)
	}
	i, ok := s.find(h|orderBit, s.hash(h|orderBit, nil), s.key, nil)
	if !ok {
		return nil
	}
	o := order(s.pages.entry(s.table.slots[i].at).value())
	for i := range o.len() {
		if e := s.pages.entry(o.at(i)); !f(e.sub(), e.value()) {
			return nil
		}
	}
	return nil
}

// startOrder makes the sorted arrays of a state.
func (s *Store) startOrder(h state.Handle) {
	s.states[h].ordered = true
	var places []ref
	for at, e := range s.live {
		if e.handle() == h {
			places = append(places, at)
		}
	}
	slices.SortFunc(places, func(a, b ref) int { // so that each add is at an end
		return bytes.Compare(s.pages.entry(a).sub(), s.pages.entry(b).sub())
	})
	for _, at := range places {
		s.orderAdd(at)
	}
}

// orderSlot returns the slot of the sorted array that the entry belongs in;
// ok is false if there is none.
func (s *Store) orderSlot(e entry) (slot int, ok bool) {
	h := e.handle() | orderBit
	return s.find(h, s.hashOf(h, s.keyHashOf(e), nil), e.key(), nil)
}

func (s *Store) isOrdered(e entry) bool {
	return e.handle() < handlesMax && s.states[e.handle()].ordered
}

// orderAdd puts a live entry into its sorted array, if its state has them.
func (s *Store) orderAdd(at ref) {
	e := s.pages.entry(at)
	if !s.isOrdered(e) {
		return
	}
	i, ok := s.orderSlot(e)
	if !ok {
		s.newOrder(at)
		return
	}
	o := order(s.pages.entry(s.table.slots[i].at).value())
	n, pos := o.len(), s.search(o, e.sub())
	o = order(s.pages.entry(s.resize(i, (n+1)*refSize)).value())
	copy(o[(pos+1)*refSize:], o[pos*refSize:n*refSize])
	o.put(pos, at)
}

// newOrder makes the sorted array of a key's first entry.
func (s *Store) newOrder(at ref) {
	e := s.pages.entry(at)
	h := e.handle() | orderBit
	keyHash := s.keyHashOf(e)
	group, key := s.group, s.key
	s.group, s.key = e.group(), e.key()
	first := make(order, refSize)
	first.put(0, at)
	hash := s.hashOf(h, keyHash, nil)
	s.table.insert(slot{hash: hash, at: s.newEntry(h, hash, nil, first)})
	s.group, s.key = group, key
}

// orderRemove takes an entry out of its sorted array. The last one takes the
// array with it.
func (s *Store) orderRemove(at ref) {
	e := s.pages.entry(at)
	if !s.isOrdered(e) {
		return
	}
	i, _ := s.orderSlot(e)
	array := s.table.slots[i].at
	o := order(s.pages.entry(array).value())
	if o.len() == 1 {
		s.remove(array)
		return
	}
	pos := s.search(o, e.sub())
	copy(o[pos*refSize:], o[(pos+1)*refSize:])
	s.resize(i, len(o)-refSize)
}

// orderMoved says that an entry is at another place.
func (s *Store) orderMoved(from, to ref) {
	e := s.pages.entry(to)
	if !s.isOrdered(e) {
		return
	}
	i, ok := s.orderSlot(e)
	if !ok {
		return // it comes back after a Delete, and is added later
	}
	o := order(s.pages.entry(s.table.slots[i].at).value())
	if pos := s.search(o, e.sub()); pos < o.len() && o.at(pos) == from {
		o.put(pos, to)
	}
}
