package stream

import (
	"github.com/cairnstream/cairn/codec"
)

// summing is how overlapping windows are merged from their slices. What a slice has is read from
// the store by the first window that ends with it in, and kept for the others: a slice that was
// in a window that ended changes only by records that come late, and then it is read again.
type summing[Acc any] struct {
	numbers keyNumbers
	closed  map[int64]*closedSlice[Acc] // by begin
	keeps   bool                        // accumulators are small and plain, and so kept with closed slices
	sums    []sum[Acc]                  // by the number of the key
	order   []uint32                    // the keys of the window at hand, as they came up
	turn    uint64                      // counts windows
}

// closedSlice is what a slice has, in the order of its list in the roster.
type closedSlice[Acc any] struct {
	keys []uint32 // their numbers
	accs []Acc    // none if summing does not keep them
}

// sum is what a window has of a key, if it is the window of that turn.
type sum[Acc any] struct {
	turn uint64
	acc  Acc
}

// keptSizeMax is up to which size accumulators are kept: they take memory that the store
// does not know of, once for each key and slice.
const keptSizeMax = 64

func newSumming[Acc any]() *summing[Acc] {
	flat, err := codec.Fixed[Acc]()
	return &summing[Acc]{closed: map[int64]*closedSlice[Acc]{}, keeps: err == nil && flat.Size() <= keptSizeMax}
}

// begin is for a new window.
func (s *summing[Acc]) begin() {
	s.turn++
	s.order = s.order[:0]
}

// add merges acc, of a later slice than those before, into what the window has of a key.
func (s *summing[Acc]) add(key uint32, acc Acc, merge func(a, b Acc) Acc) {
	for int(key) >= len(s.sums) {
		s.sums = append(s.sums, sum[Acc]{})
	}
	x := &s.sums[key]
	if x.turn == s.turn {
		x.acc = merge(x.acc, acc)
		return
	}
	x.turn, x.acc = s.turn, acc
	s.order = append(s.order, key)
}

// open forgets a slice, which has changed or is gone.
func (s *summing[Acc]) open(slice int64) {
	c, ok := s.closed[slice]
	if !ok {
		return
	}
	for _, key := range c.keys {
		s.numbers.letGo(key)
	}
	delete(s.closed, slice)
}

// addSlice merges a slice into the window that ends at end.
func (w *sliceWindow[K, In, Acc, Out]) addSlice(slice *keyList, end int64) error {
	c, ok := w.merged.closed[slice.start]
	if !ok || !w.merged.keeps {
		return w.readSlice(slice, end, c)
	}
	for i, key := range c.keys {
		if !w.fired(int(w.merged.numbers.all[key].group), end) {
			w.merged.add(key, c.accs[i], w.agg.Merge)
		}
	}
	return nil
}

// readSlice is addSlice for a slice that is not kept, with its accumulators. known is
// what is kept of it, or nil.
func (w *sliceWindow[K, In, Acc, Out]) readSlice(slice *keyList, end int64, known *closedSlice[Acc]) error {
	c := known
	if c == nil {
		c = &closedSlice[Acc]{}
		w.merged.closed[slice.start] = c
	}
	i := 0
	return w.each(slice, func(group int, key []byte) error {
		acc, ok, err := w.acc.Get(slice.start)
		if err != nil {
			return err
		}
		if !ok {
			return w.missing(slice.start, key)
		}
		if known == nil {
			c.keys = append(c.keys, w.merged.numbers.use(group, key))
			if w.merged.keeps {
				c.accs = append(c.accs, acc)
			}
		}
		if !w.fired(group, end) {
			w.merged.add(c.keys[i], acc, w.agg.Merge)
		}
		i++
		return nil
	})
}

// fireMerged gives the results of the window that is merged.
func (w *sliceWindow[K, In, Acc, Out]) fireMerged(begin, end int64) error {
	for _, number := range w.merged.order {
		key := w.merged.numbers.key(number)
		if w.early != nil {
			w.keys.store.SetKey(int(w.merged.numbers.all[number].group), key)
			w.early.forget(begin)
		}
		x := &w.merged.sums[number]
		if err := w.emitFor(key, end, NoTime, x.acc, OnTime); err != nil {
			return err
		}
		if !w.merged.keeps {
			*x = sum[Acc]{} // it may be large
		}
	}
	return nil
}
