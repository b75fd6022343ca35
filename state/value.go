package state

import (
	"fmt"

	"github.com/cairnstream/cairn/codec"
)

// Value is one value of type T per key: Flink's ValueState. Its methods are
// about the key that the store was last set to. One goroutine uses it.
type Value[T any] struct {
	store  Store
	handle Handle
	name   string
	codec  codec.Codec[T]

	scratch T      // so that Get and Set do not allocate
	buf     []byte // the last encoding
}

// NewValue registers a value state with the store, or finds it there after a
// restore. A stored state of the same name and another type is an error.
func NewValue[T any](s Store, name string) (*Value[T], error) {
	c, err := codec.For[T]()
	if err != nil {
		return nil, fmt.Errorf("value state %q: %w", name, err)
	}
	h, err := s.Register(Definition{Name: name, Kind: "value", Schema: c.Schema(), ValueSize: Variable})
	if err != nil {
		return nil, err
	}
	return &Value[T]{store: s, handle: h, name: name, codec: c}, nil
}

// Get returns the key's value; ok is false, and v zero, if it has none. v
// shares no memory with the store. Bytes that do not decode are ErrCorrupt.
func (s *Value[T]) Get() (v T, ok bool, err error) {
	b, ok, err := s.store.Get(s.handle, nil)
	if !ok || err != nil {
		return v, false, err
	}
	if err := decode(s.codec, b, &s.scratch); err != nil {
		return v, false, fmt.Errorf("value state %q: %w", s.name, err)
	}
	return s.scratch, true, nil
}

// Set makes v the key's value.
func (s *Value[T]) Set(v T) error {
	s.scratch = v
	s.buf = s.codec.Append(s.buf[:0], &s.scratch)
	return s.store.Put(s.handle, nil, s.buf)
}

// Clear removes the key's value.
func (s *Value[T]) Clear() { _ = s.store.Delete(s.handle, nil) } // EndBatch tells of an error

// decode decodes all of b into v.
func decode[T any](c codec.Codec[T], b []byte, v *T) error {
	n, err := c.Decode(b, v)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if n != len(b) {
		return fmt.Errorf("%w: %d bytes after the value", ErrCorrupt, len(b)-n)
	}
	return nil
}
