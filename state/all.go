package state

import (
	"cmp"
	"fmt"
)

// All calls f for the values of all keys, in no particular order, until it returns an
// error, which is returned: for who builds an index beside the store when it opens. f
// must not use the store, and key is valid until it returns. Expired values come too.
func (s *Value[T]) All(f func(group int, key []byte, v T) error) error {
	return s.slot.all(func(group int, key, _ []byte, v T) error { return f(group, key, v) })
}

// All calls f for the entries of all keys, under the rules of Value.All. A map in
// namespaces has no All.
func (m *Map[K, V]) All(f func(group int, key []byte, k K, v V) error) error {
	return m.slot.all(func(group int, key, sub []byte, v V) error {
		if err := m.decodeKey(sub); err != nil {
			return err
		}
		return f(group, key, m.key, v)
	})
}

// AllKeys is All for who does not need the values.
func (m *Map[K, V]) AllKeys(f func(group int, key []byte, k K) error) error {
	var err error
	scanErr := m.slot.store.ScanAll(m.slot.handle, func(group int, key, sub, _ []byte) bool {
		if err = m.decodeKey(sub); err == nil {
			err = f(group, key, m.key)
		}
		return err == nil
	})
	return cmp.Or(err, scanErr)
}

// decodeKey decodes a whole sub-key into m.key.
func (m *Map[K, V]) decodeKey(sub []byte) error {
	n, err := m.keys.Decode(sub, &m.key)
	if err != nil || n != len(sub) {
		return fmt.Errorf("%s: %w: key % x", m.slot.label, ErrCorrupt, sub)
	}
	return nil
}

// all calls f for all values, whatever their key.
func (s *slot[T]) all(f func(group int, key, sub []byte, v T) error) error {
	var err error
	scanErr := s.store.ScanAll(s.handle, func(group int, key, sub, value []byte) bool {
		if len(value) < s.front {
			err = fmt.Errorf("%s: %w: a value of %d bytes without its time", s.label, ErrCorrupt, len(value))
		} else if err = s.decode(value[s.front:]); err == nil {
			err = f(group, key, sub, s.value)
		}
		return err == nil
	})
	return cmp.Or(err, scanErr)
}
