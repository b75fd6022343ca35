package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/cairnstream/cairn/examples/nexmark/queries"
)

// AllConfig says how RunAll runs the suite.
type AllConfig struct {
	// Out is the folder for the reports, one file for each measurement.
	Out string
	// Only names the measurements to make, as All lists them. Default: all.
	Only []string
	// Repetitions is how often each is made. Default DefaultRepetitions.
	Repetitions int
	// Quick makes everything tiny: it shows that the command works, and no more.
	Quick bool
	// JSON prints the summary as one JSON object instead of text.
	JSON bool
	// Version is cairn's, for the reports.
	Version string
	Stdout  io.Writer
	Stderr  io.Writer // progress
}

// DefaultRepetitions are enough for a median that one disturbed run does not move.
const DefaultRepetitions = 3

// entry is one measurement of the suite; its name is that of its file.
type entry struct {
	name string
	cfg  NexmarkConfig
}

// The queries whose scaling and whose latency are measured.
var (
	scaled = []string{"q0", "q1", "q2", "q5", "q7", "q8", "q11", "q12"}
	timed  = []string{"q0", "q2", "q5"}
)

const (
	latencyRate   = 1e6
	latencyEvents = 20e6
)

// suite is every measurement, in the order in which they are made: each query on a cluster
// with checkpoints and without in turns; two cores against one, in one process and between two
// workers; and latencies at a rate that leaves the machine some air.
func suite() (all []entry) {
	add := func(name string, cfg NexmarkConfig) { all = append(all, entry{name, cfg}) }
	for _, q := range queries.Names() {
		add(q, NexmarkConfig{Query: q, Alternate: true})
	}
	for _, q := range scaled {
		add(q+"-local", NexmarkConfig{Query: q, Local: true})
		add(q+"-local-2", NexmarkConfig{Query: q, Local: true, Parallelism: 2})
		add(q+"-workers-1", NexmarkConfig{Query: q, Workers: 1, CoresPerWorker: coresEach()})
		add(q+"-workers-2", NexmarkConfig{Query: q, Workers: 2, Parallelism: 2, CoresPerWorker: coresEach()})
	}
	for _, q := range timed {
		at := NexmarkConfig{Query: q, Rate: latencyRate, Events: latencyEvents, Parallelism: 2}
		add(q+"-latency", at)
		at.CheckpointInterval = 100 * time.Millisecond
		add(q+"-latency-100ms", at)
	}
	return all
}

// coresEach is how many cores each of two workers gets, so that one worker against two is one
// machine against two; 0 where that can't be had.
func coresEach() int {
	if runtime.GOOS != "linux" {
		return 0
	}
	return runtime.NumCPU() / 2
}

// Suite are the names of the measurements.
func Suite() []string {
	var names []string
	for _, e := range suite() {
		names = append(names, e.name)
	}
	return names
}

// Validate reports everything that is wrong with the configuration.
func (c *AllConfig) Validate() error {
	var errs []error
	if c.Out == "" {
		errs = append(errs, errors.New("nowhere to write the reports to: give a folder"))
	}
	if c.Repetitions < 0 {
		errs = append(errs, fmt.Errorf("repetitions %d: want a positive number", c.Repetitions))
	}
	for _, name := range c.Only {
		if !slices.Contains(Suite(), name) {
			errs = append(errs, fmt.Errorf("measurement %q: use some of %s", name, strings.Join(Suite(), ", ")))
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("%w: all: %w", ErrConfig, errors.Join(errs...))
	}
	return nil
}

// Summary is what `cairn bench all --json` prints.
type Summary struct {
	Dir     string           `json:"dir"`
	Seconds float64          `json:"seconds"`
	Files   []string         `json:"files"`
	Reports []*NexmarkReport `json:"reports"`
}

// RunAll makes all measurements, one after the other, and writes each one's report to a file
// as soon as it is made. A measurement that fails does not keep the others from being made; it
// is part of the error at the end.
func RunAll(ctx context.Context, cfg AllConfig) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	defaultTo(&cfg.Repetitions, DefaultRepetitions)
	if err := os.MkdirAll(cfg.Out, 0o755); err != nil {
		return fmt.Errorf("bench all: %w", err)
	}
	began, s := time.Now(), &Summary{Dir: cfg.Out}
	var errs []error
	for _, e := range suite() {
		if len(cfg.Only) > 0 && !slices.Contains(cfg.Only, e.name) {
			continue
		}
		if err := s.measure(ctx, &cfg, e); err != nil {
			fmt.Fprintf(cfg.Stderr, "%s: %v\n", e.name, err)
			errs = append(errs, fmt.Errorf("%s: %w", e.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	s.Seconds = round(time.Since(began).Seconds())
	errs = append(errs, s.print(&cfg))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("bench all: %w", err)
	}
	return nil
}

// measure makes one measurement and writes its file.
func (s *Summary) measure(ctx context.Context, cfg *AllConfig, e entry) error {
	one := e.cfg
	one.Seed, one.Repetitions, one.Version, one.Stderr = 1, cfg.Repetitions, cfg.Version, cfg.Stderr
	if cfg.Quick {
		one.Events, one.Repetitions, one.Rate = 100_000, 1, min(one.Rate, 100_000)
	}
	fmt.Fprintf(cfg.Stderr, "== %s\n", e.name)
	r, err := measureNexmark(ctx, one)
	if err != nil {
		return err
	}
	path := filepath.Join(cfg.Out, e.name+".json")
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	s.Files, s.Reports = append(s.Files, path), append(s.Reports, r)
	return errors.Join(r.writeJSON(f), f.Close())
}

// print prints the summary.
func (s *Summary) print(cfg *AllConfig) error {
	if cfg.JSON {
		return json.NewEncoder(cfg.Stdout).Encode(s)
	}
	t := tabwriter.NewWriter(cfg.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "measurement\tevents/s\tper CPU s\tof the limit\tcheckpoints cost\tp99\tp99.99\tto commit p99")
	for i, r := range s.Reports {
		cost := ""
		if r.CheckpointCost != nil {
			cost = quantity(100**r.CheckpointCost, "%")
		}
		name := strings.TrimSuffix(filepath.Base(s.Files[i]), ".json")
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", name, quantity(r.EventsPerSecond, "1/s"), quantity(r.EventsPerCPUSecond, "1/s"),
			quantity(100*r.LimitRatio, "%"), cost, latencyText(r.LatencyP99MS), latencyText(r.LatencyP9999MS), latencyText(r.CommitP99MS))
	}
	fmt.Fprintf(t, "\n%.0f s; reports in %s\n", s.Seconds, s.Dir)
	return t.Flush()
}

func latencyText(ms float64) string {
	if ms == 0 {
		return ""
	}
	return quantity(ms, "ms")
}
