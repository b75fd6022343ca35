package changelog

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/cairnstream/cairn/snapshot"
)

const (
	// readsMax is how many reads may be under way or wait to be loaded: enough
	// to hide the latency of an object store.
	readsMax = 16
	// readingBytes is how many bytes these may have in memory. Each of them has
	// one decoded segment besides.
	readingBytes = 64 << 20
)

// restorer carries out reads: many at once, loaded in the order of each chain.
//
// Reads are started in an order in which each depends on earlier ones only. So
// the oldest that is under way never waits, and all others come to be the oldest.
type restorer struct {
	source  source
	rows    RowReader
	targets []*target
	chains  []*chain
	gates   [][]gate // by chain and stage

	meter   meter
	entries atomic.Int64
	reads   atomic.Int64
	spare   spare
}

// gate opens when all parts of a stage are loaded.
type gate struct {
	left   atomic.Int64
	opened chan struct{}
}

func newRestorer(cfg RestoreConfig) *restorer {
	r := &restorer{source: source{bucket: cfg.Bucket, local: cfg.Local, prefix: cfg.Prefix}, rows: cfg.Rows}
	r.meter.tell = cfg.Progress
	return r
}

// run restores everything.
func (r *restorer) run(ctx context.Context) error {
	reads := planReads(r.chains)
	for _, c := range r.chains {
		gates := make([]gate, len(c.stages))
		for i := range c.stages {
			gates[i].opened = make(chan struct{})
			gates[i].left.Store(int64(len(c.stages[i].segments)))
			if c.stages[i].files() {
				gates[i].left.Store(1)
			}
			for _, s := range c.stages[i].segments {
				r.meter.total += s.Ref.Length
			}
		}
		r.gates = append(r.gates, gates)
	}
	r.meter.start()
	return r.carryOut(ctx, reads)
}

// carryOut starts the reads in order, as far as there is room.
func (r *restorer) carryOut(ctx context.Context, reads []*read) error {
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(readsMax)
	room := semaphore.NewWeighted(readingBytes)
	for _, rd := range reads {
		size := min(rd.to-rd.from, readingBytes)
		if room.Acquire(inner, size) != nil {
			break // inner has ended: Wait tells why
		}
		group.Go(func() error {
			defer room.Release(size)
			return r.do(inner, rd)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// do carries out one read.
func (r *restorer) do(ctx context.Context, rd *read) error {
	if rd.key == "" {
		return r.files(ctx, rd.parts[0])
	}
	m := r.spare.get()
	defer r.spare.put(m)
	segments, err := rd.fetch(ctx, &r.source, m.room(rd.to-rd.from))
	if err != nil {
		return r.failed(rd.parts[0], err)
	}
	remote := false
	for i, p := range rd.parts {
		if err := r.piece(ctx, p, segments[i], m); err != nil {
			return r.failed(p, err)
		}
		remote = remote || !segments[i].local
		segments[i] = raw{}
	}
	if remote {
		r.reads.Add(1)
	}
	return nil
}

// failed says what an error kept from being restored.
func (r *restorer) failed(p piece, err error) error {
	c := r.chains[p.chain]
	if p.segment.Kind == snapshot.SegmentParquet {
		err = fmt.Errorf("state %q: %w", p.segment.Name, err)
	}
	err = fmt.Errorf("restore key groups %d to %d: %w", c.lo, c.hi, err)
	if name := r.targets[c.target].name; name != "" {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return err
}

// piece decodes a segment, waits until it is its turn, and loads it.
func (r *restorer) piece(ctx context.Context, p piece, segment raw, m *memory) error {
	into := r.targets[r.chains[p.chain].target]
	f, err := segment.frame(p.segment, into.newest, r.rows, m.decoded)
	if err != nil {
		return err
	}
	if p.segment.Kind != snapshot.SegmentParquet && segment.compressed() && cap(f.body) > cap(m.decoded) {
		m.decoded = f.body[:0]
	}
	if err := r.turn(ctx, p); err != nil {
		return err
	}
	n, err := into.load(p.segment, f)
	if err != nil {
		return fmt.Errorf("object %s at %d: %w", p.segment.Ref.Key, p.segment.Ref.Offset, err)
	}
	r.entries.Add(n)
	r.meter.add(p.segment.Ref.Length, segment.local)
	r.finished(p)
	return nil
}

// turn waits until the stage before the piece's is loaded.
func (r *restorer) turn(ctx context.Context, p piece) error {
	if p.stage == 0 {
		return nil
	}
	select {
	case <-r.gates[p.chain][p.stage-1].opened:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// finished counts the piece as loaded. A stage whose predecessor is not loaded
// has no piece that is.
func (r *restorer) finished(p piece) {
	if g := &r.gates[p.chain][p.stage]; g.left.Add(-1) == 0 {
		close(g.opened)
	}
}

// files restores an image in files.
func (r *restorer) files(ctx context.Context, p piece) error {
	c := r.chains[p.chain]
	if err := r.turn(ctx, p); err != nil {
		return err
	}
	into, ok := r.targets[c.target].into.(FileLoader)
	if !ok {
		return r.failed(p, ErrNeedsFiles)
	}
	files := c.stages[p.stage].segments
	var fetched atomic.Int64
	t := r.targets[c.target]
	err := t.alone(func() error {
		if err := t.settleLocked(); err != nil {
			return err
		}
		return into.LoadFiles(ctx, files, c.lo, c.hi, func(ctx context.Context, s snapshot.Segment, path string) error {
			fetched.Add(s.Ref.Length)
			return r.fetchFile(ctx, s, path)
		})
	})
	if err != nil {
		return r.failed(p, err)
	}
	var all int64
	for _, s := range files {
		all += s.Ref.Length
	}
	r.meter.add(all-fetched.Load(), true) // what it did not ask for, it has
	r.finished(p)
	return nil
}

// fetchFile copies a file of an image to path.
func (r *restorer) fetchFile(ctx context.Context, s snapshot.Segment, path string) error {
	rd := &read{key: s.Ref.Key, from: s.Ref.Offset, to: s.Ref.Offset + s.Ref.Length, parts: []piece{{segment: s}}}
	segments, err := rd.fetch(ctx, &r.source, nil)
	if err != nil {
		return err
	}
	f, err := segments[0].decode(s, nil)
	if err != nil {
		return err
	}
	if err := writeWhole(path, f.body); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if !segments[0].local {
		r.reads.Add(1)
	}
	r.meter.add(s.Ref.Length, segments[0].local)
	return nil
}

// writeWhole writes a file that is there whole or not at all. It is not synced:
// a restore that is interrupted by a power cut starts anew.
func writeWhole(path string, data []byte) error {
	part := path + ".part"
	if err := os.WriteFile(part, data, 0o644); err != nil {
		return err
	}
	return os.Rename(part, path)
}
