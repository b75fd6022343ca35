package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
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
		for _, size := range r.sizes(backend) {
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
		" reader, which reads the same objects one after the other, through a buffer and then whole into new memory, of a restore from the bucket, and of one from local copies; then at twice the parallelism",
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
	var streamed, got, remote, local, perCore []float64
	buf := make([]byte, plainBuffer)
	var last restored
	var notLocal int64
	for range restoreTurns {
		rate, err := plain(objects, bytes, func(key string) error { return s.stream(ctx, key, buf) })
		if err != nil {
			return err
		}
		streamed = append(streamed, rate)
		if rate, err = plain(objects, bytes, func(key string) error { return s.get(ctx, key) }); err != nil {
			return err
		}
		got = append(got, rate)
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
	res.add("plain_reader_rate", median(streamed), "bytes/s")
	res.add("plain_reader_rate_into_new_memory", median(got), "bytes/s")
	res.add("restore_rate_over_plain_reader", rate/median(streamed), "")
	res.add("restore_rate_over_plain_reader_into_new_memory", rate/median(got), "")
	s.aim(res, base, rate/median(streamed), median(perCore), float64(twice.remote)/float64(last.remote))
	return nil
}

func (s *source) aim(res *Result, base bool, ofPlain, perCore, downloads float64) {
	name := res.Backend + ", " + res.Case
	s.report.atMost(name+", bytes downloaded at twice the parallelism", downloads, 1.1, "")
	switch {
	case base && s.process.keys*entryBytes == slices.Max(s.sizes(res.Backend)):
		s.report.atLeast(name+", restore over a plain reader", ofPlain, 0.6, "")
	case !base && res.Backend == dataflow.BackendMemory:
		s.report.atLeast(name+", entries replayed per second and core", perCore, 2e6, "1/s")
	}
}
