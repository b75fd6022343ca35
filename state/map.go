package state

import (
	"fmt"

	"github.com/cairnstream/cairn/codec"
)

// Map is a map from K to V per key: Flink's MapState, but ordered. Its methods
// are about the key that the store was last set to. One goroutine uses it.
//
// K is encoded by codec.Ordered, so it is a number, a string, an instant, or an
// array or struct of these, and Range visits the entries in K's natural order.
type Map[K, V any] struct {
	slot slot[V]
	keys codec.Codec[K]
	space

	key K      // scratch
	sub []byte // scratch: the namespace and a key
}

// NewMap registers a map state with the store, or finds it there after a restore.
// Values of another V are converted; ErrIncompatible if they can't be. K stays.
func NewMap[K, V any](s Store, name string, opts ...Option) (*Map[K, V], error) {
	keys, err := codec.Ordered[K]()
	if err != nil {
		return nil, fmt.Errorf("map state %q: key: %w", name, err)
	}
	o := collect(opts)
	v, err := newSlot[V](s, name, "map", partOf(keys), &o)
	if err != nil {
		return nil, err
	}
	return &Map[K, V]{slot: v, keys: keys, space: o.space(name)}, nil
}

// Get returns the value of k; ok is false, and v zero, if there is none.
// Bytes that do not decode are ErrCorrupt.
func (m *Map[K, V]) Get(k K) (v V, ok bool, err error) { return m.slot.get(m.encode(k)) }

// Put makes v the value of k.
func (m *Map[K, V]) Put(k K, v V) error { return m.slot.put(m.encode(k), v) }

// Update lets f change the value of k; see Value.Update.
func (m *Map[K, V]) Update(k K, f func(v *V, existed bool)) error {
	return m.slot.update(m.encode(k), f)
}

// UpdateBatch is Update for each record of a batch, of whose keys, and sub-keys made by
// AppendSub, b is the list; see Value.UpdateBatch.
func (m *Map[K, V]) UpdateBatch(b *Batch, f func(i int, v *V, existed bool)) error {
	return m.slot.updateBatch(b, f)
}

// AppendSub appends the sub-key of k, for a Batch.
func (m *Map[K, V]) AppendSub(dst []byte, k K) []byte {
	m.key = k
	return m.keys.Append(append(dst, m.ns...), &m.key)
}

// Delete removes k.
func (m *Map[K, V]) Delete(k K) { m.slot.remove(m.encode(k)) }

// Range calls f for the entries in ascending order of K until it returns false.
// f must not use the store.
func (m *Map[K, V]) Range(f func(k K, v V) bool) error {
	return m.slot.scan(m.ns, func(sub []byte, v V) (bool, error) {
		if err := m.decodeKey(sub); err != nil {
			return false, err
		}
		return f(m.key, v), nil
	})
}

// Len counts the key's entries; it visits them all.
func (m *Map[K, V]) Len() int { return m.slot.count(m.ns) }

// Clear removes all of the key's entries.
func (m *Map[K, V]) Clear() { m.slot.clear(m.ns) }

// Entry is where the value of k lies in the store, for Prefetch: the state's number
// and the sub-key, appended to dst.
func (m *Map[K, V]) Entry(dst []byte, k K) (h Handle, sub []byte) {
	m.key = k
	return m.slot.handle, m.keys.Append(append(dst, m.ns...), &m.key)
}

func (m *Map[K, V]) encode(k K) []byte {
	_, m.sub = m.Entry(m.sub[:0], k)
	return m.sub
}
