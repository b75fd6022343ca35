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
// counted and dropped. It needs a UID.
//
//	byID := stream.KeyBy(payments, func(p Payment) string { return p.ID })
//	once := stream.Deduplicate(byID, "once", 10*time.Minute, stream.UID("once"))
func Deduplicate[K, T any](k Keyed[K, T], name string, within time.Duration, opts ...Option) Stream[T] {
	p := k.s.p
	set := p.apply(name, "a de-duplication", opts)
	if within < 0 || within > 0 && within < time.Millisecond {
		p.problem(name, fmt.Errorf("within is %v: give at least 1ms, or 0 to remember for ever", within))
		within = 0
	}
	o := addKeyed(k, name, set, func(ctx *engine.OpContext, kt *keyTracker[K, T]) (engine.Transform[T], error) {
		return openDedup(ctx, kt, within)
	})
	return newStream[T](p, o, 0)
}

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
		out: engine.OutputOf[T](ctx, 0), ctx: ctx, wm: ctx.RestoredWatermark,
	}, nil
}

func (d *dedup[K, T]) Process(b *engine.Batch[T]) error {
	if err := d.prefetch(b); err != nil {
		return err
	}
	for i, v := range b.Values {
		d.keys.set(b, i)
		isFirst, err := d.isFirst(b.Times[i])
		if err != nil {
			return err
		}
		if isFirst {
			d.out.Emit(v, b.Times[i])
		}
	}
	return nil
}

// isFirst tells whether a record of the current key is a first, and remembers it.
func (d *dedup[K, T]) isFirst(t int64) (bool, error) {
	if d.within == 0 {
		_, seen, err := d.firsts.Get(0)
		if seen || err != nil {
			return false, err
		}
		return true, d.firsts.Put(0, 0)
	}
	if t == NoTime {
		return false, errNoTimeToCompare
	}
	if t <= d.wm {
		d.ctx.CountLate(1)
		return false, nil
	}
	repeats, err := d.repeats(t)
	if repeats || err != nil {
		return false, err
	}
	d.timers.Register(t+d.within-1, nil)
	return true, d.firsts.Put(d.cell(t), t)
}

// repeats tells whether the current key has a first less than within away from t.
func (d *dedup[K, T]) repeats(t int64) (bool, error) {
	cell := d.cell(t)
	for _, near := range [...]int64{cell, cell - 1, cell + 1} {
		first, ok, err := d.firsts.Get(near)
		if err != nil {
			return false, err
		}
		if ok && t-first < d.within && first-t < d.within {
			return true, nil
		}
	}
	return false, nil
}

// cell is the cell of event time that t is in.
func (d *dedup[K, T]) cell(t int64) int64 {
	if t < 0 {
		return (t+1)/d.within - 1
	}
	return t / d.within
}

// prefetch tells the store of the cells that a batch will use, if it wants to know.
func (d *dedup[K, T]) prefetch(b *engine.Batch[T]) error {
	k := d.keys
	if k.misses == nil || !k.misses.Ahead() {
		return nil
	}
	k.wanted.reset()
	for i, v := range b.Values {
		key := k.want(v)
		group := k.group(b, i, key)
		if d.within == 0 {
			d.want(group, key, 0)
			continue
		}
		for near := d.cell(b.Times[i]) - 1; near <= d.cell(b.Times[i])+1; near++ {
			d.want(group, key, near)
		}
	}
	return k.misses.Prefetch(k.wanted.entries)
}

func (d *dedup[K, T]) want(group int, key []byte, cell int64) {
	all := &d.keys.wanted
	from := len(all.bytes)
	var handle state.Handle
	handle, all.bytes = d.firsts.Entry(all.bytes, cell)
	all.add(state.Wanted{Handle: handle, Group: group, Key: key, Sub: all.since(from)})
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
		d.want(group, key, d.cell(at+1-d.within))
	}, forget)
}
