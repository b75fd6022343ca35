package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state/changelog"
)

const (
	// restoreTurns is how often each way to read has its turn.
	restoreTurns = 3
	// imageTries bounds the checkpoints that are taken until there is an image: a
	// backend may need some of them to write one.
	imageTries = 50
	// plainBuffer is the plain reader's.
	plainBuffer = 1 << 20
)

// restores measures restores against the size of the state.
func (r *runner) restores(ctx context.Context) error {
	for _, backend := range r.cfg.Backends {
		for _, size := range r.sizes() {
			for _, base := range []bool{true, false} {
				if err := r.restoresOf(ctx, backend, size, base); err != nil {
					return fmt.Errorf("%s, %s: %w", backend, FormatSize(size), err)
				}
			}
		}
	}
	return nil
}

// restoresOf measures restores of one size, from a base or from the log alone.
func (r *runner) restoresOf(ctx context.Context, backend string, size int64, base bool) (err error) {
	from := map[bool]string{true: "base", false: "log"}[base]
	res := r.result("restore", backend, FormatSize(size)+" from "+from, fmt.Sprintf("restores of %s, written by a process with %d tasks: %d turns of a plain"+
		" reader, which streams the same objects one after the other, of a restore from the bucket, and of one from local copies; then at twice the parallelism",
		FormatSize(size), checkpointTasks, restoreTurns))
	set := sized(backend, size)
	set.logBytes = noImages
	if base {
		set.logBytes = size / 4
	}
	p, err := r.newProcess(ctx, set)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.discard(ctx)) }()
	c, err := p.written(ctx, base)
	if err = errors.Join(err, p.close()); err != nil {
		return err
	}
	s := source{runner: r, process: p, handles: p.handles(c)}
	return s.measure(ctx, res, base)
}

// written fills the state and returns a checkpoint of it, from an image if base.
func (p *process) written(ctx context.Context, base bool) (checkpoint, error) {
	if err := p.prepare(ctx); err != nil {
		return checkpoint{}, err
	}
	for range imageTries {
		c, err := p.checkpoint(ctx)
		if err != nil {
			return c, err
		}
		if !base || p.fromImages(c) {
			return c, nil
		}
		if err := p.settle(ctx); err != nil {
			return c, err
		}
	}
	return checkpoint{}, fmt.Errorf("no image after %d checkpoints", imageTries)
}

// fromImages tells whether all tasks' handles begin with an image.
func (p *process) fromImages(c checkpoint) bool {
	return !slices.ContainsFunc(p.handles(c), func(k snapshot.Keyed) bool { return len(k.Segments) == 0 || !k.Segments[0].Base })
}

// source is a checkpoint to restore from.
type source struct {
	*runner
	process *process
	handles []snapshot.Keyed
}

// restored is what one restore took, of all of its processes.
type restored struct {
	took    time.Duration
	cpu     time.Duration
	remote  int64 // bytes that came from the bucket
	entries int64
}

func (s *source) measure(ctx context.Context, res *Result, base bool) error {
	objects, bytes, err := s.objects(ctx)
	if err != nil {
		return err
	}
	var plain, remote, local, perCore []float64
	var last restored
	var notLocal int64
	for range restoreTurns {
		took, err := s.plain(ctx, objects)
		if err != nil {
			return fmt.Errorf("plain reader: %w", err)
		}
		plain = append(plain, float64(bytes)/took.Seconds())
		if last, err = s.restore(ctx, 1, false); err != nil {
			return err
		}
		remote = append(remote, last.took.Seconds())
		perCore = append(perCore, float64(last.entries)/last.cpu.Seconds())
		here, err := s.restore(ctx, 1, true)
		if err != nil {
			return fmt.Errorf("local: %w", err)
		}
		local, notLocal = append(local, here.took.Seconds()), here.remote
	}
	twice, err := s.restore(ctx, 2, false)
	if err != nil {
		return fmt.Errorf("twice the parallelism: %w", err)
	}
	rate := float64(last.remote) / median(remote)
	res.add("restore", 1e3*median(remote), "ms")
	res.add("restore_local", 1e3*median(local), "ms")
	res.ms("restore_twice_parallelism_one_after_the_other", twice.took)
	res.add("entries_per_core_second", median(perCore), "1/s")
	res.add("bytes_downloaded_local", float64(notLocal), "bytes")
	res.add("bytes_downloaded", float64(last.remote), "bytes")
	res.add("bytes_downloaded_twice_parallelism", float64(twice.remote), "bytes")
	res.add("objects", float64(len(objects)), "")
	res.add("object_bytes", float64(bytes), "bytes")
	res.add("restore_rate", rate, "bytes/s")
	res.add("plain_reader_rate", median(plain), "bytes/s")
	res.add("restore_rate_over_plain_reader", rate/median(plain), "")
	s.aim(res, base, rate/median(plain), median(perCore), float64(twice.remote)/float64(last.remote))
	return nil
}

func (s *source) aim(res *Result, base bool, ofPlain, perCore, downloads float64) {
	name := res.Backend + ", " + res.Case
	s.report.atMost(name+", bytes downloaded at twice the parallelism", downloads, 1.1, "")
	switch {
	case base && s.process.keys*entryBytes == slices.Max(s.sizes()):
		s.report.atLeast(name+", restore over a plain reader", ofPlain, 0.6, "")
	case !base && res.Backend == dataflow.BackendMemory:
		s.report.atLeast(name+", entries replayed per second and core", perCore, 2e6, "1/s")
	}
}

// objects are the keys of the objects that the handles name, and their bytes.
func (s *source) objects(ctx context.Context) (keys []string, bytes int64, err error) {
	named := map[string]bool{}
	for _, h := range s.handles {
		for _, seg := range h.Segments {
			named[seg.Ref.Key] = true
		}
	}
	err = s.bucket.List(ctx, s.process.prefix, func(o objectstore.Info) error {
		if named[o.Key] {
			bytes += o.Size
		}
		return nil
	})
	return slices.Sorted(maps.Keys(named)), bytes, err
}

// plain streams the objects, one after the other.
func (s *source) plain(ctx context.Context, objects []string) (time.Duration, error) {
	buf := make([]byte, plainBuffer)
	at := time.Now()
	for _, key := range objects {
		if err := s.stream(ctx, key, buf); err != nil {
			return 0, err
		}
	}
	return time.Since(at), nil
}

func (s *source) stream(ctx context.Context, key string, buf []byte) error {
	in, err := s.bucket.Reader(ctx, key)
	if err != nil {
		return err
	}
	for err == nil {
		_, err = in.Read(buf)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, in.Close())
}

// restore restores everything into as many processes, one after the other, each with
// as many tasks as the process that wrote it.
func (s *source) restore(ctx context.Context, processes int, local bool) (restored, error) {
	var sum restored
	for i := range processes {
		one, err := s.restoreProcess(ctx, i, processes, local)
		if err != nil {
			return sum, err
		}
		sum.took += one.took
		sum.cpu += one.cpu
		sum.remote += one.remote
		sum.entries += one.entries
	}
	if sum.entries != s.process.keys {
		return sum, fmt.Errorf("%d entries came back of %d", sum.entries, s.process.keys)
	}
	return sum, nil
}

// restoreProcess restores process i of n.
func (s *source) restoreProcess(ctx context.Context, i, n int, local bool) (out restored, err error) {
	dir := s.process.localDir
	if !local { // a machine that has nothing
		dir = s.folder(fmt.Sprintf("restore-%d", s.processes.Add(1)))
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	b := openBackend(s.process.backend, dir)
	defer b.close()
	tasks := s.process.setup.tasks
	var targets []changelog.Target
	for j := range tasks {
		lo, hi := dataflow.GroupRange(keyGroups, n*tasks, i*tasks+j)
		store, err := b.open(lo, hi, tasks, nil)
		if err != nil {
			return out, err
		}
		defer func() { err = errors.Join(err, store.Close()) }()
		targets = append(targets, changelog.Target{Handles: s.handles, GroupLo: lo, GroupHi: hi, Into: store})
	}
	return s.restoreTargets(ctx, targets, local)
}

// restoreTargets is what is timed.
func (s *source) restoreTargets(ctx context.Context, targets []changelog.Target, local bool) (out restored, err error) {
	bucket := objectstore.Count(s.bucket)
	cfg := changelog.RestoreConfig{Bucket: bucket}
	if local {
		cfg.Local = changelog.OpenLocal(s.process.localDir)
	}
	runtime.GC() // of what the turn before left
	cpu, at := processCPU(), time.Now()
	_, err = changelog.RestoreAll(ctx, cfg, targets)
	if err != nil {
		return out, err
	}
	out = restored{took: time.Since(at), cpu: processCPU() - cpu, remote: bucket.Counts().GetBytes}
	for _, t := range targets {
		entries, _ := t.Into.(loader).Size()
		out.entries += entries
	}
	return out, nil
}
