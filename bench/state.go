package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/cairnstream/cairn/objectstore/open"
)

// StateConfig says what RunState measures, and where.
type StateConfig struct {
	// Backends are the state backends to measure. Default: all.
	Backends []string
	// Sizes are the sizes of the state, for ParseSize, of the measurements that
	// depend on it. Default DefaultSizes, without the last for lsm.
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

// ErrConfig is returned by the configurations' Validate for what can not be measured.
var ErrConfig = errors.New("bench")

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
		return fmt.Errorf("%w: state: %w", ErrConfig, errors.Join(errs...))
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
	err = profiled(r.cfg.CPUProfile, func() error { return r.measure(ctx) })
	err = errors.Join(err, r.close(ctx))
	if err != nil {
		return fmt.Errorf("bench state: %w", err)
	}
	if cfg.JSON {
		return r.report.writeJSON(cfg.Stdout)
	}
	return r.report.writeText(cfg.Stdout)
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
