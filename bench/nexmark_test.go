package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
)

// tiny is a measurement of a moment, in this process.
func tiny(query string) NexmarkConfig {
	return NexmarkConfig{Query: query, Events: 20_000, Seed: 3, EventRate: 500, Local: true, Parallelism: 2, Stdout: &bytes.Buffer{}, Stderr: &bytes.Buffer{}}
}

func measureTiny(t *testing.T, cfg NexmarkConfig) *NexmarkReport {
	t.Helper()
	r, err := measureNexmark(t.Context(), cfg)
	if err != nil {
		t.Fatalf("%v\n%s", err, cfg.Stderr)
	}
	return r
}

func TestNexmarkReport(t *testing.T) {
	cfg := tiny("q5")
	cfg.Alternate, cfg.Repetitions = true, 2
	r := measureTiny(t, cfg)
	if !r.Verified || r.Rows == 0 || r.EventsPerSecond <= 0 || r.EventsPerCPUSecond <= 0 || r.LimitRatio <= 0 || r.GenerationNS <= 0 || r.CheckpointCost == nil {
		t.Errorf("report %+v", r)
	}
	if len(r.Runs) != 4 || len(r.runs(true)) != 2 || r.NexmarkFigures.Checkpoints < 1 {
		t.Errorf("%d runs, %d of them with checkpoints", len(r.Runs), len(r.runs(true)))
	}
	var text, object bytes.Buffer
	if err := errors.Join(r.writeText(&text), r.writeJSON(&object)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "events_per_cpu_second") || !strings.Contains(text.String(), "in 2 runs") {
		t.Errorf("text %s", &text)
	}
	var keys map[string]any
	if err := json.Unmarshal(object.Bytes(), &keys); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"query", "events", "events_per_second", "events_per_cpu_second", "checkpoint_p50_ms", "checkpoint_bytes", "peak_memory_bytes", "gc_share",
		"generation_ns_per_event", "limit_events_per_cpu_second", "limit_ratio", "rows", "checksum", "verified", "runs"} {
		if _, ok := keys[key]; !ok {
			t.Errorf("the report has no %q: %s", key, &object)
		}
	}
}

// TestNexmarkLatencies: at a rate every row that was due after the warm-up has a latency.
func TestNexmarkLatencies(t *testing.T) {
	cfg := tiny("q0")
	cfg.Rate = 40_000
	r := measureTiny(t, cfg)
	if r.LatencyP50MS <= 0 || r.LatencyP50MS > r.LatencyP9999MS || r.LatencyP9999MS > r.LatencyMaxMS || r.CommitP99MS < r.LatencyP50MS {
		t.Errorf("latencies %+v", r.NexmarkFigures)
	}
	if r.EventsPerSecond > 1.01*cfg.Rate {
		t.Errorf("%.0f events a second, and only %.0f are due", r.EventsPerSecond, cfg.Rate)
	}
}

func TestNexmarkExports(t *testing.T) {
	cfg := tiny("q2")
	cfg.EventsOut, cfg.ResultsOut = t.TempDir(), t.TempDir()
	r := measureTiny(t, cfg)
	bids := readParquet[bidRow](t, os.DirFS(cfg.EventsOut), "bid.parquet")
	auctions := readParquet[auctionRow](t, os.DirFS(cfg.EventsOut), "auction.parquet")
	persons := readParquet[personRow](t, os.DirFS(cfg.EventsOut), "person.parquet")
	if len(bids) != 18_400 || len(auctions) != 1200 || len(persons) != 400 {
		t.Errorf("%d bids, %d auctions, %d persons", len(bids), len(auctions), len(persons))
	}
	var e nexmark.Event
	nexmark.Generator{Seed: 3, EventRate: 500}.Event(4, &e)
	if bids[0] != bidRow(e.Bid) {
		t.Errorf("the first bid is %+v, want %+v", bids[0], e.Bid)
	}
	type row struct {
		Auction int64 `parquet:"auction"`
		Price   int64 `parquet:"price"`
	}
	var want, got []row
	for _, b := range bids {
		if b.Auction%123 == 0 {
			want = append(want, row{b.Auction, b.Price})
		}
	}
	out := os.DirFS(cfg.ResultsOut)
	names, err := fs.Glob(out, "q2/*.parquet")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		got = append(got, readParquet[row](t, out, name)...)
	}
	order := func(a, b row) int { return slices.Compare([]int64{a.Auction, a.Price}, []int64{b.Auction, b.Price}) }
	slices.SortFunc(want, order)
	slices.SortFunc(got, order)
	if !slices.Equal(got, want) || int64(len(got)) != r.Rows || len(got) == 0 {
		t.Errorf("%d rows in the files, %d in the report, want %d", len(got), r.Rows, len(want))
	}
}

func readParquet[T any](t *testing.T, dir fs.FS, name string) []T {
	t.Helper()
	data, err := fs.ReadFile(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := parquet.Read[T](bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestWrongRowsAreNoMeasurement: what a run reports is compared with the plain loops.
func TestWrongRowsAreNoMeasurement(t *testing.T) {
	cfg := tiny("q2")
	b := &nexmarkBench{cfg: cfg.withDefaults(), dir: t.TempDir()}
	b.report = newNexmarkReport(&b.cfg)
	if err := b.prepare(); err != nil {
		t.Fatal(err)
	}
	b.answer.Sum++
	if _, err := b.run(t.Context(), true); err == nil || !strings.Contains(err.Error(), "wrong rows") {
		t.Errorf("error %v, want wrong rows", err)
	}
}

func TestBadNexmarkConfigs(t *testing.T) {
	for want, c := range map[string]NexmarkConfig{
		`query "q6": use one of q0, q1`:                {Query: "q6"},
		`backend "disk": use memory or lsm`:            {Query: "q0", Backend: "disk"},
		"events -1: want a positive number":            {Query: "q0", Events: -1},
		"parallelism 9: the source has 8 splits":       {Query: "q0", Parallelism: 9},
		`fault "leder": use leader, worker`:            {Query: "q0", Faults: "leder"},
		"local with faults: there is no process":       {Query: "q0", Faults: "worker", Local: true},
		"faults without checkpoints":                   {Query: "q0", Faults: "worker", NoCheckpoints: true},
		"results of several repetitions":               {Query: "q0", ResultsOut: "x", Repetitions: 2},
		"want file:///path, s3://bucket/prefix or mem": {Query: "q0", ObjectStore: "ftp://x/y"},
	} {
		err := RunNexmark(context.Background(), c)
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", c, err, want)
		}
	}
}

func TestCompareTellsChangesFromNoise(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, perSecond ...float64) string {
		r := &NexmarkReport{Query: "q0"}
		for _, v := range perSecond {
			r.Runs = append(r.Runs, &NexmarkRun{NexmarkFigures: NexmarkFigures{EventsPerSecond: v, CPUSeconds: 1 / v}})
		}
		data, err := json.Marshal(r)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	a := write("a", 10, 11, 12)
	for name, c := range map[string]struct {
		b    string
		want string
	}{
		"faster":  {write("faster", 13, 14, 15), Better},
		"slower":  {write("slower", 7, 8, 9), Worse},
		"overlap": {write("overlap", 9, 10.5, 14), Noise},
		"once":    {write("once", 20), Unknown},
	} {
		changes, err := compare(a, c.b)
		if err != nil || len(changes) != 2 || changes[0].Verdict != c.want || changes[1].Verdict != c.want {
			t.Errorf("%s: %+v, %v, want %s", name, changes, err, c.want)
		}
	}
	if _, err := compare(a, dir); err == nil || !strings.Contains(err.Error(), "no report in common") {
		t.Errorf("a file and a folder: %v", err)
	}
	var out bytes.Buffer
	if err := RunCompare(CompareConfig{A: a, B: filepath.Join(dir, "overlap"), Stdout: &out}); err != nil || !strings.Contains(out.String(), "2 figures differ by no more") {
		t.Errorf("%v, %s", err, &out)
	}
}

func TestSuite(t *testing.T) {
	var out, progress bytes.Buffer
	cfg := AllConfig{Out: filepath.Join(t.TempDir(), "new"), Only: []string{"q2-local"}, Quick: true, JSON: true, Stdout: &out, Stderr: &progress}
	if err := RunAll(t.Context(), cfg); err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	var s Summary
	if err := json.Unmarshal(out.Bytes(), &s); err != nil || len(s.Files) != 1 {
		t.Fatalf("summary %s, %v", &out, err)
	}
	if r, err := readReport(s.Files[0]); err != nil || r.Query != "q2" || !r.Verified {
		t.Errorf("report %+v, %v", r, err)
	}
	for _, e := range suite() {
		if err := e.cfg.Validate(); err != nil {
			t.Errorf("%s: %v", e.name, err)
		}
	}
	if err := RunAll(t.Context(), AllConfig{Only: []string{"q99"}}); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), `measurement "q99"`) || !strings.Contains(err.Error(), "give a folder") {
		t.Errorf("error %v", err)
	}
}
