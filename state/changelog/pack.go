package changelog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
)

// pack is an object that is not durable yet. Its number, and with it its name,
// belongs to its content: a retry sends the same bytes.
type pack struct {
	number uint64
	key    string
	object *object
	parts  []part
	raw    int    // bytes of entries in it
	image  bool   // parts of an image; the checkpoint does not wait for it
	data   []byte // the object, once encoded; only upload touches it

	uploading bool
	durable   bool
	failures  int
	err       error     // of the last failure
	retryAt   time.Time // not before
}

// part is one log's segment in a pack.
type part struct {
	log     string
	lo, hi  int // the log's key groups
	defs    []definition
	blocks  []block
	segment *segment
}

// newPackLocked takes the next object number.
func (u *Uploader) newPackLocked() *pack {
	u.lastObject++
	o := &object{number: u.lastObject}
	return &pack{number: o.number, key: objectKey(u.cfg.Prefix, o.number), object: o}
}

// addLocked adds blocks of a log to the pack as a segment.
func (p *pack) addLocked(l *Log, s snapshot.Segment, blocks []block) *segment {
	seg := &segment{Segment: s, pack: p}
	p.parts = append(p.parts, part{l.name, s.GroupLo, s.GroupHi, slices.Clone(l.defs), blocks, seg})
	for _, b := range blocks {
		p.raw += len(b.data)
	}
	p.object.refs++
	return seg
}

// packLocked moves all pending changes into packs. Logs go in the order of
// their names, so that the same changes make the same objects.
func (u *Uploader) packLocked() {
	logs := make([]*Log, 0, len(u.logs))
	for _, l := range u.logs {
		if len(l.pending) > 0 {
			logs = append(logs, l)
		}
	}
	slices.SortFunc(logs, func(a, b *Log) int { return cmp.Compare(a.name, b.name) })
	var p *pack
	for _, l := range logs {
		for len(l.pending) > 0 {
			if p == nil || p.raw >= objectBytes {
				p = u.newPackLocked()
				u.queue = append(u.queue, p)
			}
			l.packLocked(p)
		}
	}
	u.pending = 0
}

// packLocked moves as many pending blocks as fit into the pack, at least one,
// as one segment.
func (l *Log) packLocked(p *pack) {
	n, size, entries := 0, p.raw, uint64(0)
	for n < len(l.pending) && (n == 0 || size < objectBytes) {
		size += len(l.pending[n].data)
		entries += uint64(l.pending[n].entries)
		n++
	}
	s := snapshot.Segment{From: l.packed, To: l.packed + entries, GroupLo: l.lo, GroupHi: l.hi}
	l.segments = append(l.segments, p.addLocked(l, s, l.pending[:n:n]))
	l.pending = l.pending[n:]
	if len(l.pending) == 0 {
		l.pending = nil
	}
	l.packed = s.To
	l.segsSince++
}

// upload sends a pack once and records what became of it.
func (u *Uploader) upload(ctx context.Context, p *pack) {
	if p.data == nil {
		p.data = p.encode()
	}
	err := u.cfg.Bucket.Put(ctx, p.key, p.data, objectstore.PutOptions{IfAbsent: true})
	u.mu.Lock()
	defer u.mu.Unlock()
	p.uploading = false
	u.uploading--
	switch {
	case err == nil:
		u.durableLocked(p)
	case ctx.Err() == nil: // else Run ends
		u.failedLocked(p, err)
	}
	u.notifyLocked()
	u.signal()
}

const (
	// retryMin and retryMax bound the wait before an upload is tried again.
	// The bucket has retried already; a Seal does not wait for the time.
	retryMin = 100 * time.Millisecond
	retryMax = 5 * time.Second
)

func (u *Uploader) failedLocked(p *pack, err error) {
	p.err = fmt.Errorf("upload %s: %w", p.key, err)
	p.retryAt = time.Now().Add(min(retryMin<<min(p.failures, 10), retryMax))
	p.failures++
	u.stats.Failed++
	u.cfg.Log.Warn("upload will be tried again", "object", p.key, "failures", p.failures, "error", err)
}

func (u *Uploader) durableLocked(p *pack) {
	p.durable = true
	u.stats.Puts++
	u.stats.Bytes += int64(len(p.data))
	for i := range p.parts {
		p.parts[i].segment.durable = true
	}
	p.parts, p.data = nil, nil
	isP := func(q *pack) bool { return q == p }
	if !p.image {
		u.waiting -= int64(p.raw)
		u.queue = slices.DeleteFunc(u.queue, isP)
		return
	}
	if u.images = slices.DeleteFunc(u.images, isP); len(u.images) == 0 {
		u.imaging = nil
	}
}
