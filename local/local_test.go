package local_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/local"
)

// copyJob reads n numbers and writes them to sink. While hold says so, the
// source waits.
func copyJob(n int, hold func(split, position int) bool, sink *enginetest.Sink[int]) *engine.Program {
	src := &enginetest.Source[int]{Slices: [][]int{make([]int, n)}, Chunk: 10, Hold: hold}
	for i := range n {
		src.Slices[0][i] = i
	}
	return &engine.Program{
		Graph: &dataflow.Graph{
			Name: "copy", KeyGroups: 8,
			Operators: []dataflow.Operator{
				{UID: "in", Name: "in", Kind: dataflow.Source, Stateful: true, Parallelism: 1},
				{UID: "out", Name: "out", Kind: dataflow.Sink, Transactional: true, Parallelism: 1},
			},
			Edges:   []dataflow.Edge{{From: "in", To: "out", Partitioning: dataflow.Forward, Type: "int"}},
			Options: dataflow.Options{CheckpointInterval: 10 * time.Millisecond},
		},
		Operators: map[dataflow.UID]engine.Operator{
			"in":  engine.NewSource(src, engine.SourceOptions[int]{}),
			"out": engine.NewSink(sink),
		},
		Edges: []engine.Edge{engine.NewEdge[int]()},
	}
}

func config(dir string, p *engine.Program) local.Config {
	return local.Config{Program: p, Dir: dir, Log: slog.New(slog.DiscardHandler)}
}

func checkOutput(t *testing.T, got []int, want int) {
	t.Helper()
	if len(got) != want {
		t.Fatalf("%d records are out, want %d", len(got), want)
	}
	for i, v := range got {
		if v != i {
			t.Fatalf("record %d is %d", i, v)
		}
	}
}

func TestRunsToTheEnd(t *testing.T) {
	dir, sink := t.TempDir(), enginetest.NewSink[int]()
	if err := local.Run(t.Context(), config(dir, copyJob(1000, nil, sink))); err != nil {
		t.Fatal(err)
	}
	checkOutput(t, sink.Committed(), 1000)
}

// TestInterruptedGoesOn interrupts a job after its first commit; the next run
// must bring exactly the rest.
func TestInterruptedGoesOn(t *testing.T) {
	dir, sink := t.TempDir(), enginetest.NewSink[int]()
	var open atomic.Bool
	hold := func(_, position int) bool { return position >= 500 && !open.Load() }
	ctx, cancel := context.WithCancelCause(t.Context())
	errStop := errors.New("stop")
	cfg := config(dir, copyJob(1000, hold, sink))
	cfg.Trace = func(e engine.TraceEvent) {
		if e.Kind == engine.TraceCommit {
			cancel(errStop)
		}
	}
	if err := local.Run(ctx, cfg); !errors.Is(err, errStop) {
		t.Fatalf("interrupted run returned %v", err)
	}
	if n := len(sink.Committed()); n == 0 || n > 500 {
		t.Fatalf("%d records are out at the interruption", n)
	}
	open.Store(true)
	if err := local.Run(t.Context(), config(dir, copyJob(1000, hold, sink))); err != nil {
		t.Fatal(err)
	}
	checkOutput(t, sink.Committed(), 1000)
}

// TestFinishedStartsOver: the folder of a finished job starts another one, and
// what the first left is removed.
func TestFinishedStartsOver(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		sink := enginetest.NewSink[int]()
		if err := local.Run(t.Context(), config(dir, copyJob(300, nil, sink))); err != nil {
			t.Fatal(err)
		}
		checkOutput(t, sink.Committed(), 300)
	}
	if jobs := jobFolders(t, dir); len(jobs) != 1 {
		t.Errorf("objects of jobs %v are there, want one job's", jobs)
	}
}

// TestKeepsFewCheckpoints: garbage goes while the job runs.
func TestKeepsFewCheckpoints(t *testing.T) {
	dir, sink := t.TempDir(), enginetest.NewSink[int]()
	var completed atomic.Int64
	hold := func(_, position int) bool { return position >= 500 && completed.Load() < 12 }
	cfg := config(dir, copyJob(1000, hold, sink))
	cfg.Log = slog.New(countHandler{&completed})
	if err := local.Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	checkOutput(t, sink.Committed(), 1000)
	if n := len(files(t, dir, "metadata")); n > 4 {
		t.Errorf("%d metadata objects are left, want at most the 3 retained and one to be collected", n)
	}
}

func TestFolderInUse(t *testing.T) {
	dir, sink := t.TempDir(), enginetest.NewSink[int]()
	ctx, cancel := context.WithCancel(t.Context())
	cfg := config(dir, copyJob(10, func(int, int) bool { return true }, sink))
	started := make(chan struct{})
	cfg.Trace = func(e engine.TraceEvent) {
		if e.Kind == engine.TraceStart {
			close(started)
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- local.Run(ctx, cfg) }()
	<-started
	if err := local.Run(t.Context(), config(dir, copyJob(10, nil, sink))); !errors.Is(err, local.ErrInUse) {
		t.Errorf("a second run returned %v, want ErrInUse", err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the cancelled run returned %v", err)
	}
}

// countHandler counts the messages of completed checkpoints.
type countHandler struct{ n *atomic.Int64 }

func (countHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h countHandler) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "checkpoint complete" {
		h.n.Add(1)
	}
	return nil
}
func (h countHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h countHandler) WithGroup(string) slog.Handler      { return h }

func files(t *testing.T, dir, part string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(filepath.Join(dir, "bucket"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(path, part) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func jobFolders(t *testing.T, dir string) map[string]bool {
	jobs := map[string]bool{}
	for _, f := range files(t, dir, fmt.Sprintf("%cjobs%c", filepath.Separator, filepath.Separator)) {
		_, rest, _ := strings.Cut(f, fmt.Sprintf("%cjobs%c", filepath.Separator, filepath.Separator))
		job, _, _ := strings.Cut(rest, string(filepath.Separator))
		jobs[job] = true
	}
	return jobs
}
