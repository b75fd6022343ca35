package bench

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cairnstream/cairn/dataflow"
)

// BackpressureConfig says what RunBackpressure measures.
type BackpressureConfig struct {
	// Rate is how many records a second the sources would read if nothing held them
	// back. Default DefaultBackpressureRate.
	Rate float64
	// Share is what of that the sink takes. Default 0.01.
	Share float64
	// Duration is how long checkpoints of each mode are counted, once the buffers are full.
	// Default DefaultBackpressureDuration.
	Duration time.Duration
	// Timeout is the checkpoint timeout. Default 5 s.
	Timeout time.Duration
	// AlignedTimeout is that of the mode of this name. Default 500 ms.
	AlignedTimeout time.Duration
	// Parallelism is the number of subtasks of every operator. Default 2.
	Parallelism int
	// Workers is the number of worker processes of the cluster. Default 2.
	Workers int
	// JSON prints the report as one JSON object instead of text.
	JSON bool
	// Version is cairn's, for the report.
	Version string
	Stdout  io.Writer
	Stderr  io.Writer // progress
}

const (
	// DefaultBackpressureRate is in records a second, of 1 KB each.
	DefaultBackpressureRate = 100_000
	// DefaultBackpressureDuration lets each mode begin a dozen checkpoints or more.
	DefaultBackpressureDuration = 20 * time.Second
	// backpressureWithin is what a checkpoint may take that does not wait for records.
	backpressureWithin = 2 * time.Second
	// backpressureInterval is the time from one checkpoint to the next.
	backpressureInterval = time.Second
	// backpressureRows is Options.BatchRows of the job. A subtask is told of a barrier between
	// two batches, so what the sink takes for one bounds how fast a checkpoint can be:
	// about a quarter of a second with the defaults.
	backpressureRows = 128
)

// Validate reports everything that is wrong with the configuration.
func (c *BackpressureConfig) Validate() error {
	var errs []error
	for name, v := range map[string]float64{
		"rate": c.Rate, "share": c.Share, "duration": c.Duration.Seconds(), "timeout": c.Timeout.Seconds(),
		"aligned timeout": c.AlignedTimeout.Seconds(), "parallelism": float64(c.Parallelism), "workers": float64(c.Workers),
	} {
		if v < 0 {
			errs = append(errs, fmt.Errorf("%s %v: want a positive number", name, v))
		}
	}
	if c.Share > 1 {
		errs = append(errs, fmt.Errorf("share %v: the sink is to be slower than the sources, use less than 1", c.Share))
	}
	if c.Timeout > 0 && c.AlignedTimeout >= c.Timeout {
		errs = append(errs, fmt.Errorf("aligned timeout %v: use less than the timeout, %v", c.AlignedTimeout, c.Timeout))
	}
	if len(errs) > 0 {
		return fmt.Errorf("%w: backpressure: %w", ErrConfig, errors.Join(errs...))
	}
	return nil
}

func (c BackpressureConfig) withDefaults() BackpressureConfig {
	defaultTo(&c.Rate, DefaultBackpressureRate)
	defaultTo(&c.Share, 0.01)
	defaultTo(&c.Duration, DefaultBackpressureDuration)
	defaultTo(&c.Timeout, 5*time.Second)
	defaultTo(&c.AlignedTimeout, 500*time.Millisecond)
	defaultTo(&c.Parallelism, 2)
	defaultTo(&c.Workers, 2)
	return c
}

// command is the command line that measures the same again.
func (c *BackpressureConfig) command() string {
	return strings.Join([]string{"cairn bench backpressure", "--rate", fmt.Sprint(c.Rate), "--share", fmt.Sprint(c.Share), "--duration", c.Duration.String(),
		"--timeout", c.Timeout.String(), "--aligned-timeout", c.AlignedTimeout.String(), "--parallelism", fmt.Sprint(c.Parallelism), "--workers", fmt.Sprint(c.Workers)}, " ")
}

// backpressureMode is a way in which barriers pass.
type backpressureMode struct {
	name string
	set  func(*BackpressureConfig, *dataflow.CheckpointOptions)
	// completes tells that every checkpoint must, within backpressureWithin.
	completes bool
}

// backpressureModes are measured one after the other on one cluster.
var backpressureModes = []backpressureMode{
	{"aligned", func(*BackpressureConfig, *dataflow.CheckpointOptions) {}, false},
	{"aligned_timeout", func(c *BackpressureConfig, o *dataflow.CheckpointOptions) { o.AlignedTimeout = c.AlignedTimeout }, true},
	{"unaligned", func(_ *BackpressureConfig, o *dataflow.CheckpointOptions) { o.Unaligned = "on" }, true},
}

// options are the job's in a mode. No checkpoint that fails ends it.
func (c *BackpressureConfig) options(m backpressureMode) dataflow.Options {
	o := dataflow.Options{CheckpointInterval: backpressureInterval, CheckpointTimeout: c.Timeout, TolerableFailures: -1, BatchRows: backpressureRows}
	m.set(c, &o.Checkpoint)
	return o
}
