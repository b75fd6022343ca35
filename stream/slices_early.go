package stream

import (
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/state"
)

// early is what triggers that give results before a window's end keep: how
// many records came into each window of a key since its last result. With Purging, an entry stays
// as long as its window is open, also when the window is empty, but for Global.
type early struct {
	pending *state.Map[int64, int64] // by the window's begin; by a clock, 1 is any number
	add     func(n *int64, existed bool)
	n       int64 // what add made

	rounds *rounds // of triggers that go by a clock; else nil
}

// openEarly returns nil for a trigger without early results.
func openEarly(ctx *engine.OpContext, t Trigger) (*early, error) {
	if !t.early() {
		return nil, nil
	}
	pending, err := state.NewMap[int64, int64](ctx.Store, "pending")
	if err != nil {
		return nil, err
	}
	e := &early{pending: pending}
	e.add = func(n *int64, _ bool) { *n++; e.n = *n }
	if !t.periodic() {
		return e, nil
	}
	e.rounds = newRounds(t, ctx.Now())
	return e, pending.All(func(group int, key []byte, begin, n int64) error {
		if n > 0 {
			e.rounds.add(ctx.Now(), group, key, begin)
		}
		return nil
	})
}

// knows tells whether the current key has had records in a window.
func (e *early) knows(begin int64) (bool, error) {
	_, ok, err := e.pending.Get(begin)
	return ok, err
}

// forget is for a window that has ended.
func (e *early) forget(begin int64) {
	if e != nil {
		e.pending.Delete(begin)
	}
}

// eager gives the results that come right after a record of key at t, if one is due.
func (w *sliceWindow[K, In, Acc, Out]) eager(key K, t int64) error {
	for end := w.first + 1; ; end += w.cut.slide {
		var err error
		if end-1 > w.wm {
			err = w.count(key, t, end)
		} else if end-1 > w.wm-w.lateness {
			err = w.fireKey(key, end, t, Late)
		}
		if err != nil || end-1 >= w.last {
			return err
		}
	}
}

// count notes that a record of the current key came into the window that ends at end.
func (w *sliceWindow[K, In, Acc, Out]) count(key K, t, end int64) error {
	e := w.early
	if e == nil {
		return nil
	}
	begin := w.cut.begin(end)
	if e.rounds != nil {
		return w.note(begin)
	}
	if err := e.pending.Update(begin, e.add); err != nil || e.n < w.trigger.n {
		return err
	}
	if err := w.given(begin); err != nil {
		return err
	}
	return w.fireKey(key, end, t, Early)
}

// given notes that the current key's window gives a result. An entry of Global would stay for
// ever, and its window needs none when it is empty: there is no roster.
func (w *sliceWindow[K, In, Acc, Out]) given(begin int64) error {
	if w.cut.kind == global && w.trigger.purge {
		w.early.pending.Delete(begin)
		return nil
	}
	return w.early.pending.Put(begin, 0)
}

// note puts the current key's window down for the next round.
func (w *sliceWindow[K, In, Acc, Out]) note(begin int64) error {
	n, _, err := w.early.pending.Get(begin)
	if n > 0 || err != nil {
		return err
	}
	group, key := w.keys.store.Key()
	w.early.rounds.add(w.ctx.Now(), group, key, begin)
	return w.early.pending.Put(begin, 1)
}

// fireKey gives the current key's result of one window, and empties it if it is so.
func (w *sliceWindow[K, In, Acc, Out]) fireKey(key K, end, now int64, pane Pane) error {
	begin := w.cut.begin(end)
	acc, ok, err := w.sum(begin, end)
	if !ok || err != nil {
		return err
	}
	if w.trigger.purge {
		w.acc.Delete(begin)
	}
	w.emit(key, end, now, acc, pane)
	return nil
}

// sum is what the current key has in a window.
func (w *sliceWindow[K, In, Acc, Out]) sum(begin, end int64) (sum Acc, ok bool, err error) {
	if w.cut.single() {
		return w.acc.Get(begin)
	}
	for _, slice := range w.roster.within(begin, end) {
		acc, there, err := w.acc.Get(slice.start)
		switch {
		case err != nil:
			return sum, false, err
		case there && ok:
			sum = w.agg.Merge(sum, acc)
		case there:
			sum, ok = acc, true
		}
	}
	return sum, ok, nil
}

// fireEarly gives the results of windows with pending records, of the first bytes of
// the list of them.
func (w *sliceWindow[K, In, Acc, Out]) fireEarly(now int64, bytes int) error {
	for at := 0; at < bytes; {
		var err error
		if at, err = w.fireChanged(at, now); err != nil {
			return err
		}
	}
	if bytes > 0 {
		w.early.rounds.changed.drop(bytes)
	}
	return nil
}

// fireChanged gives the result of the window at a position of the list, unless it has
// ended, and tells where the next one is.
func (w *sliceWindow[K, In, Acc, Out]) fireChanged(at int, now int64) (next int, err error) {
	e := w.early
	group, key, begin, next := e.rounds.changed.next(at)
	w.keys.store.SetKey(group, key)
	n, _, err := e.pending.Get(begin)
	if n == 0 || err != nil {
		return next, err
	}
	if err := w.given(begin); err != nil {
		return 0, err
	}
	k, err := w.keys.decode(key)
	if err != nil {
		return 0, err
	}
	return next, w.fireKey(k, w.cut.end(begin), now, Early)
}

// NextTimer implements engine.TimedTransform.
func (w *sliceWindow[K, In, Acc, Out]) NextTimer() (at int64, ok bool) {
	if w.early == nil {
		return 0, false
	}
	return w.early.rounds.next()
}

// ProcessingTime implements engine.TimedTransform.
func (w *sliceWindow[K, In, Acc, Out]) ProcessingTime(now int64) error {
	return w.fireEarly(NoTime, w.early.rounds.share(now))
}
