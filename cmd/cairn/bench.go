//go:build unix

package main

import (
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/admin"
	"github.com/cairnstream/cairn/bench"
	"github.com/cairnstream/cairn/examples/nexmark/queries"
	"github.com/cairnstream/cairn/internal/build"
)

func benchCommand(stdout, stderr io.Writer) *cobra.Command {
	return admin.Group(&cobra.Command{Use: "bench", Short: "Measure Cairn on this machine"}, benchStateCommand(stdout, stderr), benchNexmarkCommand(stdout, stderr),
		benchBackpressureCommand(stdout, stderr), benchAllCommand(stdout, stderr), benchCompareCommand(stdout))
}

func benchStateCommand(stdout, stderr io.Writer) *cobra.Command {
	cfg := bench.StateConfig{Version: build.Version(), Stdout: stdout, Stderr: stderr}
	cmd := &cobra.Command{
		Use:   "state",
		Short: "Measure keyed state: updates, checkpoints, restores, memory, and the latency of a job",
		Args:  admin.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usage(bench.RunState(cmd.Context(), cfg))
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&cfg.Backends, "backend", nil, "state backends to measure: memory, lsm (default: both)")
	f.StringSliceVar(&cfg.Sizes, "sizes", nil, "sizes of the state, such as 10MB,1GB (default "+strings.Join(bench.DefaultSizes, ",")+", lsm without the last)")
	f.StringSliceVar(&cfg.Only, "only", nil, "measurements to make: "+strings.Join(bench.Measurements(), ", ")+" (default: all)")
	f.StringVar(&cfg.ObjectStore, "object-store", "", "bucket to write to, such as s3://bucket/prefix?endpoint=http://127.0.0.1:9000; what is written is removed (default: a temporary folder)")
	f.DurationVar(&cfg.Duration, "duration", 0, "how long each measurement under load takes (default "+bench.DefaultDuration.String()+")")
	f.BoolVar(&cfg.Quick, "quick", false, "make everything tiny, only to see that it works")
	f.BoolVar(&cfg.JSON, "json", false, "print the report as one JSON object")
	f.StringVar(&cfg.CPUProfile, "cpuprofile", "", "write a CPU profile to this file")
	return cmd
}

// usage makes errors of a configuration errors of the command line.
func usage(err error) error {
	if errors.Is(err, bench.ErrConfig) {
		return &admin.UsageError{Err: err}
	}
	return err
}

const nexmarkHelp = `Measure a query of the Nexmark benchmark.

The job runs on a cluster of its own making (controllers and workers as processes on this
machine), or with --local in this process. Events are made from a seed inside of the job; the
same seed gives the same events whatever the parallelism. The rows are exactly once, and their
number and checksum are compared with those that plain loops over the same events make: a run
with wrong rows is an error.

Figures: events_per_second counts from when the job runs until all its rows are committed;
events_per_cpu_second divides by the CPU time of all processes meanwhile, controllers and workers
included, making the events included. What an event costs to make is beside it, and what one core
of this machine can do in a plain loop. With --rate events are due at fixed moments, whatever the
job does, and latencies count from then: no latency is left out because the job was late. The
first fifth of such a run, at most 5 s, does not count, nor does what the end of the data gives.

Queries: `

func benchNexmarkCommand(stdout, stderr io.Writer) *cobra.Command {
	cfg := bench.NexmarkConfig{Version: build.Version(), Stdout: stdout, Stderr: stderr}
	cmd := &cobra.Command{
		Use:   "nexmark",
		Short: "Measure a query of the Nexmark benchmark, and check its rows",
		Long:  nexmarkHelp + strings.Join(queries.Names(), ", ") + ".",
		Example: `  cairn bench nexmark --query q5 --parallelism 2 --json
  cairn bench nexmark --query q0 --rate 1000000 --events 30000000 --parallelism 2
  cairn bench nexmark --query q7 --alternate --repetitions 5
  cairn bench nexmark --query q8 --events 1000000 --faults worker --events-out ev --results-out res`,
		Args: admin.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return usage(bench.RunNexmark(cmd.Context(), cfg)) },
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Query, "query", "q5", "the query")
	f.Int64Var(&cfg.Events, "events", bench.DefaultEvents, "number of events")
	f.Int64Var(&cfg.Seed, "seed", 1, "other seed, other events")
	f.Int64Var(&cfg.EventRate, "event-rate", 0, "events in a second of event time (default 100000)")
	f.Int64Var(&cfg.OutOfOrder, "out-of-order", 0, "size of the groups within which the order of events is mixed up (default 1: in order)")
	f.IntVar(&cfg.Parallelism, "parallelism", 1, "subtasks of every operator")
	f.StringVar(&cfg.Backend, "backend", "", "state backend: memory (default) or lsm")
	f.DurationVar(&cfg.CheckpointInterval, "checkpoint-interval", 0, "time between checkpoints (default 1s)")
	f.BoolVar(&cfg.NoCheckpoints, "no-checkpoints", false, "take no checkpoint but the last, which the rows need")
	f.BoolVar(&cfg.Alternate, "alternate", false, "run with checkpoints and without, in turns, and tell what they cost")
	f.IntVar(&cfg.Repetitions, "repetitions", 1, "how often to measure; figures are medians")
	f.StringVar(&cfg.ObjectStore, "object-store", "", "bucket for the cluster, such as file:///path or s3://bucket/prefix?endpoint=http://127.0.0.1:9000; what is written is removed (default: a temporary folder)")
	f.Float64Var(&cfg.Rate, "rate", 0, "events a second of real time, for latencies (default: as many as it takes)")
	f.IntVar(&cfg.Workers, "workers", 0, "worker processes of the cluster (default 1, with faults 2)")
	f.IntVar(&cfg.CoresPerWorker, "cores-per-worker", 0, "cores of each worker's own, as if it was a machine of that size (Linux; default: all share all)")
	f.BoolVar(&cfg.Local, "local", false, "run the job in this process instead of a cluster")
	f.StringVar(&cfg.Faults, "faults", "", "what to kill while the job runs, in order: leader, worker, leader+worker; without --rate the run is paced to last long enough")
	f.StringVar(&cfg.EventsOut, "events-out", "", "write the events to person.parquet, auction.parquet and bid.parquet in this folder")
	f.StringVar(&cfg.ResultsOut, "results-out", "", "write the rows as Parquet to a folder below this one, named as the query")
	f.BoolVar(&cfg.JSON, "json", false, "print the report as one JSON object")
	f.StringVar(&cfg.CPUProfile, "cpuprofile", "", "write a CPU profile of the job to this file; with --local")
	return cmd
}

// benchJobCommand is a measured job: the executable starts itself again as one.
func benchJobCommand() *cobra.Command {
	return &cobra.Command{Use: bench.QueryJob, Hidden: true, DisableFlagParsing: true, RunE: func(cmd *cobra.Command, args []string) error {
		return bench.RunQueryJob(cmd.Context(), args)
	}}
}

func benchAllCommand(stdout, stderr io.Writer) *cobra.Command {
	cfg := bench.AllConfig{Version: build.Version(), Stdout: stdout, Stderr: stderr}
	cmd := &cobra.Command{
		Use:   "all",
		Short: "Measure all queries of Nexmark in all the ways that matter, and write one file for each",
		Long: `Measure all queries of the Nexmark benchmark, and write the report of each measurement to a file.

NAME            a query on a cluster with one worker, with checkpoints and without in turns
NAME-local      in one process, on one core; NAME-local-2 on two
NAME-workers-2  on two cores, between two workers
NAME-latency    at a million events a second, checkpoints every second; NAME-latency-100ms every 100 ms

It takes about half an hour. cairn bench compare shows what changed between two folders.`,
		Example: "  cairn bench all --out before\n  cairn bench all --out after --only q5,q5-latency\n  cairn bench compare before after",
		Args:    admin.Args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return usage(bench.RunAll(cmd.Context(), cfg)) },
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Out, "out", "bench-results", "folder for the reports")
	f.StringSliceVar(&cfg.Only, "only", nil, "measurements to make, such as q5,q5-latency (default: all)")
	f.IntVar(&cfg.Repetitions, "repetitions", bench.DefaultRepetitions, "how often to make each")
	f.BoolVar(&cfg.Quick, "quick", false, "make everything tiny, only to see that it works")
	f.BoolVar(&cfg.JSON, "json", false, "print the summary as one JSON object")
	return cmd
}

func benchCompareCommand(stdout io.Writer) *cobra.Command {
	cfg := bench.CompareConfig{Stdout: stdout}
	cmd := &cobra.Command{
		Use:   "compare A B",
		Short: "Show how figures changed between two measurements, and whether that is more than noise",
		Long: `Compare two reports of cairn bench nexmark --json, or two folders of cairn bench all.

Of each figure the medians are compared. A change is better or worse if every run of B is better or worse
than every run of A, and else within the noise. One run on a side says nothing about noise: use --repetitions.`,
		Args: admin.Args(cobra.ExactArgs(2)),
		RunE: func(_ *cobra.Command, args []string) error {
			cfg.A, cfg.B = args[0], args[1]
			return bench.RunCompare(cfg)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&cfg.All, "all", false, "show figures too whose change is within the noise")
	f.BoolVar(&cfg.JSON, "json", false, "print the changes as one JSON array")
	return cmd
}
