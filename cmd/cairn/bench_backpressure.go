//go:build unix

package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/admin"
	"github.com/cairnstream/cairn/bench"
	"github.com/cairnstream/cairn/internal/build"
)

func benchBackpressureCommand(stdout, stderr io.Writer) *cobra.Command {
	cfg := bench.BackpressureConfig{Version: build.Version(), Stdout: stdout, Stderr: stderr}
	cmd := &cobra.Command{
		Use:   "backpressure",
		Short: "Measure checkpoints of a job whose sink is far slower than its sources",
		Long: `Measure checkpoints under backpressure: a job on a cluster of its own making, the sink of which
takes a small share of what its sources would read, so that all buffers are full.

It runs once for each way in which barriers pass: aligned (they wait behind the records, and
checkpoints time out), aligned_timeout (they overtake once it has passed) and unaligned
(they overtake at once). Counted are checkpoints that begin when the buffers have had the
checkpoint timeout to fill. in_flight_bytes is what checkpoints keep of records overtaken.`,
		Example: "  cairn bench backpressure\n  cairn bench backpressure --rate 200000 --share 0.01 --aligned-timeout 500ms --json",
		Args:    admin.Args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return usage(bench.RunBackpressure(cmd.Context(), cfg)) },
	}
	f := cmd.Flags()
	f.Float64Var(&cfg.Rate, "rate", bench.DefaultBackpressureRate, "records a second that the sources would read, of 1 KB each")
	f.Float64Var(&cfg.Share, "share", 0.01, "what of that the sink takes")
	f.DurationVar(&cfg.Duration, "duration", bench.DefaultBackpressureDuration, "how long checkpoints of each mode are counted")
	f.DurationVar(&cfg.Timeout, "timeout", 0, "checkpoint timeout (default 5s)")
	f.DurationVar(&cfg.AlignedTimeout, "aligned-timeout", 0, "aligned timeout of the mode of this name (default 500ms)")
	f.IntVar(&cfg.Parallelism, "parallelism", 2, "subtasks of every operator")
	f.IntVar(&cfg.Workers, "workers", 2, "worker processes of the cluster")
	f.BoolVar(&cfg.JSON, "json", false, "print the report as one JSON object")
	return cmd
}

// benchBackpressureJobCommand is the measured job: the executable starts itself again as one.
func benchBackpressureJobCommand() *cobra.Command {
	return &cobra.Command{Use: bench.BackpressureJob, Hidden: true, DisableFlagParsing: true, RunE: func(cmd *cobra.Command, args []string) error {
		return bench.RunBackpressureJob(cmd.Context(), args)
	}}
}
