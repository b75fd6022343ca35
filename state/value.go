package state

import (
	"fmt"
)

// Value is one value of type T per key: Flink's ValueState. Its methods are
// about the key that the store was last set to. One goroutine uses it.
type Value[T any] struct {
	slot slot[T]
	space
}

// NewValue registers a value state with the store, or finds it there after a
// restore. Entries of another T are converted; ErrIncompatible if they can't be.
func NewValue[T any](s Store, name string, opts ...Option) (*Value[T], error) {
	return newValue[T](s, name, "value", opts)
}

func newValue[T any](s Store, name, kind string, opts []Option) (*Value[T], error) {
	o := collect(opts)
	v, err := newSlot[T](s, name, kind, part{}, &o)
	if err != nil {
		return nil, err
	}
	return &Value[T]{slot: v, space: o.space(name)}, nil
}

// Get returns the key's value; ok is false, and v zero, if it has none. v
// shares no memory with the store. Bytes that do not decode are ErrCorrupt.
func (s *Value[T]) Get() (v T, ok bool, err error) { return s.slot.get(s.ns) }

// Set makes v the key's value.
func (s *Value[T]) Set(v T) error { return s.slot.put(s.ns, v) }

// Update lets f change the key's value; existed is false, and *v zero, if it has
// none yet. It is the fastest way to change a value: one of fixed size is changed
// where it lies. f must neither keep v nor use any state.
func (s *Value[T]) Update(f func(v *T, existed bool)) error { return s.slot.update(s.ns, f) }

// UpdateBatch is Update for each record of a batch, of whose keys b is the list: f is called
// with the record's place in it. It costs half as much as setting the key and
// updating one by one. f must not use any state. The current key is undefined afterwards.
func (s *Value[T]) UpdateBatch(b *Batch, f func(i int, v *T, existed bool)) error {
	return s.slot.updateBatch(b, f)
}

// Clear removes the key's value.
func (s *Value[T]) Clear() { s.slot.remove(s.ns) }

// Handle is the state's number in the store, for Prefetch.
func (s *Value[T]) Handle() Handle { return s.slot.handle }

// space is the namespace that a handle is in.
type space struct {
	ns   []byte
	size int // of namespaces, or Variable; 0 without
	name string
}

func (o *options) space(name string) space { return space{size: o.namespace.size, name: name} }

// In chooses the namespace that the following calls are about, by its encoding; see
// Namespaced. It keeps a copy. A state without namespaces has none but the empty one.
func (s *space) In(namespace []byte) {
	if s.size != Variable && len(namespace) != s.size {
		panic(fmt.Sprintf("state %q: a namespace of %d bytes: want %d", s.name, len(namespace), s.size))
	}
	s.ns = append(s.ns[:0], namespace...)
}
