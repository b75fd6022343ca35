package bench

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/demo"
	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
	"github.com/cairnstream/cairn/examples/nexmark/queries"
	"github.com/cairnstream/cairn/objectstore/open"
)

// NexmarkConfig says which query RunNexmark measures, and how.
type NexmarkConfig struct {
	// Query is its name: q0, q1, …
	Query string
	// Events is how many there are. Default DefaultEvents.
	Events int64
	// Seed makes the events: the same seed and number, the same events.
	Seed int64
	// EventRate is the number of events in a second of event time. Default
	// nexmark.DefaultEventRate.
	EventRate int64
	// OutOfOrder is the size of the groups within which the order of events is mixed up.
	// Default 1: in order.
	OutOfOrder int64
	// Parallelism is the number of subtasks of every operator. Default 1.
	Parallelism int
	// Backend keeps the state: memory (the default) or lsm.
	Backend string
	// CheckpointInterval is the time between checkpoints. Default 1 s.
	CheckpointInterval time.Duration
	// NoCheckpoints takes none but that at the end, which the results need.
	NoCheckpoints bool
	// Alternate makes every repetition run twice, with checkpoints and without.
	Alternate bool
	// Repetitions is how often it is measured. Default 1.
	Repetitions int
	// ObjectStore is the URL of the bucket. Default: a temporary folder.
	ObjectStore string
	// Rate is how many events a second of real time there are, whatever the job does: for
	// latencies. 0: as many as it takes.
	Rate float64
	// Workers is the number of worker processes of the cluster. Default 1, with faults 2.
	Workers int
	// CoresPerWorker gives each worker so many cores of its own, as if it was a machine of that
	// size. 0: all share all. Linux only.
	CoresPerWorker int
	// Local runs the job in this process instead of a cluster.
	Local bool
	// Faults are what is killed while the job runs: see demo.ParseFaults.
	Faults string
	// EventsOut and ResultsOut are folders for the events and the rows as Parquet.
	EventsOut, ResultsOut string
	// JSON prints the report as one JSON object instead of text.
	JSON bool
	// CPUProfile is a file for a CPU profile of the job, with Local.
	CPUProfile string
	// Version is cairn's, for the report.
	Version string
	Stdout  io.Writer
	Stderr  io.Writer // progress
}

// DefaultEvents span 100 s of event time: ten windows of 10 s.
const DefaultEvents = 10_000_000

// Validate reports everything that is wrong with the configuration.
func (c *NexmarkConfig) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if _, err := queries.Find(c.Query); err != nil {
		errs = append(errs, err)
	}
	if c.Backend != "" && !slices.Contains(backends, c.Backend) {
		bad("backend %q: use %s", c.Backend, strings.Join(backends, " or "))
	}
	for name, n := range map[string]int64{
		"events": c.Events, "event rate": c.EventRate, "out of order": c.OutOfOrder, "parallelism": int64(c.Parallelism),
		"repetitions": int64(c.Repetitions), "workers": int64(c.Workers), "cores per worker": int64(c.CoresPerWorker), "rate": int64(c.Rate), "checkpoint interval": int64(c.CheckpointInterval),
	} {
		if n < 0 {
			bad("%s %d: want a positive number", name, n)
		}
	}
	if c.Parallelism > nexmark.DefaultWidth {
		bad("parallelism %d: the source has %d splits, use at most that", c.Parallelism, nexmark.DefaultWidth)
	}
	errs = append(errs, c.validateModes()...)
	if c.ObjectStore != "" {
		if err := open.Check(c.ObjectStore); err != nil {
			bad("object store: %w", err)
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("%w: nexmark: %w", ErrConfig, errors.Join(errs...))
	}
	return nil
}

// validateModes looks for choices that exclude each other.
func (c *NexmarkConfig) validateModes() (errs []error) {
	if _, err := demo.ParseFaults(c.Faults); err != nil {
		errs = append(errs, err)
	}
	faults := c.Faults != "" && c.Faults != "none"
	for what, wrong := range map[string]bool{
		"local with faults: there is no process to kill, leave one out":                c.Local && faults,
		"local with workers: there is no cluster, leave one out":                       c.Local && c.Workers > 0,
		"local with cores per worker: there is no worker, leave one out":               c.Local && c.CoresPerWorker > 0,
		"local with an object store: a local job keeps its own folder, leave one out":  c.Local && c.ObjectStore != "",
		"faults without checkpoints: the job would start over, leave one out":          faults && (c.NoCheckpoints || c.Alternate),
		"alternate without checkpoints: it does both in turns, leave one out":          c.NoCheckpoints && c.Alternate,
		"a CPU profile of a cluster: the job is in other processes, use it with local": c.CPUProfile != "" && !c.Local,
		"results of several repetitions: their rows would mix, use one":                c.ResultsOut != "" && c.Repetitions > 1,
		"results of alternating runs: their rows would mix, leave one out":             c.ResultsOut != "" && c.Alternate,
	} {
		if wrong {
			errs = append(errs, errors.New(what))
		}
	}
	return errs
}

func (c NexmarkConfig) withDefaults() NexmarkConfig {
	defaultTo(&c.Events, DefaultEvents)
	defaultTo(&c.EventRate, nexmark.DefaultEventRate)
	defaultTo(&c.OutOfOrder, 1)
	defaultTo(&c.Parallelism, 1)
	defaultTo(&c.Backend, dataflow.BackendMemory)
	defaultTo(&c.CheckpointInterval, time.Second)
	defaultTo(&c.Repetitions, 1)
	if c.Faults == "none" {
		c.Faults = ""
	}
	if c.Faults != "" {
		defaultTo(&c.Workers, 2)
		if c.Rate == 0 {
			span := faultySpan + time.Duration(strings.Count(c.Faults, ","))*furtherFault
			c.Rate = float64(c.Events) / span.Seconds()
		}
		c.CheckpointInterval = min(c.CheckpointInterval, faultyInterval)
	}
	if !c.Local {
		defaultTo(&c.Workers, 1)
	}
	return c
}

// A run with faults is paced to last so long, and takes checkpoints so often, that they
// strike in the middle of it.
const (
	faultySpan     = 8 * time.Second
	furtherFault   = 5 * time.Second
	faultyInterval = 500 * time.Millisecond
)

func defaultTo[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// command is the command line that measures the same again.
func (c *NexmarkConfig) command() string {
	line := []string{"cairn bench nexmark", "--query", c.Query, "--events", fmt.Sprint(c.Events), "--seed", fmt.Sprint(c.Seed),
		"--parallelism", fmt.Sprint(c.Parallelism), "--backend", c.Backend}
	add := func(given bool, words ...string) {
		if given {
			line = append(line, words...)
		}
	}
	add(c.EventRate != nexmark.DefaultEventRate, "--event-rate", fmt.Sprint(c.EventRate))
	add(c.OutOfOrder != 1, "--out-of-order", fmt.Sprint(c.OutOfOrder))
	add(!c.NoCheckpoints, "--checkpoint-interval", c.CheckpointInterval.String())
	add(c.NoCheckpoints, "--no-checkpoints")
	add(c.Alternate, "--alternate")
	add(c.Repetitions > 1, "--repetitions", fmt.Sprint(c.Repetitions))
	add(c.Rate > 0, "--rate", strconv.FormatFloat(c.Rate, 'f', -1, 64))
	add(c.Local, "--local")
	add(c.Workers > 0, "--workers", fmt.Sprint(c.Workers))
	add(c.CoresPerWorker > 0, "--cores-per-worker", fmt.Sprint(c.CoresPerWorker))
	add(c.Faults != "", "--faults", c.Faults)
	add(c.ObjectStore != "", "--object-store", c.ObjectStore)
	return strings.Join(line, " ")
}
