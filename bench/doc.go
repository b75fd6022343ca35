// Package bench is what `cairn bench` runs: measurements of the product by
// itself, on the machine at hand, through the code that jobs use.
//
// RunState measures keyed state. Its parts, by the names that --only takes:
//
//	updates     what a change costs, with the changelog off and on, in turns, and what
//	            the memory of the machine allows at the moment
//	checkpoint  time, bytes and PUTs against the size of the state, 1 % changed each time
//	constant    the same at 10 MB/s of changes, a small and a large state in turns
//	restore     from a base, from log alone, remote and local, and at twice the parallelism,
//	            in turns with a plain reader of the same objects
//	gc          CPU of a garbage collection with a large state, and without, in turns
//	memory      bytes per entry
//	pipeline    latency of a job of two stages at a fixed rate, with checkpoints
//
// Where a ratio is the point both sides run in one process, in turns, since the
// speed of a machine changes from minute to minute. Objects are written as durably
// as in a job. What a figure is about is in its result's text; the report has
// each with its unit and the command that makes it again.
//
//	state.go      the configuration
//	runner.go     the measurements, one after the other
//	report.go     results, figures and aims, as JSON and for people
//	task.go       a subtask's share: records, the store, the changes
//	process.go    an uploader and its tasks; load.go and seal.go put them to work
//	histogram.go  durations to percentiles
//
// RunNexmark measures a query of the Nexmark benchmark, with its rows checked in the same run;
// RunAll all of them, and RunCompare tells changes from noise.
//
//	nexmark.go          the configuration
//	nexmark_bench.go    the runs of a query, one after the other
//	nexmark_job.go      the job; nexmark_tally.go its sink, which counts rows instead of keeping them
//	nexmark_cluster.go  a run on a cluster of processes; nexmark_local.go in this process
//	nexmark_limit.go    what one core can do in a plain loop
//	nexmark_export.go   events and rows as Parquet
//	nexmark_report.go   the report; nexmark_figures.go its figures
//	usage_linux.go      what processes and their descendants use
//	all.go, compare.go  the suite, and what changed between two runs of it
//
// RunBackpressure measures checkpoints of a job that is held back, in each mode of barriers.
//
//	backpressure.go         the configuration
//	backpressure_run.go     the runs on a cluster, one mode after the other
//	backpressure_job.go     the job and its throttled sink
//	backpressure_report.go  the report
package bench
