package state

import (
	"cmp"
	"fmt"

	"github.com/cairnstream/cairn/codec"
)

// Map is a map from K to V per key: Flink's MapState, but ordered. Its methods
// are about the key that the store was last set to. One goroutine uses it.
//
// K is encoded by codec.Ordered, so it is a number, a string, an instant, or an
// array or struct of these, and Range visits the entries in K's natural order.
type Map[K, V any] struct {
	store  Store
	handle Handle
	name   string
	keys   codec.Codec[K]
	values codec.Codec[V]

	key   K
	value V
	sub   []byte // the last key's encoding
	buf   []byte // the last value's encoding
}

// NewMap registers a map state with the store, or finds it there after a
// restore. A stored state of the same name and other types is an error.
func NewMap[K, V any](s Store, name string) (*Map[K, V], error) {
	keys, err := codec.Ordered[K]()
	if err != nil {
		return nil, fmt.Errorf("map state %q: key: %w", name, err)
	}
	values, err := codec.For[V]()
	if err != nil {
		return nil, fmt.Errorf("map state %q: value: %w", name, err)
	}
	h, err := s.Register(Definition{
		Name: name, Kind: "map", Schema: keys.Schema() + " -> " + values.Schema(), SubSize: Variable, ValueSize: Variable,
	})
	if err != nil {
		return nil, err
	}
	return &Map[K, V]{store: s, handle: h, name: name, keys: keys, values: values}, nil
}

// Get returns the value of k; ok is false, and v zero, if there is none.
// Bytes that do not decode are ErrCorrupt.
func (m *Map[K, V]) Get(k K) (v V, ok bool, err error) {
	b, ok, err := m.store.Get(m.handle, m.encodeKey(k))
	if !ok || err != nil {
		return v, false, err
	}
	if err := decode(m.values, b, &m.value); err != nil {
		return v, false, fmt.Errorf("map state %q: %w", m.name, err)
	}
	return m.value, true, nil
}

// Put makes v the value of k.
func (m *Map[K, V]) Put(k K, v V) error {
	m.value = v
	m.buf = m.values.Append(m.buf[:0], &m.value)
	return m.store.Put(m.handle, m.encodeKey(k), m.buf)
}

// Delete removes k.
func (m *Map[K, V]) Delete(k K) { _ = m.store.Delete(m.handle, m.encodeKey(k)) } // EndBatch tells of an error

// Range calls f for the entries in ascending order of K until it returns false.
// f must not change the store.
func (m *Map[K, V]) Range(f func(k K, v V) bool) error {
	var err error
	scanErr := m.store.Scan(m.handle, func(sub, value []byte) bool {
		var k K
		var v V
		if err = decode(m.keys, sub, &k); err != nil {
			return false
		}
		if err = decode(m.values, value, &v); err != nil {
			return false
		}
		return f(k, v)
	})
	if err = cmp.Or(err, scanErr); err != nil {
		return fmt.Errorf("map state %q: %w", m.name, err)
	}
	return nil
}

// Len counts the key's entries; it visits them all.
func (m *Map[K, V]) Len() int {
	n := 0
	_ = m.store.Scan(m.handle, func(_, _ []byte) bool { n++; return true }) // EndBatch tells of an error
	return n
}

// Clear removes all of the key's entries.
func (m *Map[K, V]) Clear() {
	var subs []byte
	var ends []int
	_ = m.store.Scan(m.handle, func(sub, _ []byte) bool { // EndBatch tells of an error
		subs = append(subs, sub...)
		ends = append(ends, len(subs))
		return true
	})
	from := 0
	for _, to := range ends {
		_ = m.store.Delete(m.handle, subs[from:to])
		from = to
	}
}

func (m *Map[K, V]) encodeKey(k K) []byte {
	m.key = k
	m.sub = m.keys.Append(m.sub[:0], &m.key)
	return m.sub
}
