//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
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
		"bench speed":                          `cairn bench has no command "speed"`,
		"bench state now":                      "usage: cairn bench state",
		"bench state --only speed":             `measurement "speed": use updates, checkpoint,`,
		"bench state --backend disk":           `backend "disk": use memory, lsm`,
		"bench state --sizes 10":               `size "10": want a whole number and KB, MB or GB`,
		"bench state --object-store ftp://x/y": "want file:///path, s3://bucket/prefix or mem://name",
	} {
		var out bytes.Buffer
		err := run(context.Background(), strings.Fields(line), &out, &out)
		if err == nil || !strings.Contains(admin.Message(err), want) || admin.ExitCode(err) != admin.ExitUsage {
			t.Errorf("%s: error %v (exit %d), want exit %d and %q", line, err, admin.ExitCode(err), admin.ExitUsage, want)
		}
	}
}
