package changelog

import (
	"fmt"
	"slices"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// Log is the changelog of one store. The store's goroutine calls the methods
// that state.Log names.
type Log struct {
	u        *Uploader
	name     string
	lo, hi   int
	defs     []definition // never changed, but replaced
	pending  []block      // not in a segment yet
	position uint64       // entries appended
	packed   uint64       // entries in segments
	waiting  int64        // bytes of changes that are not durable
	since    time.Time    // when the first of the pending ones came

	segments []*segment // of changes, in order
	front    front      // what handles begin with
	next     *front     // a durable image that will take front's place, or nil

	live          int64  // bytes, as of the last barrier
	total         amount // logged since the start, and inherited
	base          amount // total as of the image
	writtenAt     int64  // u.written as of the image
	imaging       *imaging
	imageFailures int
	imageAfter    time.Time // no image before
}

var _ state.Log = (*Log)(nil)

// front is the beginning of a handle: everything up to position at.
type front struct {
	inherited []snapshot.Segment // of earlier attempts
	image     []*segment
	at        uint64
	usable    uint64                // by cuts from here on
	usedIn    dataflow.CheckpointID // the first checkpoint sealed with it
}

// segment is a snapshot.Segment to be. Its Ref is known once it is durable.
type segment struct {
	snapshot.Segment
	object  *object // nil: of an earlier attempt
	pack    *pack
	since   time.Time // when its first change came
	durable bool
}

// object is one of ours; refs counts the segments in it that a log names.
type object struct {
	number uint64
	refs   int
}

// Log makes the log of one store, for the key groups that the store holds. A
// name names one log per uploader.
func (u *Uploader) Log(name string, groupLo, groupHi int) (*Log, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, ok := u.logs[name]; ok {
		return nil, fmt.Errorf("changelog %q: there is one already", name)
	}
	l := &Log{u: u, name: name, lo: groupLo, hi: groupHi, writtenAt: u.written}
	u.logs[name] = l
	return l, nil
}

// Inherit puts the segments that the store was restored from, as Restore
// returned them, in front of the log's own. Call it before the first change.
func (l *Log) Inherit(segments []snapshot.Segment) {
	l.u.mu.Lock()
	defer l.u.mu.Unlock()
	l.front.inherited = segments
	for _, s := range segments {
		if !s.Base {
			l.total.add(amount{entries: int64(s.To - s.From), bytes: s.Ref.Length, segments: 1})
		}
	}
}

// InheritSums tells of the sums of inherited objects, as a snapshot.Process has
// them, for Seal.Sums. It may be called several times.
func (u *Uploader) InheritSums(objects []snapshot.Run, sums []snapshot.Sum) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, r := range objects {
		for n := r.Lo; n <= r.Hi && len(sums) > 0; n++ {
			u.sums[objectKey(r.Prefix, n)] = sums[0]
			sums = sums[1:]
		}
	}
}

// Define implements state.Log.
func (l *Log) Define(h state.Handle, d state.Definition) {
	l.u.mu.Lock()
	defer l.u.mu.Unlock()
	known := definition{h, d.Name, d.Kind, d.Schema}
	i := slices.IndexFunc(l.defs, func(d definition) bool { return d.handle == h })
	if i >= 0 && l.defs[i] == known {
		return
	}
	defs := slices.Clone(l.defs)
	if i < 0 {
		l.defs = append(defs, known)
		return
	}
	if len(l.pending) > 0 { // is of the old schema
		l.u.packLocked()
	}
	defs[i] = known
	l.defs = defs
}

// Append implements state.Log.
func (l *Log) Append(data []byte, entries int) (next []byte) {
	if entries == 0 {
		return data[:0]
	}
	u := l.u
	u.mu.Lock()
	for u.memory >= u.cfg.WaitingBytes && !u.stopped {
		changed := u.changed
		u.mu.Unlock()
		<-changed
		u.mu.Lock()
	}
	defer u.mu.Unlock()
	if u.stopped {
		return data[:0]
	}
	size := len(data)
	u.countLocked(l, size)
	l.total.add(amount{entries: int64(entries), bytes: int64(size)})
	l.position += uint64(entries)
	return l.keepLocked(data, entries)
}

// countLocked adds to what waits, and wakes Run if that makes a difference.
func (u *Uploader) countLocked(l *Log, size int) {
	first := u.pending == 0
	if first || len(l.pending) == 0 {
		now := time.Now()
		if first {
			u.oldest = now
		}
		if len(l.pending) == 0 {
			l.since = now
		}
	}
	u.pending += size
	u.waiting += int64(size)
	u.memory += int64(size)
	u.written += int64(size)
	l.waiting += int64(size)
	if first || u.pending >= u.cfg.PackBytes || u.memory >= u.cfg.WaitingBytes/2 {
		u.signal()
	}
}

// Lag tells how many bytes of the log are not durable yet, and the age of the
// oldest change among them; 0 if there is none.
func (l *Log) Lag() (bytes int64, age time.Duration) {
	l.u.mu.Lock()
	defer l.u.mu.Unlock()
	if l.waiting == 0 {
		return 0, 0
	}
	since := l.since
	for _, s := range l.segments {
		if !s.durable {
			since = s.since
			break
		}
	}
	return l.waiting, time.Since(since)
}
