package changelog

import (
	"context"
	"fmt"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// ImagePolicy decides when a log starts again from a full image of its store.
// An image makes restores shorter and lets old objects go; it costs an upload of
// the live state and a pause to write it down.
type ImagePolicy struct {
	// LogBytesMin is how many bytes of changes there are at least between two
	// images. Default DefaultLogBytesMin.
	LogBytesMin int64
	// LogPerLive is how many times the live state the changes may grow to.
	// Default DefaultLogPerLive.
	LogPerLive int64
	// SegmentsMax is how many segments of changes a handle may name. Default
	// DefaultSegmentsMax.
	SegmentsMax int
}

const (
	// DefaultLogBytesMin replays in a few tens of milliseconds.
	DefaultLogBytesMin = 8 << 20
	// DefaultLogPerLive writes at most half as much in images as in changes.
	DefaultLogPerLive = 2
	// DefaultSegmentsMax keeps a handle below about 100 KiB of metadata. A
	// quiet job with a checkpoint each second reaches it every 8 minutes.
	DefaultSegmentsMax = 512
	// sharedLogFactor: a log also starts again when the process as a whole has
	// written so many times what the policy allows to all of its logs. Objects hold
	// segments of many logs, so one that never changes would otherwise keep
	// all objects alive for ever.
	sharedLogFactor = 4
)

// Log is the changelog of one store. The store's goroutine calls the methods
// that state.Log names.
type Log struct {
	u        *Uploader
	name     string
	lo, hi   int
	defs     []definition
	pending  []block // not in a segment yet
	position uint64  // entries appended
	packed   uint64  // entries in segments

	segments []*segment // of changes, in order
	front    front      // what handles begin with
	next     *front     // an image that will take front's place, or nil

	live       int64 // bytes, as of the last barrier
	sinceImage int64 // bytes of changes since the last image
	segsSince  int   // segments since the last image
	writtenAt  int64 // u.written as of the last image
}

var _ state.Log = (*Log)(nil)

// front is the beginning of a handle: everything up to position at.
type front struct {
	inherited []snapshot.Segment // of earlier attempts
	image     []*segment
	at        uint64
	usedIn    dataflow.CheckpointID // the first checkpoint sealed with it
}

func (f *front) durable() bool {
	for _, s := range f.image {
		if !s.durable {
			return false
		}
	}
	return true
}

// segment is a snapshot.Segment to be. Its Ref is known once it is durable.
type segment struct {
	snapshot.Segment
	pack    *pack
	durable bool
}

type definition struct {
	handle             state.Handle
	name, kind, schema string
}

// block is some encoded entries, in memory of the log's own.
type block struct {
	data    []byte
	entries int
}

// blockBytes is how large a block gets before the next is begun.
const blockBytes = 256 << 10

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
			l.sinceImage += s.Ref.Length
			l.segsSince++
		}
	}
}

// Define implements state.Log.
func (l *Log) Define(h state.Handle, d state.Definition) {
	l.u.mu.Lock()
	defer l.u.mu.Unlock()
	l.defs = append(l.defs, definition{h, d.Name, d.Kind, d.Schema})
}

// Append implements state.Log.
func (l *Log) Append(data []byte, entries int) (next []byte) {
	l.append(data, entries)
	return data[:0]
}

func (l *Log) append(data []byte, entries int) {
	u := l.u
	u.mu.Lock()
	for u.waiting >= u.cfg.WaitingBytes && !u.stopped {
		changed := u.changed
		u.mu.Unlock()
		<-changed
		u.mu.Lock()
	}
	defer u.mu.Unlock()
	if u.stopped {
		return
	}
	l.addLocked(data, entries)
	first := u.pending == 0
	if first {
		u.oldest = time.Now()
	}
	u.pending += len(data)
	u.waiting += int64(len(data))
	u.written += int64(len(data))
	if first || u.pending >= u.cfg.PackBytes || u.waiting >= u.cfg.WaitingBytes {
		u.signal()
	}
}

func (l *Log) addLocked(data []byte, entries int) {
	n := len(l.pending)
	if n == 0 || len(l.pending[n-1].data)+len(data) > blockBytes {
		l.pending = append(l.pending, block{})
		n++
	}
	b := &l.pending[n-1]
	b.data = append(b.data, data...)
	b.entries += entries
	l.position += uint64(entries)
	l.sinceImage += int64(len(data))
}

// WantsImage implements state.Log.
func (l *Log) WantsImage(liveBytes int64) bool {
	u := l.u
	u.mu.Lock()
	defer u.mu.Unlock()
	l.live = liveBytes
	if l.next != nil || u.imaging != nil || u.stopped {
		return false
	}
	return l.sinceImage > l.allowanceLocked() || l.segsSince > u.cfg.Image.SegmentsMax || l.holdsOthersLocked()
}

// allowanceLocked is how many bytes of changes the log may have.
func (l *Log) allowanceLocked() int64 {
	p := l.u.cfg.Image
	return max(p.LogBytesMin, p.LogPerLive*l.live)
}

// holdsOthersLocked reports whether the log's old segments keep too many
// objects alive that are full of others' changes.
func (l *Log) holdsOthersLocked() bool {
	if len(l.segments) == 0 && len(l.front.image) == 0 {
		return false
	}
	var all int64
	for _, other := range l.u.logs {
		all += other.allowanceLocked()
	}
	return l.u.written-l.writtenAt > sharedLogFactor*all
}

// Image implements state.Log. The image is uploaded beside the log; handles
// begin with it from the first checkpoint on that is sealed after it is durable.
func (l *Log) Image(i state.Image) {
	var blocks []state.Block
	_ = i.Write(context.Background(), func(b state.Block) error { blocks = append(blocks, b); return nil })
	i.Close()
	u := l.u
	u.mu.Lock()
	defer u.mu.Unlock()
	l.next = &front{at: l.position}
	l.sinceImage, l.segsSince, l.writtenAt = 0, 0, u.written
	if len(blocks) == 0 {
		return
	}
	u.imaging = l
	var p *pack
	for _, b := range blocks {
		if p == nil || p.raw+len(b.Data) > objectBytes {
			p = u.newPackLocked()
			p.image = true
			u.images = append(u.images, p)
		}
		s := snapshot.Segment{Base: true, From: l.position, To: l.position, GroupLo: b.GroupLo, GroupHi: b.GroupHi}
		seg := p.addLocked(l, s, []block{{b.Data, b.Entries}})
		l.next.image = append(l.next.image, seg)
	}
	u.signal()
}
