package bench

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/local"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/open"
	"github.com/cairnstream/cairn/stream"
)

// localLead is startLead without a cluster.
const localLead = 200 * time.Millisecond

// inProcess runs the job in this process.
func (b *nexmarkBench) inProcess(ctx context.Context, run *NexmarkRun) (t *total, err error) {
	dir := filepath.Join(b.dir, fmt.Sprintf("run-%d", len(b.report.Runs)+1))
	j := b.job()
	j.Tally = "file://" + filepath.Join(dir, "tally")
	out, err := b.resultsOut(&j)
	if err != nil {
		return nil, err
	}
	j.Start = time.Now().Add(localLead).UnixNano()
	p := stream.NewPipeline("nexmark")
	p.Options(b.options(run.Checkpoints))
	p.Parallelism(b.cfg.Parallelism)
	buildQuery(p, j)
	program, err := p.Program()
	if err != nil {
		return nil, err
	}
	seen := &localCheckpoints{}
	job, cfg := dataflow.JobID(""), local.Config{
		Program: program, Dir: filepath.Join(dir, "job"), Log: slog.New(slog.DiscardHandler), Checkpointed: seen.add,
		OpenBucket: func(ctx context.Context, url string) (objectstore.Bucket, error) {
			return open.Open(ctx, url, open.Options{Create: true})
		},
	}
	cfg.Started = func(id dataflow.JobID) { job = id }
	if err := profiled(b.cfg.CPUProfile, func() error { return b.timed(run, &j, func() error { return local.Run(ctx, cfg) }) }); err != nil {
		return nil, err
	}
	run.CheckpointBytes = float64(seen.bytes)
	run.addCheckpoints(seen.took)
	if err := out.collect(ctx, job); err != nil {
		return nil, err
	}
	return readTotal(ctx, j.Tally, job)
}

// timed measures what this process uses while f runs the job, from its first event on.
func (b *nexmarkBench) timed(run *NexmarkRun, j *queryJob, f func() error) error {
	runtime.GC() // of what was before; it also brings the figures of collections up to date
	run.usedBefore = usageOfProcess("")
	var cpu time.Duration
	sampled := make(chan struct{})
	began := time.Unix(0, j.Start)
	time.AfterFunc(time.Until(began.Add(-startBrink)), func() {
		cpu = processCPU()
		close(sampled)
	})
	peak := watchMemory(residentBytes)
	err := f()
	<-sampled
	run.Seconds, run.CPUSeconds = time.Since(began).Seconds(), (processCPU() - cpu).Seconds()
	run.PeakMemoryBytes = float64(peak())
	run.rates(b.cfg.Events)
	return err
}

// localCheckpoints collects what a local job tells of its checkpoints.
type localCheckpoints struct {
	mu    sync.Mutex
	took  []time.Duration
	bytes int64
}

func (c *localCheckpoints) add(took time.Duration, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took = append(c.took, took)
	c.bytes += bytes
}
