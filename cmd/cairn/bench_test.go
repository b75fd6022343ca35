//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/admin"
)

// TestBenchState: the command prints one JSON object with the keys that scripts
// read, and nothing else, on standard output.
func TestBenchState(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var stdout, stderr bytes.Buffer
	line := "bench state --quick --json --backend memory --only checkpoint,gc"
	if err := run(context.Background(), strings.Fields(line), &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	var report map[string]any
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
		t.Fatalf("%v in %s", err, &stdout)
	}
	for _, key := range []string{"version", "go", "platform", "cpus", "object_store", "command", "started", "seconds", "results", "aims"} {
		if report[key] == nil {
			t.Errorf("the report has no %q: %s", key, &stdout)
		}
	}
	results, _ := report["results"].([]any)
	if len(results) != 3 {
		t.Fatalf("%d results, want two sizes of checkpoint and one of gc: %s", len(results), &stdout)
	}
	for _, key := range []string{"name", "case", "about", "command", "figures"} {
		if first, _ := results[0].(map[string]any); first[key] == nil {
			t.Errorf("a result has no %q: %v", key, results[0])
		}
	}
}

// TestBadBenchLines: each is refused as a usage error that says what to do.
func TestBadBenchLines(t *testing.T) {
	for line, want := range map[string]string{
		"bench speed":                                          `cairn bench has no command "speed"`,
		"bench state now":                                      "usage: cairn bench state",
		"bench state --only speed":                             `measurement "speed": use updates, checkpoint,`,
		"bench state --backend disk":                           `backend "disk": use memory, lsm`,
		"bench state --sizes 10":                               `size "10": want a whole number and KB, MB or GB`,
		"bench state --object-store ftp://x/y":                 "want file:///path, s3://bucket/prefix or mem://name",
		"bench nexmark --query q6":                             `query "q6": use one of q0, q1`,
		"bench nexmark --local --faults leder":                 `fault "leder": use leader, worker`,
		"bench backpressure --share 2":                         `share 2: the sink is to be slower than the sources`,
		"bench backpressure --timeout 1s --aligned-timeout 2s": `aligned timeout 2s: use less than the timeout, 1s`,
		"bench all --only q99":                                 `measurement "q99": use some of q0,`,
		"bench compare one":                                    "accepts 2 arg(s), received 1",
	} {
		var out bytes.Buffer
		err := run(context.Background(), strings.Fields(line), &out, &out)
		if err == nil || !strings.Contains(admin.Message(err), want) || admin.ExitCode(err) != admin.ExitUsage {
			t.Errorf("%s: error %v (exit %d), want exit %d and %q", line, err, admin.ExitCode(err), admin.ExitUsage, want)
		}
	}
}

// TestBenchNexmark measures a query on a cluster of real processes, and kills a worker of it.
func TestBenchNexmark(t *testing.T) {
	t.Setenv(asCairn, "1")
	t.Setenv("TMPDIR", t.TempDir())
	var stdout, stderr bytes.Buffer
	line := "bench nexmark --query q5 --events 100000 --event-rate 2000 --parallelism 2 --faults worker --checkpoint-interval 200ms --json --object-store file://" + t.TempDir() + "/bucket"
	if err := run(context.Background(), strings.Fields(line), &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	var r struct {
		Verified        bool
		Rows            int64
		Restarts        int
		StruckAfterRows int64   `json:"struck_after_rows"`
		PerSecond       float64 `json:"events_per_second"`
		P99             float64 `json:"latency_p99_ms"`
	}
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatalf("%v in %s", err, &stdout)
	}
	if !r.Verified || r.Restarts < 1 || r.StruckAfterRows < 1 || r.StruckAfterRows >= r.Rows || r.PerSecond <= 0 || r.P99 <= 0 {
		t.Errorf("report %+v\n%s", r, &stderr)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("the measurement left %v behind (%v)", left, err)
	}
}
