package stream

import (
	"github.com/cairnstream/cairn/state"
)

// buffer keeps records of the current key until an operator has done with them, in
// buckets: of one window, one stretch of time, or all in one. A bucket's records are
// numbered, so that they are added and found without a search, and without the
// sorted order that state.Map.Range would make the store keep: each costs one entry
// written, and an extent changed in place.
//
// Records are read in the order in which they came. One goroutine uses it.
type buffer[T any] struct {
	extents *state.Map[int64, extent] // by bucket
	records *state.Map[numbered, T]

	number uint64                       // what next found
	next   func(e *extent, exists bool) // one function for all calls: making one for each would allocate
}

// extent is which numbers of a bucket are in use. Those before First are gone.
type extent struct{ First, End uint64 }

// empty tells whether the extent holds no record.
func (e extent) empty() bool { return e.First == e.End }

// numbered is where a record is.
type numbered struct {
	Bucket int64
	Number uint64
}

// newBuffer registers a buffer's two states with the store, or finds them there.
func newBuffer[T any](s state.Store, name string, opts ...state.Option) (*buffer[T], error) {
	extents, err := state.NewMap[int64, extent](s, name+".extents", opts...)
	if err != nil {
		return nil, err
	}
	records, err := state.NewMap[numbered, T](s, name, opts...)
	if err != nil {
		return nil, err
	}
	b := &buffer[T]{extents: extents, records: records}
	b.next = func(e *extent, _ bool) { b.number = e.End; e.End++ }
	return b, nil
}

// add puts a record behind the others of a bucket, and tells whether it is the first
// that the bucket ever had.
func (b *buffer[T]) add(bucket int64, v T) (first bool, err error) {
	if err := b.extents.Update(bucket, b.next); err != nil {
		return false, err
	}
	return b.number == 0, b.records.Put(numbered{bucket, b.number}, v)
}

// extent returns which numbers of a bucket may be read.
func (b *buffer[T]) extent(bucket int64) (extent, error) {
	e, _, err := b.extents.Get(bucket)
	return e, err
}

// at returns a record; ok is false if it has expired.
func (b *buffer[T]) at(bucket int64, number uint64) (v T, ok bool, err error) {
	return b.records.Get(numbered{bucket, number})
}

// appendAll appends a bucket's records to dst.
func (b *buffer[T]) appendAll(dst []T, bucket int64) ([]T, error) {
	e, err := b.extent(bucket)
	if err != nil {
		return dst, err
	}
	expired := uint64(0) // at the front: records expire in the order in which they came
	for i := e.First; i < e.End; i++ {
		v, ok, err := b.at(bucket, i)
		if err != nil {
			return dst, err
		}
		if ok {
			dst = append(dst, v)
		} else if i == e.First+expired {
			expired++
		}
	}
	return dst, b.forget(bucket, e, expired)
}

// forget notes that the first so many records of a bucket have expired, so that
// nobody looks for them again.
func (b *buffer[T]) forget(bucket int64, e extent, expired uint64) error {
	if expired == 0 {
		return nil
	}
	e.First += expired
	if e.empty() {
		b.extents.Delete(bucket)
		return nil
	}
	return b.extents.Put(bucket, e)
}

// drop removes a bucket with all its records.
func (b *buffer[T]) drop(bucket int64) error {
	e, err := b.extent(bucket)
	if err != nil || e == (extent{}) {
		return err
	}
	for i := e.First; i < e.End; i++ {
		b.records.Delete(numbered{bucket, i})
	}
	b.extents.Delete(bucket)
	return nil
}

// want tells the store of a bucket's extents, of which a key's record will make use.
func (b *buffer[T]) want(w *wanted, group int, key []byte, bucket int64) {
	from := len(w.bytes)
	var handle state.Handle
	handle, w.bytes = b.extents.Entry(w.bytes, bucket)
	w.add(state.Wanted{Handle: handle, Group: group, Key: key, Sub: w.since(from)})
}
