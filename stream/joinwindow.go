package stream

import (
	"cmp"

	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/state"
)

// WindowJoin joins two streams on their keys and a window of event time: when the
// watermark passes a window's end, pair is called for each two records of a key
// that are in it, one of each stream, and what it returns has the window's last millisecond
// as event time. Windows are Tumbling or Sliding; in sliding ones two records meet in each
// window that has both. It needs a UID.
//
// Records are kept until the last window that they are in has ended. One that
// comes after that is counted as late and dropped. Both sides of one key and window must fit into
// memory while it is joined.
//
// With the option FirstMatch each record of a is joined with one of b at most.
//
//	active := stream.WindowJoin(personsByID, auctionsBySeller, "active", stream.Tumbling(10*time.Second),
//		func(p Person, _ Auction) Seller { return Seller{p.ID, p.Name} }, stream.FirstMatch(), stream.UID("active"))
func WindowJoin[K, A, B, Out any](a Keyed[K, A], b Keyed[K, B], name string, w Windows, pair func(a A, b B) Out, opts ...Option) Stream[Out] {
	p := a.s.p
	set := p.apply(name, "a window join", opts)
	cut := newPanes(w)
	p.problem(name, cut.check())
	o := addKeyed2(a, b, name, set, func(ctx *engine.OpContext, keys trackers[K, A, B]) (engine.Transform2[A, B], error) {
		return openWindowJoin(ctx, keys, cut, set.firstMatch, pair)
	})
	return newStream[Out](p, o, 0)
}

// FirstMatch makes a WindowJoin join each record of its first stream with one at most
// of the second: the first that came in the window (of sliding windows, in the first
// part of it that has some). Of the second stream one record is kept, not all: for who
// wants to know whether there is a match.
func FirstMatch() Option {
	return func(s *settings) { s.firstMatch, s.onJoin = true, append(s.onJoin, "FirstMatch") }
}

// windowJoin is a WindowJoin in one subtask. Records lie in a bucket for each
// pane; a timer at the last millisecond of each window that has some joins them.
//
// Invariant: a key with records in a pane has timers for all windows of the pane that
// have not fired, so that the last of them finds and removes the records.
type windowJoin[K, A, B, Out any] struct {
	cut        panes
	firstMatch bool
	pair       func(A, B) Out
	keys       trackers[K, A, B]
	kept       buffers[A, B]
	timers     *state.Timers
	out        *engine.Output[Out]
	ctx        *engine.OpContext
	wm         int64

	as []A // scratch: a pane of the window that fires
	bs []B // scratch: all of it
}

func openWindowJoin[K, A, B, Out any](ctx *engine.OpContext, keys trackers[K, A, B], cut panes, firstMatch bool, pair func(A, B) Out) (engine.Transform2[A, B], error) {
	kept, errKept := newBuffers[A, B](ctx.Store)
	timers, errTimers := state.NewTimersWithoutTags(ctx.Store, "timers")
	if err := cmp.Or(errKept, errTimers); err != nil {
		return nil, err
	}
	return &windowJoin[K, A, B, Out]{
		cut: cut, firstMatch: firstMatch, pair: pair, keys: keys, kept: kept, timers: timers,
		out: engine.OutputOf[Out](ctx, 0), ctx: ctx, wm: ctx.RestoredWatermark,
	}, nil
}

func (j *windowJoin[K, A, B, Out]) ProcessFirst(b *engine.Batch[A]) error {
	if err := j.keys.first.prefetchWith(b, j.wantFirst); err != nil {
		return err
	}
	for i, v := range b.Values {
		ok, err := j.takes(b.Times[i])
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		j.keys.first.set(b, i)
		pane := j.cut.pane(b.Times[i])
		isNew, err := j.kept.first.add(pane, v)
		if err != nil {
			return err
		}
		if isNew {
			j.schedule(pane)
		}
	}
	return nil
}

func (j *windowJoin[K, A, B, Out]) ProcessSecond(b *engine.Batch[B]) error {
	if err := j.keys.second.prefetchWith(b, j.wantSecond); err != nil {
		return err
	}
	for i, v := range b.Values {
		ok, err := j.takes(b.Times[i])
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		j.keys.second.set(b, i)
		if err := j.addSecond(j.cut.pane(b.Times[i]), v); err != nil {
			return err
		}
	}
	return nil
}

// addSecond keeps a record of the current key, unless another one of the pane is match
// enough.
func (j *windowJoin[K, A, B, Out]) addSecond(pane int64, v B) error {
	if j.firstMatch {
		if e, err := j.kept.second.extent(pane); err != nil || !e.empty() {
			return err
		}
	}
	isNew, err := j.kept.second.add(pane, v)
	if isNew {
		j.schedule(pane)
	}
	return err
}

// takes tells whether a record is in time for a window.
func (j *windowJoin[K, A, B, Out]) takes(time int64) (bool, error) {
	if time == NoTime {
		return false, ErrNoEventTime
	}
	if j.cut.lastWindow(time)+j.cut.size-1 > j.wm {
		return true, nil
	}
	j.ctx.CountLate(1)
	return false, nil
}

// schedule sets timers for the windows of a pane of the current key. The panes of a
// key are few beside its records.
func (j *windowJoin[K, A, B, Out]) schedule(pane int64) {
	for start := j.cut.lastWindow(pane); start+j.cut.size > pane; start -= j.cut.slide {
		if last := start + j.cut.size - 1; last > j.wm {
			j.timers.Register(last, nil)
		}
	}
}

// wantFirst tells of the extents that a record of a uses.
func (j *windowJoin[K, A, B, Out]) wantFirst(w *wanted, group int, key []byte, time int64) {
	j.kept.first.want(w, group, key, j.cut.pane(time))
}

// wantSecond tells of the extents that a record of b uses.
func (j *windowJoin[K, A, B, Out]) wantSecond(w *wanted, group int, key []byte, time int64) {
	j.kept.second.want(w, group, key, j.cut.pane(time))
}

// wantWindow tells of the extents that a window uses when it fires.
func (j *windowJoin[K, A, B, Out]) wantWindow(group int, key []byte, last int64) {
	for pane := last + 1 - j.cut.size; pane < last; pane += j.cut.width {
		j.kept.first.want(&j.keys.first.wanted, group, key, pane)
		j.kept.second.want(&j.keys.first.wanted, group, key, pane)
	}
}

// Watermark fires the windows that have ended.
func (j *windowJoin[K, A, B, Out]) Watermark(wm int64) error {
	if wm <= j.wm {
		return nil // a restored operator is ahead of its sources
	}
	j.wm = wm
	return j.keys.first.popDue(j.timers, wm, j.wantWindow, func(_ int, _, _ []byte, last int64) error {
		return j.fire(last+1-j.cut.size, last)
	})
}

// fire joins a window of the current key, and removes what no later one has.
func (j *windowJoin[K, A, B, Out]) fire(start, last int64) (err error) {
	if j.bs, err = j.gather(start); err == nil && len(j.bs) > 0 {
		err = j.emit(start, last)
	}
	clear(j.bs)
	for pane := start; pane < start+j.cut.slide && err == nil; pane += j.cut.width {
		err = cmp.Or(j.kept.first.drop(pane), j.kept.second.drop(pane))
	}
	return err
}

// gather reads the second side of a window; with firstMatch one record is enough.
func (j *windowJoin[K, A, B, Out]) gather(start int64) (all []B, err error) {
	all = j.bs[:0]
	for pane := start; pane < start+j.cut.size && err == nil; pane += j.cut.width {
		if all, err = j.kept.second.appendAll(all, pane); j.firstMatch && len(all) > 0 {
			break
		}
	}
	return all, err
}

// emit pairs the first side of a window with the second.
func (j *windowJoin[K, A, B, Out]) emit(start, last int64) (err error) {
	for pane := start; pane < start+j.cut.size; pane += j.cut.width {
		if j.as, err = j.kept.first.appendAll(j.as[:0], pane); err != nil {
			return err
		}
		for _, a := range j.as {
			for _, b := range j.bs {
				j.out.Emit(j.pair(a, b), last)
			}
		}
		clear(j.as)
	}
	return nil
}
