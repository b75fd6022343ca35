package changelog

import (
	"slices"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// handleLocked is the log's handle at the cut of checkpoint id.
func (l *Log) handleLocked(id dataflow.CheckpointID, cut state.Cut) snapshot.Keyed {
	f := &l.front
	if n := l.next; n != nil && n.usable <= cut.Position {
		if f = n; f.usedIn == 0 || id < f.usedIn {
			f.usedIn = id
		}
	}
	k := snapshot.Keyed{GroupLo: l.lo, GroupHi: l.hi, Entries: cut.Entries, Bytes: cut.Bytes, Estimated: cut.Estimated, States: l.statesLocked()}
	k.Segments = append(k.Segments, f.inherited...)
	for _, s := range f.image {
		k.Segments = append(k.Segments, s.Segment)
	}
	for _, s := range l.segments {
		if s.To <= f.at || s.From >= cut.Position {
			continue
		}
		seg := s.Segment
		seg.From, seg.To = max(seg.From, f.at), min(seg.To, cut.Position)
		k.Segments = append(k.Segments, seg)
	}
	return k
}

// statesLocked says what the store's states are now: what a restore makes of
// entries that older segments have in other schemas.
func (l *Log) statesLocked() (states []snapshot.State) {
	for _, d := range l.defs {
		for int(d.handle) >= len(states) {
			states = append(states, snapshot.State{})
		}
		states[d.handle] = snapshot.State{Name: d.name, Kind: d.kind, Schema: d.schema}
	}
	return states
}

// Completed says that Raft has completed checkpoint id, and with it ended all
// older ones that were pending. Logs whose handle in it began with an image let
// go of what the image replaced. Calls for the same id may be repeated.
func (u *Uploader) Completed(id dataflow.CheckpointID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, l := range u.logs {
		if n := l.next; n != nil && n.usedIn != 0 && n.usedIn <= id {
			l.advanceLocked()
		}
	}
	u.released = slices.DeleteFunc(u.released, func(r releasedObject) bool {
		known := r.reported != 0 && r.reported <= id
		if known {
			u.garbage = append(u.garbage, objectKey(u.cfg.Prefix, r.number))
		}
		return known
	})
	u.signal()
}

// advanceLocked puts the next front into the place of the old one.
func (l *Log) advanceLocked() {
	old := l.front
	l.front, l.next = *l.next, nil
	for _, s := range old.image {
		l.u.dropLocked(s)
	}
	kept := l.segments[:0:0]
	for _, s := range l.segments {
		if s.To <= l.front.at {
			l.u.dropLocked(s)
		} else {
			kept = append(kept, s)
		}
	}
	l.segments = kept
	l.u.disinheritLocked(&old)
}

// dropLocked says that a log's handles will not name the segment again.
func (u *Uploader) dropLocked(s *segment) {
	o := s.object
	if o == nil {
		return // of an earlier attempt
	}
	if o.refs--; o.refs > 0 {
		return
	}
	delete(u.sums, objectKey(u.cfg.Prefix, o.number))
	u.released = append(u.released, releasedObject{number: o.number})
}

// disinheritLocked forgets those objects of earlier attempts that the front named,
// and no log names any more.
func (u *Uploader) disinheritLocked(old *front) {
	gone := map[string]bool{}
	old.eachInherited(func(key string) { gone[key] = true })
	if len(gone) == 0 {
		return
	}
	for _, l := range u.logs {
		l.front.eachInherited(func(key string) { delete(gone, key) })
	}
	for key := range gone {
		delete(u.sums, key)
		u.garbage = append(u.garbage, key)
	}
}

// eachInherited calls f for the objects of earlier attempts that the front names.
func (f *front) eachInherited(use func(key string)) {
	for _, s := range f.inherited {
		use(s.Ref.Key)
	}
	for _, s := range f.image {
		if s.object == nil {
			use(s.Ref.Key)
		}
	}
}

// reportLocked returns what is released and not known to be by everyone.
func (u *Uploader) reportLocked(id dataflow.CheckpointID) []snapshot.Run {
	var runs runs
	for i := range u.released {
		r := &u.released[i]
		if r.reported == 0 || id < r.reported {
			r.reported = id
		}
		runs.add(u.cfg.Prefix, r.number)
	}
	return runs.merged()
}
