package stream

import (
	"cmp"

	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/state"
)

// shelf is a buffer whose buckets are named by the event time at which they begin, and
// are removed when the watermark has no more use for them. It knows which keys have
// something in which bucket, so that no key needs a timer.
//
// Invariant: the roster has each bucket of each key once.
type shelf[T any] struct {
	*buffer[T]
	roster roster

	store  state.Store
	misses state.Prefetcher // the store, if a miss is dear; else nil
	wanted wanted
}

// newShelf registers a shelf's states with the store, or finds them there.
func newShelf[T any](ctx *engine.OpContext, name string) (*shelf[T], error) {
	b, err := newBuffer[T](ctx.Store, name)
	if err != nil {
		return nil, err
	}
	s := &shelf[T]{buffer: b, store: state.Unwrap(ctx.Store)}
	s.misses, _ = s.store.(state.Prefetcher)
	return s, b.extents.AllKeys(func(group int, key []byte, bucket int64) error {
		s.roster.add(bucket, group, key)
		return nil
	})
}

// add puts a record of the current key into a bucket.
func (s *shelf[T]) add(bucket int64, v T) error {
	first, err := s.buffer.add(bucket, v)
	if first {
		group, key := s.store.Key()
		s.roster.add(bucket, group, key)
	}
	return err
}

// each calls f for the keys that have something in a bucket, with the store set to the
// key. A store in which a miss is dear is told ahead of the bucket's extents, and of what
// also tells it of.
func (s *shelf[T]) each(bucket *keyList, also func(w *wanted, group int, key []byte), f func(group int) error) error {
	for at, told := 0, 0; at < len(bucket.bytes); {
		if at >= told {
			var err error
			if told, err = s.tell(bucket, at, also); err != nil {
				return err
			}
		}
		group, key, next := bucket.next(at)
		s.store.SetKey(group, key)
		if err := f(group); err != nil {
			return err
		}
		at = next
	}
	return nil
}

// tell prefetches what each will use of a bucket's next keys, and returns how far.
func (s *shelf[T]) tell(bucket *keyList, at int, also func(w *wanted, group int, key []byte)) (told int, err error) {
	if s.misses == nil || !s.misses.Ahead() {
		return len(bucket.bytes), nil
	}
	s.wanted.reset()
	for n := 0; n < timersAtOnce && at < len(bucket.bytes); n++ {
		group, key, next := bucket.next(at)
		s.want(&s.wanted, group, key, bucket.start)
		also(&s.wanted, group, key)
		at = next
	}
	return at, s.misses.Prefetch(s.wanted.entries)
}

// nothingElse is for each, if there is nothing to tell of.
func nothingElse(*wanted, int, []byte) {}

// dropWhile removes the earliest buckets, of all keys, for as long as done says so.
func (s *shelf[T]) dropWhile(done func(bucket int64) bool) error {
	n := 0
	for _, bucket := range s.roster.slices {
		if !done(bucket.start) {
			break
		}
		n++
		if err := s.each(bucket, nothingElse, func(int) error { return s.drop(bucket.start) }); err != nil {
			return err
		}
	}
	if n > 0 {
		s.roster.drop(n)
	}
	return nil
}

// shelves are those of the two inputs of a join.
type shelves[A, B any] struct {
	first  *shelf[A]
	second *shelf[B]
}

// newShelves registers them with the store.
func newShelves[A, B any](ctx *engine.OpContext) (shelves[A, B], error) {
	first, errFirst := newShelf[A](ctx, "first")
	second, errSecond := newShelf[B](ctx, "second")
	return shelves[A, B]{first, second}, cmp.Or(errFirst, errSecond)
}
