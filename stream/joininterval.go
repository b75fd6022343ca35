package stream

import (
	"cmp"
	"fmt"
	"time"

	"github.com/cairnstream/cairn/engine"
)

// IntervalJoin joins two streams on their keys where the event times are near each
// other: pair is called once for each two records of a key for which
//
//	a.time + lower <= b.time <= a.time + upper
//
// as soon as both are there. What it returns has the later of the two event times. lower and
// upper may be negative: -time.Minute and 0 are the b's of the minute up to a. It needs
// a UID.
//
// A record is kept until the watermark says that no partner will come, and up to half
// of the interval's width longer. One at or behind the watermark when it comes is counted as late and
// dropped.
//
//	clicked := stream.IntervalJoin(viewsByUser, clicksByUser, "clicked", 0, 10*time.Minute,
//		func(v View, c Click) Clicked { return Clicked{v.Ad, c.At} }, stream.UID("clicked"))
func IntervalJoin[K, A, B, Out any](a Keyed[K, A], b Keyed[K, B], name string, lower, upper time.Duration, pair func(a A, b B) Out, opts ...Option) Stream[Out] {
	p := a.s.p
	set := p.apply(name, "a join", opts)
	p.problem(name, checkInterval(lower, upper))
	near := newInterval(lower, upper)
	o := addKeyed2(a, b, name, set, func(ctx *engine.OpContext, keys trackers[K, A, B]) (engine.Transform2[A, B], error) {
		return openIntervalJoin(ctx, keys, near, pair)
	})
	return newStream[Out](p, o, 0)
}

// intervalMax is the farthest that an interval reaches: more would overflow times.
const intervalMax = 100 * 365 * 24 * time.Hour

func checkInterval(lower, upper time.Duration) error {
	switch {
	case lower > upper:
		return fmt.Errorf("the interval from %v to %v is empty: the lower bound comes first", lower, upper)
	case lower%time.Millisecond != 0 || upper%time.Millisecond != 0:
		return fmt.Errorf("the interval from %v to %v: event time is in whole milliseconds", lower, upper)
	case lower < -intervalMax || upper > intervalMax:
		return fmt.Errorf("the interval from %v to %v: it may reach up to %v", lower, upper, intervalMax)
	}
	return nil
}

// interval is how far b's time may be from a's, and the width of the buckets in which
// both wait; all in milliseconds. A record looks through three buckets of the other
// side at most, and a bucket stays up to a width longer than its first record is needed.
type interval struct{ lower, upper, width int64 }

func newInterval(lower, upper time.Duration) interval {
	i := interval{lower: lower.Milliseconds(), upper: upper.Milliseconds()}
	i.width = max(1, (i.upper-i.lower+1)/2)
	return i
}

// flip is the interval as the other side sees it.
func (i interval) flip() interval { return interval{lower: -i.upper, upper: -i.lower, width: i.width} }

// bucket is the start of the bucket that holds t.
func (i interval) bucket(t int64) int64 {
	r := t % i.width
	if r < 0 {
		r += i.width
	}
	return t - r
}

// buckets are those that hold the times from from to to: the first, and how many.
func (i interval) buckets(from, to int64) (first, n int64) {
	first = i.bucket(from)
	return first, (i.bucket(to)-first)/i.width + 1
}

// needed is up to which watermark a partner may come to a record of time t.
func (i interval) needed(t int64) int64 { return t + i.upper }

// dated is a record that waits, with its event time in Unix milliseconds.
type dated[T any] struct {
	Time  int64
	Value T
}

// intervalJoin is an IntervalJoin in one subtask: two sides that mirror each other.
type intervalJoin[K, A, B, Out any] struct {
	first  *intervalSide[K, A, B, Out]
	second *intervalSide[K, B, A, Out]
}

func openIntervalJoin[K, A, B, Out any](ctx *engine.OpContext, keys trackers[K, A, B], near interval, pair func(A, B) Out) (engine.Transform2[A, B], error) {
	kept, err := newShelves[dated[A], dated[B]](ctx)
	if err = cmp.Or(err, keepCut(ctx, near.cutOf())); err != nil {
		return nil, err
	}
	out := engine.OutputOf[Out](ctx, 0)
	return &intervalJoin[K, A, B, Out]{
		first: &intervalSide[K, A, B, Out]{
			near: near, keys: keys.first, mine: kept.first, other: kept.second,
			pair: pair, out: out, ctx: ctx, wm: ctx.RestoredWatermark, behind: restoredWatermarks(ctx),
		},
		second: &intervalSide[K, B, A, Out]{
			near: near.flip(), keys: keys.second, mine: kept.second, other: kept.first,
			pair: func(b B, a A) Out { return pair(a, b) }, out: out, ctx: ctx, wm: ctx.RestoredWatermark, behind: restoredWatermarks(ctx),
		},
	}, nil
}

func (j *intervalJoin[K, A, B, Out]) ProcessFirst(b *engine.Batch[A]) error {
	return j.first.process(b)
}
func (j *intervalJoin[K, A, B, Out]) ProcessSecond(b *engine.Batch[B]) error {
	return j.second.process(b)
}

// Watermark removes what has no partner to wait for.
func (j *intervalJoin[K, A, B, Out]) Watermark(wm int64) error {
	return cmp.Or(j.first.clean(wm), j.second.clean(wm))
}

// intervalSide is one side of an interval join: In are its records and Other those of the
// other side.
type intervalSide[K, In, Other, Out any] struct {
	near  interval
	keys  *keyTracker[K, In]
	mine  *shelf[dated[In]]
	other *shelf[dated[Other]]
	pair  func(In, Other) Out
	out   *engine.Output[Out]
	ctx   *engine.OpContext
	wm    int64
	// behind is the watermark of each key group, until the first after a restore; then nil.
	behind []int64

	met []dated[Other] // scratch: a bucket of the other side
}

func (s *intervalSide[K, In, Other, Out]) process(b *engine.Batch[In]) error {
	if err := s.keys.prefetchWith(b, s.want); err != nil {
		return err
	}
	for i, v := range b.Values {
		t := b.Times[i]
		if t == NoTime {
			return ErrNoEventTime
		}
		s.keys.set(b, i)
		wm := s.keys.timeOf(s.wm, s.behind)
		if t <= wm {
			s.ctx.CountLate(1)
			continue
		}
		if err := s.match(t, v); err != nil {
			return err
		}
		if err := s.keep(t, v, wm); err != nil {
			return err
		}
	}
	return nil
}

// match pairs a record with those that wait on the other side.
func (s *intervalSide[K, In, Other, Out]) match(t int64, v In) (err error) {
	from, to := t+s.near.lower, t+s.near.upper
	first, n := s.near.buckets(from, to)
	for k := range n {
		if s.met, err = s.other.appendAll(s.met[:0], first+k*s.near.width); err != nil {
			return err
		}
		for i := range s.met {
			if o := &s.met[i]; from <= o.Time && o.Time <= to {
				s.out.Emit(s.pair(v, o.Value), max(t, o.Time))
			}
		}
		clear(s.met)
	}
	return nil
}

// keep makes a record wait for partners that may still come.
func (s *intervalSide[K, In, Other, Out]) keep(t int64, v In, wm int64) error {
	if s.near.needed(t) <= wm {
		return nil
	}
	return s.mine.add(s.near.bucket(t), dated[In]{t, v})
}

// clean removes the buckets that nobody needs any more.
func (s *intervalSide[K, In, Other, Out]) clean(wm int64) error {
	if wm <= s.wm {
		return nil // a restored operator is ahead of its sources
	}
	s.wm, s.behind = wm, nil
	return s.mine.dropWhile(func(bucket int64) bool { return s.near.needed(bucket+s.near.width-1) <= wm })
}

// want tells of the extents that a record uses.
func (s *intervalSide[K, In, Other, Out]) want(w *wanted, group int, key []byte, t int64) {
	s.mine.want(w, group, key, s.near.bucket(t))
	first, n := s.near.buckets(t+s.near.lower, t+s.near.upper)
	for k := range n {
		s.other.want(w, group, key, first+k*s.near.width)
	}
}
