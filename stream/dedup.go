package stream

import (
	"errors"
	"fmt"
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
// What is remembered of a key goes when the watermark is within past it. A record at
// or before the watermark is late: nobody knows any more what it repeats, so it is
// counted and dropped, or goes to LateTo's stream. It needs a UID.
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
// what a record may repeat is in its own cell or in one beside it. A timer removes a
// first.
type dedup[K, T any] struct {
	within int64 // milliseconds; 0: for ever, all in cell 0
	keys   *keyTracker[K, T]
	firsts *state.Map[int64, int64]
	timers *state.Timers
	out    *engine.Output[T]
	late   *engine.Output[T]
	ctx    *engine.OpContext
	wm     int64
}

func openDedup[K, T any](ctx *engine.OpContext, kt *keyTracker[K, T], within time.Duration) (engine.Transform[T], error) {
	firsts, err := state.NewMap[int64, int64](ctx.Store, "firsts")
	if err != nil {
		return nil, err
	}
	timers, err := state.NewTimersWithoutTags(ctx.Store, "timers")
	if err != nil {
		return nil, err
	}
	return &dedup[K, T]{
		within: within.Milliseconds(), keys: kt, firsts: firsts, timers: timers,
		out: engine.OutputOf[T](ctx, 0), late: engine.OutputOf[T](ctx, lateOutput), ctx: ctx, wm: ctx.RestoredWatermark,
	}, nil
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
	case t <= d.wm:
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
	if d.within > 0 {
		d.timers.Register(t+d.within-1, nil)
	}
	return d.firsts.Put(d.cell(t), t)
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
	d.wm = wm
	forget := func(_ int, _, _ []byte, at int64) error {
		d.firsts.Delete(d.cell(at + 1 - d.within))
		return nil
	}
	return d.keys.popDue(d.timers, wm, func(group int, key []byte, at int64) {
		d.want(&d.keys.wanted, group, key, d.cell(at+1-d.within))
	}, forget)
}
