//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestBenchBackpressure: every mode begins checkpoints with full buffers, and aligned ones do
// not get through. How long the others take is the machine's business.
func TestBenchBackpressure(t *testing.T) {
	t.Setenv(asCairn, "1")
	t.Setenv("TMPDIR", t.TempDir())
	var stdout, stderr bytes.Buffer
	line := "bench backpressure --rate 50000 --duration 2s --timeout 1500ms --aligned-timeout 200ms --json"
	if err := run(context.Background(), strings.Fields(line), &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	var r struct {
		Modes []struct {
			Mode, Reason             string
			Taken, Completed, Failed int
			TimedOut                 float64 `json:"timed_out"`
			Held                     float64 `json:"sources_backpressured"`
		}
		Aims []struct{ Name string }
	}
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatalf("%v in %s", err, &stdout)
	}
	if len(r.Modes) != 3 || len(r.Aims) == 0 {
		t.Fatalf("report %s\n%s", &stdout, &stderr)
	}
	for _, m := range r.Modes {
		if m.Taken == 0 || m.Failed > 0 || m.Held < 0.5 {
			t.Errorf("%s: %+v", m.Mode, m)
		}
	}
	if a := r.Modes[0]; a.Mode != "aligned" || a.TimedOut == 0 || a.Completed > 0 {
		t.Errorf("aligned: %+v", a)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("the measurement left %v behind (%v)", left, err)
	}
}
