package stream

import (
	"fmt"
	"math"
	"sort"

	"github.com/cairnstream/cairn/engine"
)

// Watermark gives the results of the windows that end, one window after the other, and
// removes the slices that no window will need.
func (w *sliceWindow[K, In, Acc, Out]) Watermark(wm int64) error {
	before := w.wm
	if wm <= before && w.behind == nil {
		return nil // a restored operator is ahead of its sources
	}
	w.wm = max(wm, before)
	if w.cut.kind == global && w.wm == engine.MaxWatermark {
		if err := w.enroll(); err != nil {
			return err
		}
	}
	if err := w.fireAll(before); err != nil {
		return err
	}
	if w.wm == engine.MaxWatermark {
		if err := w.expire(math.MaxInt); err != nil {
			return err
		}
	}
	w.behind = nil
	if w.early == nil {
		return nil
	}
	if at, ok := w.early.rounds.reached(before, w.wm); ok {
		return w.fireEarly(at, w.early.rounds.changed.size())
	}
	return nil
}

// fireAll fires what ends after the watermark before and up to the new one.
func (w *sliceWindow[K, In, Acc, Out]) fireAll(before int64) error {
	for _, wm := range w.behind {
		before = min(before, wm)
	}
	for {
		end, ok := w.endAfter(before)
		if !ok || end-1 > w.wm {
			return nil
		}
		if err := w.fire(end); err != nil {
			return err
		}
		before = end - 1
	}
}

// endAfter is the first end of a window that has something and whose last
// millisecond is after a watermark.
func (w *sliceWindow[K, In, Acc, Out]) endAfter(wm int64) (end int64, ok bool) {
	all := w.roster.slices
	i := 0
	if len(all) > 0 && w.cut.lastEnd(all[0].start)-1 <= wm { // seldom: it was kept for late records
		i = sort.Search(len(all), func(i int) bool { return w.cut.lastEnd(all[i].start)-1 > wm })
	}
	if i == len(all) {
		return 0, false
	}
	if end = w.cut.endAfter(all[i].start); end-1 <= wm {
		end = w.cut.endAfter(wm + 1)
	}
	return end, true
}

// fire gives the results of the window that ends at end.
func (w *sliceWindow[K, In, Acc, Out]) fire(end int64) error {
	begin := w.cut.begin(end)
	if w.cut.single() {
		return w.each(w.roster.at(begin), func(group int, key []byte) error { return w.fireOne(group, key, end) })
	}
	w.merged.begin()
	for _, slice := range w.roster.within(begin, end) {
		if err := w.addSlice(slice, end); err != nil {
			return err
		}
	}
	return w.fireMerged(begin, end)
}

// each calls f for the keys of a slice, with the store set to the key.
func (w *sliceWindow[K, In, Acc, Out]) each(slice *keyList, f func(group int, key []byte) error) error {
	_, _, err := w.some(slice, 0, math.MaxInt, f)
	return err
}

// some is each for at most so many keys, from a position on. It returns how many there were, and the
// position of the next. Stores in which a miss is dear are told of what is in the slice ahead.
func (w *sliceWindow[K, In, Acc, Out]) some(slice *keyList, at, most int, f func(group int, key []byte) error) (n, next int, err error) {
	for told := at; n < most && at < len(slice.bytes); n++ {
		if at >= told {
			if told, err = w.tell(slice, at); err != nil {
				return n, at, err
			}
		}
		group, key, after := slice.next(at)
		w.keys.store.SetKey(group, key)
		if err := f(group, key); err != nil {
			return n, at, err
		}
		at = after
	}
	return n, at, nil
}

// tell prefetches the entries of a slice's next keys, and returns how far.
func (w *sliceWindow[K, In, Acc, Out]) tell(slice *keyList, at int) (told int, err error) {
	if w.keys.misses == nil || !w.keys.misses.Ahead() {
		return len(slice.bytes), nil
	}
	w.keys.wanted.reset()
	for n := 0; n < timersAtOnce && at < len(slice.bytes); n++ {
		group, key, next := slice.next(at)
		w.want(group, key, slice.start)
		at = next
	}
	return at, w.keys.misses.Prefetch(w.keys.wanted.entries)
}

// fired tells whether a key group was ahead of the end of a window already when the operator
// was restored.
func (w *sliceWindow[K, In, Acc, Out]) fired(group int, end int64) bool {
	return w.behind != nil && end-1 <= w.behind[group]
}

// fireOne gives the current key's result of a window of one slice.
func (w *sliceWindow[K, In, Acc, Out]) fireOne(group int, key []byte, end int64) error {
	if w.fired(group, end) {
		return nil
	}
	slice := w.cut.begin(end)
	acc, ok, err := w.acc.Get(slice)
	if err != nil {
		return err
	}
	w.early.forget(slice)
	if !ok {
		if w.trigger.purge {
			return nil // nothing came since the last result
		}
		return w.missing(slice, key)
	}
	if w.lateness == 0 || w.trigger.purge {
		w.acc.Delete(slice)
	}
	return w.emitFor(key, end, NoTime, acc, OnTime)
}

func (w *sliceWindow[K, In, Acc, Out]) missing(slice int64, key []byte) error {
	return fmt.Errorf("slice at %d of key % x has no accumulator", slice, key)
}

// expire removes entries, at most so many, of the slices whose windows have ended, and AllowedLateness
// after them. It is called with every batch, and not where results are given: these would
// wait for it. A restored operator takes up what is left.
func (w *sliceWindow[K, In, Acc, Out]) expire(most int) error {
	for most > 0 && len(w.roster.slices) > 0 {
		slice := w.roster.slices[0]
		last := w.cut.lastEnd(slice.start) - 1
		if last > w.wm || last > w.wm-w.lateness {
			return nil
		}
		if w.expired == 0 {
			w.merged.open(slice.start)
		}
		if w.cut.single() && w.lateness == 0 && last > w.ctx.RestoredWatermark {
			w.expired = len(slice.bytes) // fireOne has; the version before a restore may have kept older ones for late records
		}
		n, next, err := w.some(slice, w.expired, most, func(int, []byte) error { w.acc.Delete(slice.start); return nil })
		if err != nil {
			return err
		}
		most -= n
		if w.expired = next; next == len(slice.bytes) {
			w.roster.drop(1)
			w.expired = 0
		}
	}
	return nil
}

// emitFor is emit for an encoded key.
func (w *sliceWindow[K, In, Acc, Out]) emitFor(key []byte, end, now int64, acc Acc, pane Pane) error {
	k, err := w.keys.decode(key)
	if err != nil {
		return err
	}
	w.emit(k, end, now, acc, pane)
	return nil
}

// emit emits a result of the window that ends at end; now is the event time of what
// gives it, for Global.
func (w *sliceWindow[K, In, Acc, Out]) emit(key K, end, now int64, acc Acc, pane Pane) {
	if w.cut.kind != global {
		now = end - 1
	}
	w.out.Emit(WindowResult[K, Out]{Key: key, Start: w.cut.begin(end), End: end, Value: w.agg.Result(acc), Pane: pane}, now)
}
