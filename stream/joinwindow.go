package stream

import (
	"cmp"
	"fmt"

	"github.com/cairnstream/cairn/engine"
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
	set.use("FirstMatch")
	p.problem(name, checkJoined(w))
	o := addKeyed2(a, b, name, set, func(ctx *engine.OpContext, keys trackers[K, A, B]) (engine.Transform2[A, B], error) {
		return openWindowJoin(ctx, keys, w, set.firstMatch, pair)
	})
	return newStream[Out](p, o, 0)
}

// checkJoined says why windows can not be joined.
func checkJoined(w Windows) error {
	if w.kind == session || w.kind == global {
		return fmt.Errorf("%v windows can not be joined: use Tumbling or Sliding, or IntervalJoin", w.kind)
	}
	return w.check()
}

// FirstMatch makes a WindowJoin join each record of its first stream with one at most
// of the second: the first that came in the window (of sliding windows, in the first
// part of it that has some). Of the second stream one record is kept, not all: for who
// wants to know whether there is a match.
func FirstMatch() Option {
	return func(s *settings) { s.firstMatch, s.unused = true, append(s.unused, "FirstMatch") }
}

// windowJoin is a WindowJoin in one subtask. A record lies in the bucket of its slice.
type windowJoin[K, A, B, Out any] struct {
	cut        cut
	firstMatch bool
	pair       func(A, B) Out
	keys       trackers[K, A, B]
	kept       shelves[A, B]
	out        *engine.Output[Out]
	ctx        *engine.OpContext
	wm         int64
	behind     []int64 // by key group: its watermark, until the first after a restore; then nil

	as []A // scratch: a slice of the window that fires
	bs []B // scratch: all of it
}

func openWindowJoin[K, A, B, Out any](ctx *engine.OpContext, keys trackers[K, A, B], w Windows, firstMatch bool, pair func(A, B) Out) (engine.Transform2[A, B], error) {
	kept, err := newShelves[A, B](ctx)
	if err = cmp.Or(err, keepCut(ctx, cutOf(w))); err != nil {
		return nil, err
	}
	return &windowJoin[K, A, B, Out]{
		cut: newCut(w), firstMatch: firstMatch, pair: pair, keys: keys, kept: kept,
		out: engine.OutputOf[Out](ctx, 0), ctx: ctx, wm: ctx.RestoredWatermark, behind: restoredWatermarks(ctx),
	}, nil
}

func (j *windowJoin[K, A, B, Out]) ProcessFirst(b *engine.Batch[A]) error {
	if err := j.keys.first.prefetchWith(b, j.wantFirst); err != nil {
		return err
	}
	for i, v := range b.Values {
		j.keys.first.set(b, i)
		slice, ok, err := j.sliceOf(b.Times[i], j.keys.first.timeOf(j.wm, j.behind))
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := j.kept.first.add(slice, v); err != nil {
			return err
		}
	}
	return nil
}

func (j *windowJoin[K, A, B, Out]) ProcessSecond(b *engine.Batch[B]) error {
	if err := j.keys.second.prefetchWith(b, j.wantSecond); err != nil {
		return err
	}
	for i, v := range b.Values {
		j.keys.second.set(b, i)
		slice, ok, err := j.sliceOf(b.Times[i], j.keys.second.timeOf(j.wm, j.behind))
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := j.addSecond(slice, v); err != nil {
			return err
		}
	}
	return nil
}

// addSecond keeps a record of the current key, unless another one of its slice is match
// enough.
func (j *windowJoin[K, A, B, Out]) addSecond(slice int64, v B) error {
	if j.firstMatch {
		if e, err := j.kept.second.extent(slice); err != nil || !e.empty() {
			return err
		}
	}
	return j.kept.second.add(slice, v)
}

// sliceOf is the slice of a record; ok is false if it is in no window, or late for all. wm is how
// far event time has come for its key.
func (j *windowJoin[K, A, B, Out]) sliceOf(time, wm int64) (slice int64, ok bool, err error) {
	if time == NoTime {
		return 0, false, ErrNoEventTime
	}
	slice, _ = j.cut.slice(time)
	if !j.cut.covered(slice) {
		return 0, false, nil
	}
	if j.cut.lastEnd(slice)-1 <= wm {
		j.ctx.CountLate(1)
		return 0, false, nil
	}
	return slice, true, nil
}

// wantFirst tells of the extent that a record of a uses.
func (j *windowJoin[K, A, B, Out]) wantFirst(w *wanted, group int, key []byte, time int64) {
	slice, _ := j.cut.slice(time)
	j.kept.first.want(w, group, key, slice)
}

// wantSecond tells of the extent that a record of b uses.
func (j *windowJoin[K, A, B, Out]) wantSecond(w *wanted, group int, key []byte, time int64) {
	slice, _ := j.cut.slice(time)
	j.kept.second.want(w, group, key, slice)
}
