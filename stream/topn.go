package stream

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/cairnstream/cairn/codec"
)

// Ranked is a record that is among the best of its key and window. Its event time is
// End - 1 ms.
type Ranked[K, T any] struct {
	Key        K
	Start, End int64 // of the window, in Unix milliseconds; End does not belong to it
	Rank       int   // 1 is the best
	Value      T
	Pane       Pane // when the window gave it: see On and AllowedLateness
}

// TopN emits the n best records of each key and window of event time when the window
// ends, the best first. State holds n records per key and window, however many come.
//
// better tells whether a is better than b. Records of which neither is better rank by
// their encoding, so that the result does not depend on the order in which they came;
// what should decide belongs into better. It needs a UID, and takes what Window takes.
//
//	byCity := stream.KeyBy(sales, func(s Sale) string { return s.City })
//	best := stream.TopN(byCity, "best", 3, stream.Tumbling(time.Hour),
//		func(a, b Sale) bool { return a.Price > b.Price }, stream.UID("best"))
func TopN[K, T any](k Keyed[K, T], name string, n int, w Windows, better func(a, b T) bool, opts ...Option) Stream[Ranked[K, T]] {
	p := k.s.p
	if n < 1 {
		p.problem(name, fmt.Errorf("the best %d: give at least 1", n))
	}
	if better == nil {
		p.problem(name, errors.New("TopN needs a function that tells which record is better"))
	}
	ranks := &ranking[T]{n: n, better: better}
	var err error
	if ranks.codec, err = codec.For[T](); err != nil {
		p.problem(name, err)
	}
	best := Window(k, name, w, Aggregate[T, []T, []T]{
		Init: func() []T { return nil }, Add: ranks.add, Merge: ranks.merge, Result: slices.Clone[[]T],
	}, opts...)
	parallelism := Parallelism(best.origins[0].parallelism)
	return FlatMap(best, name+" ranks", func(r WindowResult[K, []T], emit func(Ranked[K, T])) {
		for i, v := range r.Value {
			emit(Ranked[K, T]{Key: r.Key, Start: r.Start, End: r.End, Rank: i + 1, Value: v, Pane: r.Pane})
		}
	}, parallelism)
}

// ranking keeps the n best records in order. Many goroutines use it at once.
type ranking[T any] struct {
	n      int
	better func(a, b T) bool
	codec  codec.Codec[T]
}

// compare is negative if a ranks before b.
func (r *ranking[T]) compare(a, b T) int {
	switch {
	case r.better(a, b):
		return -1
	case r.better(b, a):
		return 1
	default:
		return bytes.Compare(r.codec.Append(nil, &a), r.codec.Append(nil, &b))
	}
}

// add puts v where it belongs, if it belongs among the n best.
func (r *ranking[T]) add(best []T, v T) []T {
	if len(best) == r.n && r.compare(best[r.n-1], v) <= 0 {
		return best
	}
	at, _ := slices.BinarySearchFunc(best, v, r.compare)
	best = slices.Insert(best, at, v)
	return best[:min(len(best), r.n)]
}

// merge leaves a and b as they are: another window may need them.
func (r *ranking[T]) merge(a, b []T) []T {
	a = slices.Clone(a)
	for _, v := range b {
		a = r.add(a, v)
	}
	return a
}
