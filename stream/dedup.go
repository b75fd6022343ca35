package stream

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/state"
)

// Deduplicate passes on the first record of each key and drops those of the key that
// are less than within away from it in event time. Then the next one is a first
// again. within 0 remembers every key for ever, and needs no event times.
//
// First is what comes first. A record that comes later with an earlier time is a
// duplicate like any other; further away than within, it is a first of its own. So
// splits that run ahead of others make no difference to which of a key's bursts
// are passed on.
//
// What is remembered of a record goes when the watermark is past its time by within, or
// by twice that at the latest. A record at or before the watermark is late: nobody knows
// any more what it repeats, so it is counted and dropped, or goes to LateTo's stream. It
// needs a UID.
//
//	byID := stream.KeyBy(payments, func(p Payment) string { return p.ID })
//	once := stream.Deduplicate(byID, "once", 10*time.Minute, stream.UID("once"))
func Deduplicate[K, T any](k Keyed[K, T], name string, within time.Duration, opts ...Option) Stream[T] {
	p := k.s.p
	set := p.apply(name, deduplication, opts)
	if within < 0 || within > 0 && within < time.Millisecond {
		p.problem(name, fmt.Errorf("within is %v: give at least 1ms, or 0 to remember for ever", within))
		within = 0
	}
	o := addKeyed(k, name, set, func(ctx *engine.OpContext, kt *keyTracker[K, T]) (engine.Transform[T], error) {
		return openDedup(ctx, kt, within)
	})
	setLate[T](p, name, o, set.window.lateTarget)
	return newStream[T](p, o, 0)
}

// deduplication is what a Deduplicate is called in problems.
const deduplication = "a de-duplication"

var errNoTimeToCompare = errors.New("record without event time in a de-duplication: give its source Timestamps, or remember for ever with 0")

// dedup is a Deduplicate in one subtask. A key's firsts are a map state by cell: event
// time is cut into cells as long as within, so that a cell holds one first at most and
// what a record may repeat is in its own cell or in one beside it. A cell goes as a whole,
// when the watermark is so far that none of its firsts matters.
type dedup[K, T any] struct {
	within int64 // milliseconds; 0: for ever, all in cell 0
	keys   *keyTracker[K, T]
	firsts *state.Map[int64, int64]
	cells  roster // which keys have a first in which cell; empty if within is 0
	out    *engine.Output[T]
	late   *engine.Output[T]
	ctx    *engine.OpContext
	wm     int64
	behind []int64 // by key group: its watermark, until the first after a restore; then nil
}

func openDedup[K, T any](ctx *engine.OpContext, kt *keyTracker[K, T], within time.Duration) (engine.Transform[T], error) {
	firsts, err := state.NewMap[int64, int64](ctx.Store, "firsts")
	if err != nil {
		return nil, err
	}
	d := &dedup[K, T]{
		within: within.Milliseconds(), keys: kt, firsts: firsts, ctx: ctx, wm: ctx.RestoredWatermark, behind: restoredWatermarks(ctx),
		out: engine.OutputOf[T](ctx, 0), late: engine.OutputOf[T](ctx, lateOutput),
	}
	return d, d.enroll()
}

// enroll finds the keys of all cells in the state. Where within is another one than in
// the restored job, firsts move to where they belong now.
func (d *dedup[K, T]) enroll() error {
	type moving struct {
		group    int
		key      []byte
		from, at int64
	}
	var moved []moving
	err := d.firsts.All(func(group int, key []byte, cell, first int64) error {
		if cell != d.cell(first) {
			moved = append(moved, moving{group, slices.Clone(key), cell, first})
		} else if d.within > 0 {
			d.cells.add(cell, group, key)
		}
		return nil
	})
	for _, m := range moved { // all of them first: one may move to where another was
		d.keys.store.SetKey(m.group, m.key)
		d.firsts.Delete(m.from)
	}
	for _, m := range moved {
		d.keys.store.SetKey(m.group, m.key)
		err = cmp.Or(err, d.remember(m.at))
	}
	return err
}

func (d *dedup[K, T]) Process(b *engine.Batch[T]) error {
	if err := d.prefetch(b); err != nil {
		return err
	}
	for i, v := range b.Values {
		if err := d.take(b, i, v); err != nil {
			return err
		}
	}
	return nil
}

func (d *dedup[K, T]) take(b *engine.Batch[T], i int, v T) error {
	t := b.Times[i]
	d.keys.set(b, i)
	switch {
	case d.within == 0:
	case t == NoTime:
		return d.ctx.Blame(errNoTimeToCompare)
	case t <= d.keys.timeOf(d.wm, d.behind):
		d.ctx.CountLate(1)
		d.late.Emit(v, t)
		return nil
	}
	seen, err := d.seen(t)
	if !seen && err == nil {
		d.out.Emit(v, t)
		err = d.remember(t)
	}
	return err
}

// remember makes a record at t a first of the current key.
func (d *dedup[K, T]) remember(t int64) error {
	cell := d.cell(t)
	if d.within > 0 {
		group, key := d.keys.store.Key()
		d.cells.add(cell, group, key)
	}
	return d.firsts.Put(cell, t)
}

// seen tells whether the current key has a first less than within away from t.
func (d *dedup[K, T]) seen(t int64) (bool, error) {
	if d.within == 0 {
		_, ok, err := d.firsts.Get(0)
		return ok, err
	}
	cell := d.cell(t)
	for _, near := range [...]int64{cell, cell - 1, cell + 1} {
		first, ok, err := d.firsts.Get(near)
		if err != nil || ok && t-first < d.within && first-t < d.within {
			return ok, err
		}
	}
	return false, nil
}

// cell is the cell of event time that t is in.
func (d *dedup[K, T]) cell(t int64) int64 {
	switch {
	case d.within == 0:
		return 0
	case t < 0:
		return (t+1)/d.within - 1
	default:
		return t / d.within
	}
}

// prefetch tells the store of the cells that a batch will use, if it wants to know.
func (d *dedup[K, T]) prefetch(b *engine.Batch[T]) error {
	return d.keys.prefetchWith(b, func(w *wanted, group int, key []byte, time int64) {
		cell, beside := d.cell(time), int64(1)
		if d.within == 0 {
			beside = 0
		}
		for near := cell - beside; near <= cell+beside; near++ {
			d.want(w, group, key, near)
		}
	})
}

func (d *dedup[K, T]) want(w *wanted, group int, key []byte, cell int64) {
	from := len(w.bytes)
	var handle state.Handle
	handle, w.bytes = d.firsts.Entry(w.bytes, cell)
	w.add(state.Wanted{Handle: handle, Group: group, Key: key, Sub: w.since(from)})
}

func (d *dedup[K, T]) Watermark(wm int64) error {
	if wm <= d.wm {
		return nil // a restored operator is ahead of its sources
	}
	d.wm, d.behind = wm, nil
	over := len(d.cells.slices)
	if wm < engine.MaxWatermark-1 {
		over = d.cells.search(d.cell(wm+2) - 1) // the last first of a cell is 1 ms before its end
	}
	for _, l := range d.cells.slices[:over] {
		if err := d.forget(l); err != nil {
			return err
		}
	}
	d.cells.drop(over)
	return nil
}

// forget removes the firsts of a cell.
func (d *dedup[K, T]) forget(l *keyList) error {
	for from := 0; from < len(l.bytes); {
		to, err := d.prefetchCell(l, from)
		if err != nil {
			return err
		}
		for from < to {
			group, key, next := l.next(from)
			d.keys.store.SetKey(group, key)
			d.firsts.Delete(l.start)
			from = next
		}
	}
	return nil
}

// prefetchCell tells the store of the next keys of a cell, and returns where they end.
func (d *dedup[K, T]) prefetchCell(l *keyList, from int) (to int, err error) {
	w := &d.keys.wanted
	w.reset()
	for to = from; to < len(l.bytes) && len(w.entries) < timersAtOnce; {
		group, key, next := l.next(to)
		d.want(w, group, key, l.start)
		to = next
	}
	if m := d.keys.misses; m != nil && m.Ahead() {
		err = m.Prefetch(w.entries)
	}
	return to, err
}
