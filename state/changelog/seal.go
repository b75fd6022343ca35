package changelog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// Seal is what a checkpoint says about the keyed state of a process: for
// snapshot.Process.
type Seal struct {
	// Keyed is each log's complete handle: inherited segments or an image,
	// then the changes up to the cut.
	Keyed map[*Log]snapshot.Keyed
	// Objects are the runs of objects that the handles name.
	Objects []snapshot.Run
	// Released are this process's objects that no handle will name again.
	Released []snapshot.Run
	// Puts and Bytes count what was uploaded since the last Seal.
	Puts, Bytes int64
}

// Seal makes everything up to the cuts durable and returns the logs' handles.
// cuts holds one cut for each log that takes part, taken for checkpoint id.
//
// When an upload fails, Seal returns its error, which names the object. Nothing
// is lost: the upload goes on being tried, and the next Seal covers it. Seal
// needs Run; it returns ErrStopped when Run has ended, and ctx's cause when ctx
// has.
func (u *Uploader) Seal(ctx context.Context, id dataflow.CheckpointID, cuts map[*Log]state.Cut) (*Seal, error) {
	waits, err := u.beginSeal(cuts)
	if err != nil {
		return nil, fmt.Errorf("seal checkpoint %d: %w", id, err)
	}
	u.signal()
	for _, w := range waits {
		if err := u.await(ctx, w); err != nil {
			return nil, fmt.Errorf("seal checkpoint %d: %w", id, err)
		}
	}
	return u.finishSeal(id, cuts)
}

// wait is a pack that a Seal needs, and the failures that it knew already.
type wait struct {
	pack     *pack
	failures int
}

// beginSeal packs what the cuts cover and returns the packs to wait for.
func (u *Uploader) beginSeal(cuts map[*Log]state.Cut) ([]wait, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	unpacked := false
	for l, cut := range cuts {
		if cut.Position > l.position {
			return nil, fmt.Errorf("changelog %q: cut at %d, but there are %d entries", l.name, cut.Position, l.position)
		}
		unpacked = unpacked || cut.Position > l.packed
	}
	if unpacked {
		u.packLocked()
	}
	needed := map[*pack]bool{}
	for l, cut := range cuts {
		for _, s := range l.segments {
			if !s.durable && s.From < cut.Position {
				needed[s.pack] = true
			}
		}
	}
	var waits []wait
	for _, p := range u.queue { // oldest first
		if needed[p] {
			p.retryAt = time.Time{} // now
			waits = append(waits, wait{p, p.failures})
		}
	}
	return waits, nil
}

// await waits until the pack is durable, or has failed once more.
func (u *Uploader) await(ctx context.Context, w wait) error {
	for {
		u.mu.Lock()
		durable, failed, err := w.pack.durable, w.pack.failures > w.failures, w.pack.err
		stopped, changed := u.stopped, u.changed
		u.mu.Unlock()
		switch {
		case durable:
			return nil
		case failed:
			return err
		case stopped:
			return ErrStopped
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}

// finishSeal builds the handles. Everything that the cuts cover is durable.
func (u *Uploader) finishSeal(id dataflow.CheckpointID, cuts map[*Log]state.Cut) (*Seal, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	seal := &Seal{Keyed: make(map[*Log]snapshot.Keyed, len(cuts))}
	var runs runs
	for l, cut := range cuts {
		k := l.handleLocked(id, cut)
		for _, s := range k.Segments {
			if err := runs.addKey(s.Ref.Key); err != nil {
				return nil, fmt.Errorf("seal checkpoint %d: changelog %q: %w", id, l.name, err)
			}
		}
		seal.Keyed[l] = k
	}
	seal.Objects = runs.merged()
	seal.Released = u.reportLocked(id)
	seal.Puts, seal.Bytes = u.stats.Puts-u.reported.Puts, u.stats.Bytes-u.reported.Bytes
	u.reported = u.stats
	return seal, nil
}

// handleLocked is the log's handle at the cut of checkpoint id.
func (l *Log) handleLocked(id dataflow.CheckpointID, cut state.Cut) snapshot.Keyed {
	f := &l.front
	if n := l.next; n != nil && n.at <= cut.Position && n.durable() {
		if f = n; f.usedIn == 0 || id < f.usedIn {
			f.usedIn = id
		}
	}
	k := snapshot.Keyed{GroupLo: l.lo, GroupHi: l.hi, Entries: cut.Entries, Bytes: cut.Bytes}
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
		return r.reported != 0 && r.reported <= id
	})
}

// advanceLocked puts the next front into the place of the old one.
func (l *Log) advanceLocked() {
	for _, s := range l.front.image {
		l.u.dropLocked(s)
	}
	l.front, l.next = *l.next, nil
	kept := l.segments[:0:0]
	for _, s := range l.segments {
		if s.To <= l.front.at {
			l.u.dropLocked(s)
		} else {
			kept = append(kept, s)
		}
	}
	l.segments = kept
}

// dropLocked says that a log will never name the segment again.
func (u *Uploader) dropLocked(s *segment) {
	o := s.pack.object
	if o.refs--; o.refs > 0 {
		return
	}
	u.released = append(u.released, releasedObject{number: o.number})
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

// runs collects objects as intervals.
type runs []snapshot.Run

func (r *runs) add(prefix string, number uint64) {
	if n := len(*r); n > 0 {
		last := &(*r)[n-1]
		if last.Prefix == prefix && last.Lo <= number && number <= last.Hi+1 {
			last.Hi = max(last.Hi, number)
			return
		}
	}
	*r = append(*r, snapshot.Run{Prefix: prefix, Lo: number, Hi: number})
}

func (r *runs) addKey(key string) error {
	prefix, number, err := parseKey(key)
	if err == nil {
		r.add(prefix, number)
	}
	return err
}

// merged returns the runs in order, disjoint and not touching each other.
func (r runs) merged() []snapshot.Run {
	slices.SortFunc(r, func(a, b snapshot.Run) int {
		return cmp.Or(cmp.Compare(a.Prefix, b.Prefix), cmp.Compare(a.Lo, b.Lo))
	})
	var out []snapshot.Run
	for _, run := range r {
		if n := len(out); n > 0 && out[n-1].Prefix == run.Prefix && run.Lo <= out[n-1].Hi+1 {
			out[n-1].Hi = max(out[n-1].Hi, run.Hi)
			continue
		}
		out = append(out, run)
	}
	return out
}
