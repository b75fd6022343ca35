package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/open"
)

// TestQuick makes all measurements, tiny, and reads the report as a script would.
func TestQuick(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var stdout, stderr bytes.Buffer
	profile := filepath.Join(t.TempDir(), "cpu.pprof")
	err := RunState(t.Context(), StateConfig{Quick: true, JSON: true, CPUProfile: profile, Version: "v0", Stdout: &stdout, Stderr: &stderr})
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	var r Report
	d := json.NewDecoder(&stdout)
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Errorf("standard output goes on after the report: %v", err)
	}
	checkReport(t, &r)
	if info, err := os.Stat(profile); err != nil || info.Size() == 0 {
		t.Errorf("profile: %v", err)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("the run left %v behind (%v)", left, err)
	}
}

// checkReport: every measurement is there for every backend, each figure is a
// number with what makes it again, and the aims that the figures are for are judged.
func checkReport(t *testing.T, r *Report) {
	t.Helper()
	for _, m := range Measurements() {
		for _, b := range backends {
			found := slices.ContainsFunc(r.Results, func(res *Result) bool { return res.Name == m && res.Backend == b })
			if !found && !(m == "gc" && b != "memory") {
				t.Errorf("no result %s of %s", m, b)
			}
		}
	}
	for _, res := range r.Results {
		if !strings.HasPrefix(res.Command, "cairn bench state --only "+res.Name+" ") || res.About == "" || len(res.Figures) == 0 {
			t.Errorf("result %+v", res)
		}
		for _, f := range res.Figures {
			if f.Name == "" || math.IsNaN(f.Value) || f.Name == "bytes_downloaded_local" && f.Value > 0 {
				t.Errorf("%s %s %s: figure %+v", res.Name, res.Backend, res.Case, f)
			}
		}
	}
	for _, want := range []string{"update of", "logged change", "throughput lost", "garbage collection", "checkpoint median", "over deduplicated", "images of all tasks",
		"plain reader", "replayed per second", "twice the parallelism", "latency p99.99"} {
		if !slices.ContainsFunc(r.Aims, func(a Aim) bool { return strings.Contains(a.Name, want) }) {
			t.Errorf("no aim about %q", want)
		}
	}
	for _, a := range r.Aims {
		if a.Limit <= 0 || a.Met != (a.AtLeast && a.Value >= a.Limit || !a.AtLeast && a.Value <= a.Limit) {
			t.Errorf("aim %+v", a)
		}
	}
	if r.Version != "v0" || r.CPUs < 1 || !strings.HasPrefix(r.ObjectStore, "file://") || r.Seconds <= 0 || r.Started.IsZero() {
		t.Errorf("report %+v", r)
	}
}

// TestOnlyWhatWasAskedFor: one measurement of one backend into a bucket that was
// given, which is as it was afterwards.
func TestOnlyWhatWasAskedFor(t *testing.T) {
	url := "file://" + t.TempDir()
	b, err := open.Open(t.Context(), url, open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Put(t.Context(), "bench/other", []byte("x"), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	var stdout bytes.Buffer
	err = RunState(t.Context(), StateConfig{Quick: true, Backends: []string{"memory"}, Only: []string{"checkpoint"}, ObjectStore: url, Stdout: &stdout, Stderr: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"checkpoint memory 100KB\n", "checkpoint memory 1MB\n", "checkpoint_p50", "--object-store " + url} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, &stdout)
		}
	}
	if strings.Contains(stdout.String(), "\nupdates") || strings.Contains(stdout.String(), " lsm") {
		t.Errorf("the report has what was not asked for:\n%s", &stdout)
	}
	var keys []string
	err = b.List(t.Context(), "", func(o objectstore.Info) error { keys = append(keys, o.Key); return nil })
	if err != nil || !slices.Equal(keys, []string{"bench/other"}) {
		t.Errorf("left in the bucket: %v (%v)", keys, err)
	}
}

// TestCancelledRunLeavesNothing: Ctrl-C ends a run soon, with its cause.
func TestCancelledRunLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	w := writerFunc(func(p []byte) (int, error) { // the first measurement has begun
		cancel(cause)
		return len(p), nil
	})
	err := RunState(ctx, StateConfig{Backends: []string{"memory"}, Stdout: io.Discard, Stderr: w})
	if !errors.Is(err, cause) && !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("the run left %v behind (%v)", left, err)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestValidateReportsEverything that is wrong, at once.
func TestValidateReportsEverything(t *testing.T) {
	cfg := StateConfig{Backends: []string{"disk"}, Sizes: []string{"10", "1GB"}, Only: []string{"speed"}, Duration: -1, ObjectStore: "ftp://x"}
	err := RunState(t.Context(), cfg)
	if !errors.Is(err, ErrConfig) {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{`backend "disk": use memory, lsm`, `size "10": want`, `measurement "speed": use updates,`, "duration -1ns", "ftp://x"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"10MB": 10e6, "1gb": 1e9, "250KB": 250e3, "1000GB": 1e12} {
		if n, err := ParseSize(text); err != nil || n != want {
			t.Errorf("%s is %d (%v), want %d", text, n, err, want)
		}
	}
	for _, text := range []string{"", "MB", "-1MB", "0MB", "1.5GB", "1001GB", "10", "10MiB", "99999999999999999999GB"} {
		if n, err := ParseSize(text); err == nil {
			t.Errorf("%q is %d", text, n)
		}
	}
	for want, n := range map[string]int64{"10MB": 10e6, "1GB": 1e9, "999B": 999} {
		if got := FormatSize(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}

func TestRound(t *testing.T) {
	for in, want := range map[float64]float64{0: 0, 123456: 123456, 12345.6: 12346, 1.23456: 1.235, 0.00123456: 0.001235, -98.7654: -98.77,
		math.Inf(1): 0} {
		if got := round(in); got != want {
			t.Errorf("round(%v) = %v, want %v", in, got, want)
		}
	}
}
