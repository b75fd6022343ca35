package stream

import (
	"cmp"

	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/state"
)

// TemporalJoin joins each record of a with the version of its key as of its event
// time: the record of versions with the highest event time that is not after it. pair gets
// that version, or found false if there is none; it tells whether its result goes on.
// Which version it is does not depend on the order in which records come: a waits until the
// watermark has reached it. The result has a's event time. It needs a UID.
//
// Of two versions of a key with the same event time the one that comes last counts. A version that the
// watermark has passed counts for a's from then on, if it is newer than the one that counts; else it
// is late. A record of a that the watermark has passed is late. What is late is counted and dropped.
//
// The last version of each key is kept for ever, and others until the watermark has
// reached the next one: state grows with the number of keys that ever had a version.
//
//	inEuro := stream.TemporalJoin(ordersByCurrency, ratesByCurrency, "in euro",
//		func(o Order, r Rate, found bool) (Paid, bool) { return Paid{o.ID, o.Amount * r.Euro}, found }, stream.UID("in-euro"))
func TemporalJoin[K, A, B, Out any](a Keyed[K, A], versions Keyed[K, B], name string, pair func(a A, b B, found bool) (Out, bool), opts ...Option) Stream[Out] {
	p := a.s.p
	set := p.apply(name, "a join", opts)
	o := addKeyed2(a, versions, name, set, func(ctx *engine.OpContext, keys trackers[K, A, B]) (engine.Transform2[A, B], error) {
		return openTemporalJoin(ctx, keys, pair)
	})
	return newStream[Out](p, o, 0)
}

// temporalJoin is a TemporalJoin in one subtask. A's wait in a bucket for each time, and
// versions lie in a map by time.
//
// Invariant: a key has a timer at each time at which an a waits, or at which a version
// ahead of the watermark begins; so once all timers up to the watermark have fired, it
// has one version at most that began by then.
type temporalJoin[K, A, B, Out any] struct {
	keys     trackers[K, A, B]
	waiting  *buffer[A]
	versions *state.Map[int64, B]
	timers   *state.Timers
	pair     func(A, B, bool) (Out, bool)
	out      *engine.Output[Out]
	ctx      *engine.OpContext
	wm       int64
	behind   []int64 // by key group: its watermark, until the first after a restore; then nil

	as      []A // scratch: those that a timer is for
	current version[B]
	old     []int64                  // times of the versions before it
	look    func(at int64, b B) bool // of seek; one function for all calls
	until   int64                    // its argument
}

// version is the version of a key as of a time.
type version[B any] struct {
	at    int64
	value B
	found bool
}

func openTemporalJoin[K, A, B, Out any](ctx *engine.OpContext, keys trackers[K, A, B], pair func(A, B, bool) (Out, bool)) (engine.Transform2[A, B], error) {
	waiting, errWaiting := newBuffer[A](ctx.Store, "waiting")
	versions, errVersions := state.NewMap[int64, B](ctx.Store, "versions")
	timers, errTimers := state.NewTimersWithoutTags(ctx.Store, "timers")
	if err := cmp.Or(errWaiting, errVersions, errTimers); err != nil {
		return nil, err
	}
	j := &temporalJoin[K, A, B, Out]{
		keys: keys, waiting: waiting, versions: versions, timers: timers, pair: pair,
		out: engine.OutputOf[Out](ctx, 0), ctx: ctx, wm: ctx.RestoredWatermark, behind: restoredWatermarks(ctx),
	}
	j.look = j.visit
	return j, nil
}

func (j *temporalJoin[K, A, B, Out]) ProcessFirst(b *engine.Batch[A]) error {
	if err := j.keys.first.prefetchWith(b, j.waiting.want); err != nil {
		return err
	}
	for i, v := range b.Values {
		t := b.Times[i]
		if t == NoTime {
			return ErrNoEventTime
		}
		j.keys.first.set(b, i)
		if t <= j.keys.first.timeOf(j.wm, j.behind) {
			j.ctx.CountLate(1)
			continue
		}
		isNew, err := j.waiting.add(t, v)
		if err != nil {
			return err
		}
		if isNew {
			j.timers.Register(t, nil)
		}
	}
	return nil
}

func (j *temporalJoin[K, A, B, Out]) ProcessSecond(b *engine.Batch[B]) error {
	for i, v := range b.Values {
		t := b.Times[i]
		if t == NoTime {
			return ErrNoEventTime
		}
		j.keys.second.set(b, i)
		if err := j.addVersion(t, v); err != nil {
			return err
		}
	}
	return nil
}

// addVersion keeps a version of the current key.
func (j *temporalJoin[K, A, B, Out]) addVersion(t int64, v B) error {
	wm := j.keys.second.timeOf(j.wm, j.behind)
	if t > wm {
		j.timers.Register(t, nil)
		return j.versions.Put(t, v)
	}
	if err := j.seek(wm); err != nil {
		return err
	}
	if j.current.found && j.current.at > t {
		j.ctx.CountLate(1)
		return nil
	}
	if j.current.found {
		j.versions.Delete(j.current.at)
	}
	return j.versions.Put(t, v)
}

// seek finds the current key's version as of a time, and those before it.
func (j *temporalJoin[K, A, B, Out]) seek(at int64) error {
	j.current, j.old, j.until = version[B]{}, j.old[:0], at
	return j.versions.Range(j.look)
}

// visit is what seek does with a version.
func (j *temporalJoin[K, A, B, Out]) visit(at int64, b B) bool {
	if at > j.until {
		return false
	}
	if j.current.found {
		j.old = append(j.old, j.current.at)
	}
	j.current = version[B]{at, b, true}
	return true
}

// Watermark joins the records that it has reached.
func (j *temporalJoin[K, A, B, Out]) Watermark(wm int64) error {
	if wm <= j.wm && j.behind == nil {
		return nil // a restored operator is ahead of its sources
	}
	j.wm, j.behind = max(j.wm, wm), nil
	return j.keys.first.popDue(j.timers, j.wm, j.wantWaiting, func(_ int, _, _ []byte, at int64) error {
		return j.fire(at)
	})
}

// fire joins the current key's records of a time, and forgets the versions that
// no later record is joined with. Timers fire in order of time.
func (j *temporalJoin[K, A, B, Out]) fire(at int64) (err error) {
	if err = j.seek(at); err != nil {
		return err
	}
	if j.as, err = j.waiting.appendAll(j.as[:0], at); err != nil {
		return err
	}
	for _, a := range j.as {
		if out, ok := j.pair(a, j.current.value, j.current.found); ok {
			j.out.Emit(out, at)
		}
	}
	clear(j.as)
	for _, old := range j.old {
		j.versions.Delete(old)
	}
	return j.waiting.drop(at)
}

// wantWaiting tells of the extents that a timer uses.
func (j *temporalJoin[K, A, B, Out]) wantWaiting(group int, key []byte, at int64) {
	j.waiting.want(&j.keys.first.wanted, group, key, at)
}
