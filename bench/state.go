package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/open"
)

// StateConfig says what RunState measures, and where.
type StateConfig struct {
	// Backends are the state backends to measure. Default: all.
	Backends []string
	// Sizes are the sizes of the state, for ParseSize, of the measurements that
	// depend on it. Default DefaultSizes.
	Sizes []string
	// Only names the measurements to make. Default: all.
	Only []string
	// ObjectStore is the URL of a bucket; what is written there is removed at the
	// end. Default: a temporary folder.
	ObjectStore string
	// Duration is how long each measurement under load takes, all turns together.
	// Default DefaultDuration.
	Duration time.Duration
	// Quick makes everything tiny: it shows that the command works, and no more.
	Quick bool
	// JSON prints the report as one JSON object instead of text.
	JSON bool
	// CPUProfile is a file to write a CPU profile to; empty: none.
	CPUProfile string
	// Version is cairn's, for the report.
	Version string
	Stdout  io.Writer
	Stderr  io.Writer // progress
}

// DefaultSizes fit into the memory of a small machine, with a copy that is being
// restored.
var DefaultSizes = []string{"10MB", "100MB", "1GB"}

// DefaultDuration makes a median of twenty checkpoints.
const DefaultDuration = 10 * time.Second

// ErrConfig is returned by Validate for what can not be measured.
var ErrConfig = errors.New("bench state")

// measurement is one that can be chosen.
type measurement struct {
	name string
	make func(*runner, context.Context) error
}

// measurements are all, in the order in which they are made.
func measurements() []measurement {
	return []measurement{
		{"updates", (*runner).updates},
		{"checkpoint", (*runner).checkpointSizes},
		{"constant", (*runner).constantRate},
		{"restore", (*runner).restores},
		{"gc", (*runner).collections},
		{"memory", (*runner).footprints},
		{"pipeline", (*runner).pipelines},
	}
}

// Measurements are the names of all measurements.
func Measurements() []string {
	var names []string
	for _, m := range measurements() {
		names = append(names, m.name)
	}
	return names
}

// Validate reports everything that is wrong with the configuration.
func (c *StateConfig) Validate() error {
	var errs []error
	check := func(what string, given, known []string) {
		for _, g := range given {
			if !slices.Contains(known, g) {
				errs = append(errs, fmt.Errorf("%s %q: use %s", what, g, strings.Join(known, ", ")))
			}
		}
	}
	check("backend", c.Backends, backends)
	check("measurement", c.Only, Measurements())
	for _, s := range c.Sizes {
		if _, err := ParseSize(s); err != nil {
			errs = append(errs, err)
		}
	}
	if c.Duration < 0 {
		errs = append(errs, fmt.Errorf("duration %v: want a time above 0", c.Duration))
	}
	if c.ObjectStore != "" {
		if err := open.Check(c.ObjectStore); err != nil {
			errs = append(errs, fmt.Errorf("object store: %w", err))
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("%w: %w", ErrConfig, errors.Join(errs...))
	}
	return nil
}

func (c StateConfig) withDefaults() StateConfig {
	if len(c.Backends) == 0 {
		c.Backends = backends
	}
	if len(c.Only) == 0 {
		c.Only = Measurements()
	}
	if len(c.Sizes) == 0 {
		c.Sizes = DefaultSizes
	}
	if c.Duration == 0 {
		c.Duration = DefaultDuration
	}
	if c.Quick {
		c.Sizes, c.Duration = []string{"100KB", "1MB"}, 200*time.Millisecond
	}
	return c
}

// RunState makes the measurements and prints the report. Figures that miss an aim
// are no error.
func RunState(ctx context.Context, cfg StateConfig) (err error) {
	if err := cfg.Validate(); err != nil {
		return err
	}
	r, err := newRunner(ctx, cfg.withDefaults())
	if err != nil {
		return fmt.Errorf("bench state: %w", err)
	}
	err = r.profiled(func() error { return r.measure(ctx) })
	err = errors.Join(err, r.close(ctx))
	if err != nil {
		return fmt.Errorf("bench state: %w", err)
	}
	if cfg.JSON {
		return r.report.writeJSON(cfg.Stdout)
	}
	return r.report.writeText(cfg.Stdout)
}

// runner makes the measurements, one after the other.
type runner struct {
	cfg       StateConfig
	report    *Report
	bucket    objectstore.Bucket
	dir       string // temporary, for everything on this machine's disk
	prefix    string // of everything in the bucket, ending in '/'
	processes atomic.Int64
}

func newRunner(ctx context.Context, cfg StateConfig) (*runner, error) {
	dir, err := os.MkdirTemp("", "cairn-bench-")
	if err != nil {
		return nil, err
	}
	r := &runner{cfg: cfg, dir: dir, prefix: "bench/" + string(dataflow.NewIncarnation()) + "/"}
	url := cfg.ObjectStore
	if url == "" {
		url = "file://" + filepath.Join(dir, "bucket")
	}
	if r.bucket, err = open.Open(ctx, url, open.Options{Create: true}); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	r.report = &Report{
		Version: cfg.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.GOMAXPROCS(0),
		ObjectStore: r.bucket.URL(), Command: cfg.command(cfg.Only, cfg.Backends), Started: time.Now().UTC(), Aims: []Aim{},
	}
	return r, nil
}

// folder names a folder on this machine's disk, which is removed at the end.
func (r *runner) folder(name string) string { return filepath.Join(r.dir, name) }

// close removes everything that was written.
func (r *runner) close(ctx context.Context) error {
	err := r.remove(context.WithoutCancel(ctx), r.prefix)
	return errors.Join(err, r.bucket.Close(), os.RemoveAll(r.dir))
}

// remove deletes the objects below prefix.
func (r *runner) remove(ctx context.Context, prefix string) error {
	var keys []string
	err := r.bucket.List(ctx, prefix, func(o objectstore.Info) error {
		keys = append(keys, o.Key)
		return nil
	})
	for _, key := range keys {
		err = errors.Join(err, r.bucket.Delete(ctx, key))
	}
	return err
}

func (r *runner) measure(ctx context.Context) error {
	for _, m := range measurements() {
		if !slices.Contains(r.cfg.Only, m.name) {
			continue
		}
		if err := m.make(r, ctx); err != nil {
			return fmt.Errorf("measure %s: %w", m.name, err)
		}
	}
	r.report.Seconds = round(time.Since(r.report.Started).Seconds())
	return nil
}

// profiled calls f, under the CPU profile if one was asked for.
func (r *runner) profiled(f func() error) (err error) {
	if r.cfg.CPUProfile == "" {
		return f()
	}
	file, err := os.Create(r.cfg.CPUProfile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := pprof.StartCPUProfile(file); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return f()
}

// result begins a result and says on stderr what is being measured.
func (r *runner) result(name, backend, kase, about string) *Result {
	fmt.Fprintln(r.cfg.Stderr, strings.Join(strings.Fields(name+" "+backend+" "+kase), " "))
	res := &Result{Name: name, Backend: backend, Case: kase, About: about, Command: r.cfg.command([]string{name}, []string{backend})}
	r.report.Results = append(r.report.Results, res)
	return res
}

// command is the command line that makes these measurements again.
func (c *StateConfig) command(only, backends []string) string {
	line := []string{"cairn bench state"}
	add := func(flag, value string) {
		if value != "" {
			line = append(line, flag, value)
		}
	}
	if len(only) < len(measurements()) {
		add("--only", strings.Join(only, ","))
	}
	add("--backend", strings.Join(backends, ","))
	add("--object-store", c.ObjectStore)
	if c.Quick {
		return strings.Join(append(line, "--quick"), " ")
	}
	add("--sizes", strings.Join(c.Sizes, ","))
	add("--duration", c.Duration.String())
	return strings.Join(line, " ")
}
