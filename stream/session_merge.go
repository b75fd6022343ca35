package stream

import "slices"

// keptSession is a session of the current key while all of them are at hand.
type keptSession[Acc any] struct {
	sessionState[Acc]
	place   place
	changed bool
}

// place is where the store has a session.
type place int

const (
	nowhere place = iota
	inOlder
	inLatest
)

// load reads all sessions of the current key, in order of time.
func (w *sessions[K, In, Acc, Out]) load() error {
	clear(w.all)
	w.all = w.all[:0]
	latest, ok, err := w.latest.Get()
	if !ok || err != nil {
		return err
	}
	if latest.Older > 0 {
		err = w.older.Range(func(_ int64, s sessionState[Acc]) bool {
			w.all = append(w.all, keptSession[Acc]{s, inOlder, false})
			return true
		})
	}
	w.all = append(w.all, keptSession[Acc]{latest, inLatest, false})
	return err
}

// remove takes a session out of the map, if it is there.
func (w *sessions[K, In, Acc, Out]) remove(s *keptSession[Acc]) {
	if s.place == inOlder {
		w.older.Delete(s.Start)
	}
}

// save writes what was changed of the current key's sessions. Those that are no longer
// in the list have been removed from the map already.
func (w *sessions[K, In, Acc, Out]) save() error {
	if len(w.all) == 0 {
		w.latest.Clear()
		return nil
	}
	last := len(w.all) - 1
	for i := range w.all[:last] {
		s := &w.all[i]
		if s.Older = 0; s.place == inOlder && !s.changed {
			continue
		}
		if err := w.older.Put(s.Start, s.sessionState); err != nil {
			return err
		}
	}
	s := &w.all[last]
	w.remove(s)
	s.Older = int32(last)
	return w.latest.Set(s.sessionState)
}

// rewrite adds the record at hand where it does not just continue the latest session: it
// may be one of its own, belong to an older one, or join two.
func (w *sessions[K, In, Acc, Out]) rewrite(key K) error {
	if err := w.load(); err != nil {
		return err
	}
	return w.insert(key)
}

// addLate is rewrite for a record that is late, unless it joins a session that is still kept.
func (w *sessions[K, In, Acc, Out]) addLate(key K) error {
	if err := w.load(); err != nil {
		return err
	}
	if !slices.ContainsFunc(w.all, func(s keptSession[Acc]) bool { return w.touches(&s.sessionState) }) {
		w.ctx.CountLate(1)
		w.late.Emit(w.record, w.time)
		return nil
	}
	return w.insert(key)
}

// touches tells whether the record at hand belongs to a session: it comes less than gap
// after the session's last record, or before its first.
func (w *sessions[K, In, Acc, Out]) touches(s *sessionState[Acc]) bool {
	return w.time < s.End && w.time+w.gap > s.Start
}

// insert adds the record to the sessions at hand.
func (w *sessions[K, In, Acc, Out]) insert(key K) error {
	merged := w.takeTouched()
	w.settle(&merged)
	at := len(w.all)
	for at > 0 && w.all[at-1].Start > merged.Start {
		at--
	}
	w.all = slices.Insert(w.all, at, keptSession[Acc]{merged, nowhere, true})
	if err := w.save(); err != nil {
		return err
	}
	w.follow(key)
	return nil
}

// takeTouched takes the sessions that the record touches, which are two at most, out of
// the list, and returns what becomes of them with it.
func (w *sessions[K, In, Acc, Out]) takeTouched() sessionState[Acc] {
	var merged sessionState[Acc]
	found := false
	w.all = slices.DeleteFunc(w.all, func(s keptSession[Acc]) bool {
		if !w.touches(&s.sessionState) {
			return false
		}
		w.remove(&s)
		if !found {
			merged, found = s.sessionState, true
			return true
		}
		merged.End, merged.Due = s.End, min(merged.Due, s.Due)
		merged.Pending = max(merged.Pending, merged.Pending+s.Pending)
		merged.Acc = w.agg.Merge(merged.Acc, s.Acc)
		return true
	})
	if !found {
		return w.newSession()
	}
	w.join(&merged)
	return merged
}
