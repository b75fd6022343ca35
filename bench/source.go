package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/changelog"
)

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

// plain reads the objects with read, one after the other, and returns the bytes of
// them in a second.
func plain(objects []string, bytes int64, read func(key string) error) (float64, error) {
	at := time.Now()
	for _, key := range objects {
		if err := read(key); err != nil {
			return 0, fmt.Errorf("plain reader: %w", err)
		}
	}
	return float64(bytes) / time.Since(at).Seconds(), nil
}

// stream reads an object through a buffer, as a copy would.
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

// get reads an object into memory of its own, as a restore must.
func (s *source) get(ctx context.Context, key string) error {
	_, err := s.bucket.Get(ctx, key, 0, -1)
	return err
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
		cfg.Local = changelog.OpenLocal(filepath.Join(s.process.localDir, changelog.LocalFolder))
	}
	runtime.GC() // of what the turn before left
	cpu, at := processCPU(), time.Now()
	_, err = changelog.RestoreAll(ctx, cfg, targets)
	if err != nil {
		return out, err
	}
	out = restored{took: time.Since(at), cpu: processCPU() - cpu, remote: bucket.Counts().GetBytes}
	for _, t := range targets {
		if c, ok := t.Into.(state.Counter); ok {
			if err := c.Count(); err != nil {
				return out, err
			}
		}
		entries, _ := t.Into.(loader).Size()
		out.entries += entries
	}
	return out, nil
}
