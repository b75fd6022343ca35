package state

import (
	"encoding/binary"
	"fmt"

	"github.com/cairnstream/cairn/codec"
)

// List is a list of values per key: Flink's ListState. Each element is an entry of
// its own, found by its number, so that appending costs the same however long the
// list is. A second state, the name with ".end", holds the next number. Its
// methods are about the key that the store was last set to. One goroutine uses it.
type List[T any] struct {
	slot slot[T]
	end  *Value[uint64]
	space

	sub []byte // scratch: the namespace and a number
}

// NewList registers a list state with the store, or finds it there after a restore.
// Elements of another T are converted; ErrIncompatible if they can't be.
func NewList[T any](s Store, name string, opts ...Option) (*List[T], error) {
	numbers, err := codec.Ordered[uint64]()
	if err != nil {
		return nil, fmt.Errorf("list state %q: %w", name, err)
	}
	o := collect(opts)
	v, err := newSlot[T](s, name, "list", partOf(numbers), &o)
	if err != nil {
		return nil, err
	}
	end, err := newValue[uint64](s, name+".end", "list end", opts)
	if err != nil {
		return nil, err
	}
	return &List[T]{slot: v, end: end, space: o.space(name)}, nil
}

// In chooses the namespace; see Value.In.
func (l *List[T]) In(namespace []byte) {
	l.space.In(namespace)
	l.end.In(namespace)
}

// Append adds v behind the others.
func (l *List[T]) Append(v T) error {
	var number uint64
	err := l.end.Update(func(n *uint64, _ bool) {
		number = *n
		*n++
	})
	if err != nil {
		return err
	}
	l.sub = binary.BigEndian.AppendUint64(append(l.sub[:0], l.ns...), number)
	return l.slot.put(l.sub, v)
}

// Range calls f for the elements in order until it returns false. f must not use
// the store.
func (l *List[T]) Range(f func(v T) bool) error {
	if err := l.slot.scan(l.ns, func(_ []byte, v T) (bool, error) { return f(v), nil }); err != nil {
		return err
	}
	if !l.slot.ttl.OnRead {
		return nil
	}
	// Its end must not expire before an element: the next would get its number.
	_, _, err := l.end.Get()
	return err
}

// All returns the elements in order.
func (l *List[T]) All() (all []T, err error) {
	err = l.Range(func(v T) bool { all = append(all, v); return true })
	return all, err
}

// Replace makes values the whole list.
func (l *List[T]) Replace(values []T) error {
	l.Clear()
	for _, v := range values {
		if err := l.Append(v); err != nil {
			return err
		}
	}
	return nil
}

// Len counts the elements; it visits them all.
func (l *List[T]) Len() int { return l.slot.count(l.ns) }

// Clear removes all elements.
func (l *List[T]) Clear() {
	l.slot.clear(l.ns)
	l.end.Clear()
}
