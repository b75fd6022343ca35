package flights_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/examples/flights/flights"
	"github.com/cairnstream/cairn/local"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/file"
	"github.com/cairnstream/cairn/objectstore/open"
	"github.com/cairnstream/cairn/stream"
)

// runJob runs the job in this process, as fast as it goes, until it ends or
// its n-th commit, and returns whether it ended.
func runJob(t *testing.T, dir, out string, n int) (ended bool) {
	t.Helper()
	cfg := flights.Defaults()
	cfg.Out, cfg.Duration, cfg.CheckpointInterval = "file://"+filepath.ToSlash(out), 0, 20*time.Millisecond
	p := stream.NewPipeline("flights")
	flights.Build(p, cfg)
	program, err := p.Program()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	commits := 0
	err = local.Run(ctx, local.Config{
		Program: program, Dir: dir, Log: slog.New(slog.DiscardHandler),
		OpenBucket: func(ctx context.Context, url string) (objectstore.Bucket, error) {
			return open.Open(ctx, url, open.Options{Create: true})
		},
		Trace: func(e engine.TraceEvent) {
			mu.Lock()
			defer mu.Unlock()
			if e.Kind == engine.TraceCommit {
				if commits++; commits == n {
					cancel()
				}
			}
		},
	})
	if err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
	return err == nil
}

func verifyOutput(t *testing.T, out string) {
	t.Helper()
	entries, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	b, err := file.Open(out, file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, e := range entries {
		if e.Name()[0] == '_' || e.Name()[0] == '.' {
			continue
		}
		r, err := flights.Verify(t.Context(), b, dataflow.JobID(e.Name()))
		if err != nil || !r.Verified || r.Records != flights.Rows {
			t.Errorf("%s: %+v, %v", e.Name(), r, err)
		}
		return
	}
	t.Error("no output")
}

func TestJob(t *testing.T) {
	out := t.TempDir()
	if !runJob(t, t.TempDir(), out, 0) {
		t.Fatal("the job was stopped")
	}
	verifyOutput(t, out)
}

func TestJobThatIsStoppedAgainAndAgain(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	stops := 0
	for !runJob(t, dir, out, 3*(stops+1)) {
		stops++
	}
	if stops == 0 {
		t.Error("the job ended before it could be stopped")
	}
	verifyOutput(t, out)
}
