package changelog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
)

// CopyConfig says where Uploader.Copy reads from.
type CopyConfig struct {
	Bucket objectstore.Bucket
	// Prefix comes before the keys of all references.
	Prefix string
	// Rows reads segments of SegmentParquet.
	Rows RowReader
	// Progress, if not nil, is told how many of the bytes to copy are done. Calls come
	// one at a time and must not block.
	Progress func(done, total int64)
}

const (
	// copiesAtOnce is how many objects are made at once: with what is read for them,
	// some hundred mebibytes of memory at most.
	copiesAtOnce = 4
	// copyReads is how many reads are under way for one of them.
	copyReads = 8
	// copyGroupHi is what the index of a copy says of the key groups of its segments. What
	// was narrowed by its reference still holds the others.
	copyGroupHi = 1<<16 - 1
)

// Copy copies everything that the targets are to be restored from into objects of the
// uploader's own, and returns targets that name only those: a checkpoint of what is
// restored from them names nothing of the bucket that was read. It is for restore points
// that no catalog keeps for this job.
//
// Segments are copied as they are, but for rows of a canonical savepoint, which become
// parts of an image, so that any backend can take them. Every byte is verified. It is called
// before Run, and what it has written when it fails is garbage of the attempt. The copies
// are kept on the local disk too, if the uploader keeps any, so that the
// restore reads them there.
func (u *Uploader) Copy(ctx context.Context, cfg CopyConfig, targets []Target) ([]Target, error) {
	c := &copier{u: u, cfg: cfg, planned: map[copied]bool{}, made: map[copied]snapshot.Segment{}}
	out := c.plan(targets)
	if err := c.run(ctx); err != nil {
		return nil, fmt.Errorf("copy: %w", err)
	}
	for i := range out {
		for j := range out[i].Handles {
			k := &out[i].Handles[j]
			for n, s := range k.Segments {
				k.Segments[n] = c.own(s)
			}
		}
	}
	return out, nil
}

// copied is what a segment is copied once for. Rows of other key groups are another copy.
type copied struct {
	ref    objectstore.Ref
	lo, hi int
}

func copiedOf(s snapshot.Segment) copied {
	if s.Kind == snapshot.SegmentParquet {
		return copied{s.Ref, s.GroupLo, s.GroupHi}
	}
	return copied{ref: s.Ref}
}

// copier copies the segments of a restore.
type copier struct {
	u       *Uploader
	cfg     CopyConfig
	parts   []piece                 // what to copy; chain is the target that wants it
	names   []string                // of the targets
	newest  []map[string]definition // of the targets
	planned map[copied]bool
	total   int64

	mu   sync.Mutex // guards what follows, and calls of cfg.Progress
	made map[copied]snapshot.Segment
	done int64
}

// plan narrows the targets' handles and notes what is to be copied.
func (c *copier) plan(targets []Target) []Target {
	out := slices.Clone(targets)
	for i := range out {
		t := &out[i]
		c.names, c.newest = append(c.names, t.Name), append(c.newest, newestOf(t.Handles))
		t.Handles = slices.Clone(t.Handles)
		for j, k := range t.Handles {
			_, t.Handles[j].Segments = narrow(i, []snapshot.Keyed{k}, t.GroupLo, t.GroupHi)
			for _, s := range t.Handles[j].Segments {
				c.add(i, s)
			}
		}
	}
	return out
}

func (c *copier) add(target int, s snapshot.Segment) {
	if id := copiedOf(s); !c.planned[id] {
		c.planned[id] = true
		c.parts = append(c.parts, piece{chain: target, segment: s})
		c.total += s.Ref.Length
	}
}

// own is the segment as the uploader's own objects have it.
func (c *copier) own(s snapshot.Segment) snapshot.Segment {
	made := c.made[copiedOf(s)]
	made.GroupLo, made.GroupHi = s.GroupLo, s.GroupHi
	if !s.Base {
		made.From, made.To = s.From, s.To // as far as the reference goes
	}
	return made
}

// run makes the objects, several at once.
func (c *copier) run(ctx context.Context) error {
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(copiesAtOnce)
	c.tell(0)
	for _, reads := range grouped(joined(c.parts)) {
		if inner.Err() != nil {
			break
		}
		group.Go(func() error { return c.object(inner, reads) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// grouped puts reads together that make an object of about objectBytes.
func grouped(reads []*read) (objects [][]*read) {
	var size int64
	for _, r := range reads {
		if n := r.to - r.from; len(objects) == 0 || size+n > objectBytes {
			objects, size = append(objects, nil), 0
		}
		last := len(objects) - 1
		objects[last] = append(objects[last], r)
		size += r.to - r.from
	}
	return objects
}

// object reads the parts of one object and writes it.
func (c *copier) object(ctx context.Context, reads []*read) error {
	data := make([][]raw, len(reads))
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(copyReads)
	src := &source{bucket: c.cfg.Bucket, prefix: c.cfg.Prefix}
	for i, r := range reads {
		group.Go(func() (err error) {
			data[i], err = r.fetch(inner, src, nil)
			if err != nil {
				return c.failed(r.parts[0], err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	o := &copyObject{c: c, encoder: newEncoder()}
	for i, r := range reads {
		for j, p := range r.parts {
			if err := o.add(p, data[i][j]); err != nil {
				return c.failed(p, err)
			}
		}
	}
	return o.write(ctx)
}

// failed says what an error kept from being copied.
func (c *copier) failed(p piece, err error) error {
	if p.segment.Kind == snapshot.SegmentParquet {
		err = fmt.Errorf("state %q: %w", p.segment.Name, err)
	}
	return fmt.Errorf("%s: key groups %d to %d: %w", cmp.Or(c.names[p.chain], "a store"), p.segment.GroupLo, p.segment.GroupHi, err)
}

// tell counts bytes that are copied.
func (c *copier) tell(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done += n; c.cfg.Progress != nil && c.total > 0 {
		c.cfg.Progress(c.done, c.total)
	}
}

// copyObject is an object that is being made.
type copyObject struct {
	c       *copier
	encoder *encoder
	parts   []piece            // as they were
	made    []snapshot.Segment // as they are, but for the key
	size    int64              // of the originals
	files   bool
}

// add adds a segment.
func (o *copyObject) add(p piece, x raw) error {
	s := p.segment
	o.size += s.Ref.Length
	o.parts = append(o.parts, p)
	if s.Kind == snapshot.SegmentParquet {
		return o.addRows(p, x)
	}
	if err := s.Ref.Verify(x.data); err != nil {
		return damaged(o.c.cfg.Prefix+s.Ref.Key, err)
	}
	o.files = o.files || s.Kind == snapshot.SegmentFile
	e := o.encoder
	s.Ref.Offset, s.Ref.Key = int64(len(e.out)), ""
	e.out = append(e.out, x.data...)
	o.made = append(o.made, s)
	s.GroupLo, s.GroupHi = 0, copyGroupHi
	e.describe(o.c.names[p.chain], x.data[0], s)
	return nil
}

// addRows adds rows of a canonical savepoint as a part of an image.
func (o *copyObject) addRows(p piece, x raw) error {
	f, err := x.frame(p.segment, o.c.newest[p.chain], o.c.cfg.Rows, nil)
	if err != nil {
		return err
	}
	seg := &segment{Segment: snapshot.Segment{Base: true, GroupLo: p.segment.GroupLo, GroupHi: p.segment.GroupHi}}
	o.encoder.add(&part{
		log: o.c.names[p.chain], content: contentEntries, defs: f.defs, segment: seg,
		blocks: []block{{f.body, int(f.entries)}},
	}, o.c.u.compression)
	o.made = append(o.made, seg.Segment)
	return nil
}

// write makes the object durable.
func (o *copyObject) write(ctx context.Context) error {
	u := o.c.u
	data := o.encoder.finish()
	u.mu.Lock()
	u.lastObject++
	key := objectKey(u.cfg.Prefix, u.lastObject)
	u.mu.Unlock()
	if err := u.cfg.Bucket.Put(ctx, key, data, objectstore.PutOptions{IfAbsent: true}); err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	if !o.files && !u.cfg.SpoolOnly && u.local.usable() {
		_ = u.local.Put(key, data) // it is read from the bucket then
	}
	u.mu.Lock()
	u.sums[key] = snapshot.Sum{Size: int64(len(data)), CRC32C: objectstore.CRC32C(data)}
	u.stats.Puts++
	u.stats.Bytes += int64(len(data))
	u.mu.Unlock()
	o.c.mu.Lock()
	for i, s := range o.made {
		s.Ref.Key = key
		o.c.made[copiedOf(o.parts[i].segment)] = s
	}
	o.c.mu.Unlock()
	o.c.tell(o.size)
	return nil
}
