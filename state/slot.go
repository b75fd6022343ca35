package state

import (
	"fmt"

	"github.com/cairnstream/cairn/codec"
)

// Unwrap returns the store itself, if s only watches what is registered with it: per
// record, there is no step in between.
func Unwrap(s Store) Store {
	if w, ok := s.(interface{ Unwrap() Store }); ok {
		return w.Unwrap()
	}
	return s
}

// slot reads and writes the values, of type T, of one state of the store's
// current key. The handles are made of it: it knows how a value is encoded, changes
// it in place if it can, and lets it expire.
type slot[T any] struct {
	store  Store
	handle Handle
	label  string         // what errors call the state
	flat   *codec.Flat[T] // nil if values have no fixed size
	codec  codec.Codec[T] // nil if they have
	size   int            // of a stored value, if flat

	// The TTL: front is stampSize with one and 0 without.
	front int
	after int64 // milliseconds
	ttl   TTL
	now   func() int64

	value T      // scratch, so that nothing is allocated per call
	buf   []byte // scratch: an encoding
	batch batchSlot[T]
}

// flatSizeMax is up to which size a value is stored in its fixed form: larger
// types are mostly zeros, which the compact form has in a byte each.
const flatSizeMax = 256

// newSlot registers a state. Sub is the part of the sub-key behind the namespace.
func newSlot[T any](s Store, name, kind string, sub part, o *options) (slot[T], error) {
	label := fmt.Sprintf("%s state %q", kind, name)
	v := slot[T]{store: s, label: label}
	value, err := v.choose()
	if err != nil {
		return v, fmt.Errorf("%s: %w", label, err)
	}
	d := o.define(name, kind, sub, value)
	if v.size = d.ValueSize; o.lifetimes != nil {
		v.front, v.ttl, v.now = stampSize, o.ttl, o.lifetimes.now
		v.after = max(1, o.ttl.After.Milliseconds())
	}
	if v.handle, err = s.Register(d); err != nil {
		return v, err
	}
	v.store = Unwrap(s)
	v.batch.batcher, _ = v.store.(Batcher)
	if o.lifetimes != nil {
		o.lifetimes.add(v.handle, o.ttl.After)
	}
	return v, nil
}

// choose picks the codec.
func (s *slot[T]) choose() (part, error) {
	if flat, err := codec.Fixed[T](); err == nil && flat.Size() <= flatSizeMax {
		s.flat = flat
		return partOf[T](flat), nil
	}
	c, err := codec.For[T]()
	if err != nil {
		return part{}, err
	}
	s.codec = c
	return partOf(c), nil
}

// get returns the value at a sub-key.
func (s *slot[T]) get(sub []byte) (v T, ok bool, err error) {
	b, ok, err := s.store.Get(s.handle, sub)
	if !ok || err != nil {
		return v, false, err
	}
	if s.front > 0 {
		return s.getAlive(sub, b)
	}
	if err := s.decode(b); err != nil {
		return v, false, err
	}
	return s.value, true, nil
}

// getAlive is get for a state with a TTL.
func (s *slot[T]) getAlive(sub, b []byte) (v T, ok bool, err error) {
	alive, err := s.alive(b)
	if err != nil {
		return v, false, err
	}
	if !alive {
		return v, false, s.store.Delete(s.handle, sub)
	}
	size := len(b)
	if err := s.decode(b[s.front:]); err != nil {
		return v, false, err
	}
	v = s.value
	return v, true, s.used(sub, size)
}

// alive tells whether a stored value has not expired.
func (s *slot[T]) alive(b []byte) (bool, error) {
	if s.front == 0 {
		return true, nil
	}
	at, _, ok := Stamp(b)
	if !ok {
		return false, fmt.Errorf("%s: %w: a value of %d bytes without its time", s.label, ErrCorrupt, len(b))
	}
	return s.now()-at < s.after, nil
}

// used notes that the value at a sub-key, size bytes long, was read.
func (s *slot[T]) used(sub []byte, size int) error {
	if !s.ttl.OnRead {
		return nil
	}
	b, _, err := s.store.Update(s.handle, sub, size)
	if err == nil {
		putStamp(b, s.now())
	}
	return err
}

// decode decodes all of b, without its stamp, into s.value.
func (s *slot[T]) decode(b []byte) error {
	var n int
	var err error
	if s.flat != nil {
		n, err = s.flat.Decode(b, &s.value)
	} else {
		n, err = s.codec.Decode(b, &s.value)
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %w", s.label, ErrCorrupt, err)
	}
	if n != len(b) {
		return fmt.Errorf("%s: %w: %d bytes after the value", s.label, ErrCorrupt, len(b)-n)
	}
	return nil
}

// put sets the value at a sub-key.
func (s *slot[T]) put(sub []byte, v T) error {
	s.value = v
	if s.flat == nil {
		return s.putVariable(sub)
	}
	b, _, err := s.store.Update(s.handle, sub, s.size)
	if err != nil {
		return err
	}
	s.stamp(b)
	s.flat.Append(b[s.front:s.front], &s.value)
	return nil
}

// putVariable puts s.value, of no fixed size.
func (s *slot[T]) putVariable(sub []byte) error {
	s.buf = append(s.buf[:0], make([]byte, s.front)...)
	s.stamp(s.buf)
	s.buf = s.codec.Append(s.buf, &s.value)
	return s.store.Put(s.handle, sub, s.buf)
}

// stamp writes the time in front of a value that is being written.
func (s *slot[T]) stamp(b []byte) {
	if s.front > 0 {
		putStamp(b, s.now())
	}
}

// update lets f change the value at a sub-key: where it lies, if it can be. f gets the
// zero value if there was none.
func (s *slot[T]) update(sub []byte, f func(v *T, existed bool)) error {
	if s.flat == nil {
		v, ok, err := s.get(sub)
		if err != nil {
			return err
		}
		s.value = v
		f(&s.value, ok)
		return s.putVariable(sub)
	}
	b, existed, err := s.store.Update(s.handle, sub, s.size)
	if err != nil {
		return err
	}
	return s.updateFound(b, existed, f)
}

// updateFound lets f change the value whose place in the store is b.
func (s *slot[T]) updateFound(b []byte, existed bool, f func(v *T, existed bool)) (err error) {
	if s.front > 0 && existed {
		if existed, err = s.alive(b); err != nil {
			return err
		}
		if !existed {
			clear(b)
		}
	}
	s.stamp(b)
	return s.updateFlat(b[s.front:], existed, f)
}

// updateFlat lets f change the value that b is.
func (s *slot[T]) updateFlat(b []byte, existed bool, f func(v *T, existed bool)) error {
	if v, ok := s.flat.View(b); ok {
		f(v, existed)
		return nil
	}
	if err := s.decode(b); err != nil {
		return err
	}
	f(&s.value, existed)
	s.flat.Append(b[:0], &s.value)
	return nil
}

// remove removes the value at a sub-key. EndBatch tells of an error.
func (s *slot[T]) remove(sub []byte) { _ = s.store.Delete(s.handle, sub) }
