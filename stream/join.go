package stream

import (
	"cmp"
	"fmt"
	"time"

	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/state"
)

// Join joins two streams on their keys, whenever the records come: pair is called once
// for each two of a key, and what it returns has the event time of the one that came
// last. It needs a UID.
//
// A record is remembered for ttl of processing time after it came: two that come
// further apart do not meet. A ttl of 0 remembers all records for ever, and state grows
// with both streams: IntervalJoin, WindowJoin and TemporalJoin bound it by event time.
//
//	paid := stream.Join(ordersByID, paymentsByID, "paid", 24*time.Hour,
//		func(o Order, p Payment) Paid { return Paid{o.ID, p.At} }, stream.UID("paid"))
func Join[K, A, B, Out any](a Keyed[K, A], b Keyed[K, B], name string, ttl time.Duration, pair func(a A, b B) Out, opts ...Option) Stream[Out] {
	p := a.s.p
	set := p.apply(name, "a join", opts)
	if ttl < 0 || ttl > 0 && ttl < time.Millisecond {
		p.problem(name, fmt.Errorf("a TTL of %v: use 1ms or more, or 0 to remember for ever", ttl))
	}
	o := addKeyed2(a, b, name, set, func(ctx *engine.OpContext, keys trackers[K, A, B]) (engine.Transform2[A, B], error) {
		return openJoin(ctx, keys, ttl, pair)
	})
	return newStream[Out](p, o, 0)
}

// allTime is the bucket of buffers that have no other.
const allTime = 0

// join is a Join in one subtask: each record looks through the other side, and stays.
type join[K, A, B, Out any] struct {
	keys   trackers[K, A, B]
	first  *buffer[A]
	second *buffer[B]
	lives  *state.Lifetimes
	pair   func(A, B) Out
	out    *engine.Output[Out]

	as []A // scratch: the other side of the record at hand
	bs []B
}

func openJoin[K, A, B, Out any](ctx *engine.OpContext, keys trackers[K, A, B], ttl time.Duration, pair func(A, B) Out) (engine.Transform2[A, B], error) {
	lives := state.NewLifetimes(ctx.Store, ctx.Now)
	expire := state.WithTTL(lives, state.TTL{After: ttl})
	first, errFirst := newBuffer[A](ctx.Store, "first", expire)
	second, errSecond := newBuffer[B](ctx.Store, "second", expire)
	if err := cmp.Or(errFirst, errSecond); err != nil {
		return nil, err
	}
	return &join[K, A, B, Out]{
		keys: keys, first: first, second: second, lives: lives, pair: pair, out: engine.OutputOf[Out](ctx, 0),
	}, nil
}

func (j *join[K, A, B, Out]) ProcessFirst(b *engine.Batch[A]) error {
	if err := j.keys.first.prefetchWith(b, j.want); err != nil {
		return err
	}
	for i, v := range b.Values {
		j.keys.first.set(b, i)
		if err := j.addFirst(v, b.Times[i]); err != nil {
			return err
		}
	}
	return j.lives.Sweep(b.Len())
}

func (j *join[K, A, B, Out]) addFirst(a A, time int64) (err error) {
	if j.bs, err = j.second.appendAll(j.bs[:0], allTime); err != nil {
		return err
	}
	for _, b := range j.bs {
		j.out.Emit(j.pair(a, b), time)
	}
	clear(j.bs)
	_, err = j.first.add(allTime, a)
	return err
}

func (j *join[K, A, B, Out]) ProcessSecond(b *engine.Batch[B]) error {
	if err := j.keys.second.prefetchWith(b, j.want); err != nil {
		return err
	}
	for i, v := range b.Values {
		j.keys.second.set(b, i)
		if err := j.addSecond(v, b.Times[i]); err != nil {
			return err
		}
	}
	return j.lives.Sweep(b.Len())
}

func (j *join[K, A, B, Out]) addSecond(b B, time int64) (err error) {
	if j.as, err = j.first.appendAll(j.as[:0], allTime); err != nil {
		return err
	}
	for _, a := range j.as {
		j.out.Emit(j.pair(a, b), time)
	}
	clear(j.as)
	_, err = j.second.add(allTime, b)
	return err
}

// want tells of the extents that a record of either side looks at.
func (j *join[K, A, B, Out]) want(w *wanted, group int, key []byte, _ int64) {
	j.first.want(w, group, key, allTime)
	j.second.want(w, group, key, allTime)
}

// Watermark implements engine.Transform2. Time of events is none of its business.
func (j *join[K, A, B, Out]) Watermark(int64) error { return nil }
