package stream

import (
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/state"
)

// Watermark gives the results of the sessions that end.
func (w *sessions[K, In, Acc, Out]) Watermark(wm int64) error {
	before := w.wm
	if wm <= before && w.behind == nil {
		return nil // a restored operator is ahead of its sources
	}
	w.wm = max(wm, before)
	for popped := timersAtOnce; popped == timersAtOnce; {
		var err error
		if popped, err = w.popSome(before); err != nil {
			return err
		}
	}
	w.behind = nil
	if _, ok := w.rounds.reached(before, w.wm); ok {
		return w.fireEarly(w.rounds.changed.size())
	}
	return nil
}

// popSome visits the next keys whose sessions are due, and tells how many.
func (w *sessions[K, In, Acc, Out]) popSome(before int64) (popped int, err error) {
	if err := w.tell(); err != nil {
		return 0, err
	}
	for popped < timersAtOnce {
		at, group, key, ok := w.agenda.Pop(w.wm)
		if !ok {
			break
		}
		popped++
		w.keys.store.SetKey(group, key)
		since := before
		if w.behind != nil {
			since = w.behind[group]
		}
		if err := w.visit(at, since, key); err != nil {
			return popped, err
		}
	}
	return popped, nil
}

// tell tells a store in which a miss is dear of the keys that are next.
func (w *sessions[K, In, Acc, Out]) tell() error {
	k := w.keys
	if k.misses == nil || !k.misses.Ahead() {
		return nil
	}
	k.wanted.reset()
	w.agenda.EachDue(w.wm, timersAtOnce, func(group int, key []byte) {
		k.wanted.add(state.Wanted{Handle: w.latest.Handle(), Group: group, Key: key})
	})
	return k.misses.Prefetch(k.wanted.entries)
}

// visit looks at those sessions of the current key that are due at that time. What
// ends after the watermark since gives its result.
func (w *sessions[K, In, Acc, Out]) visit(at, since int64, key []byte) error {
	if err := w.load(); err != nil {
		return err
	}
	due := false // else it is of a session that has become part of another
	kept := w.all[:0]
	for _, s := range w.all {
		if s.Due == at {
			due, s.changed = true, true
			keep, err := w.advance(&s.sessionState, since, key)
			if err != nil {
				return err
			}
			if !keep {
				w.remove(&s)
				continue
			}
		}
		kept = append(kept, s)
	}
	if w.all = kept; !due {
		return nil
	}
	return w.save()
}

// advance moves a session on to the watermark; keep is false if that is its end.
func (w *sessions[K, In, Acc, Out]) advance(s *sessionState[Acc], since int64, key []byte) (keep bool, err error) {
	last := s.End - 1
	if last <= w.wm {
		if last > since {
			if err := w.fire(s, key, OnTime); err != nil {
				return false, err
			}
		}
		if last <= w.wm-w.lateness {
			return false, nil
		}
		last += w.lateness
	}
	s.Due = last
	group, _ := w.keys.store.Key()
	w.agenda.Add(last, group, key)
	return true, nil
}

// fire gives the result of a session, if it has one.
func (w *sessions[K, In, Acc, Out]) fire(s *sessionState[Acc], key []byte, pane Pane) error {
	if w.trigger.purge && s.Pending == 0 {
		return nil
	}
	k, err := w.keys.decode(key)
	if err != nil {
		return err
	}
	w.emit(k, s, pane)
	w.gave(s)
	return nil
}

// fireEarly gives the results of the keys in the first bytes of the list of those that
// have changed.
func (w *sessions[K, In, Acc, Out]) fireEarly(bytes int) error {
	for at := 0; at < bytes; {
		group, key, _, next := w.rounds.changed.next(at)
		w.keys.store.SetKey(group, key)
		if err := w.fireOpen(key); err != nil {
			return err
		}
		at = next
	}
	if bytes > 0 {
		w.rounds.changed.drop(bytes)
	}
	return nil
}

// fireOpen gives the results of the current key's open sessions with pending records.
func (w *sessions[K, In, Acc, Out]) fireOpen(key []byte) error {
	if err := w.load(); err != nil {
		return err
	}
	given := false
	for i := range w.all {
		s := &w.all[i]
		if s.Pending == 0 || s.End-1 <= w.wm {
			continue
		}
		given, s.changed = true, true
		if err := w.fire(&s.sessionState, key, Early); err != nil {
			return err
		}
	}
	if !given {
		return nil
	}
	return w.save()
}

// NextTimer implements engine.TimedTransform.
func (w *sessions[K, In, Acc, Out]) NextTimer() (at int64, ok bool) { return w.rounds.next() }

// ProcessingTime implements engine.TimedTransform.
func (w *sessions[K, In, Acc, Out]) ProcessingTime(now int64) error {
	return w.fireEarly(w.rounds.share(now))
}

var _ engine.TimedTransform = (*sessions[int, int, int, int])(nil)
