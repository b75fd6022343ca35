package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/internal/heap"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
)

const (
	// pipelineRate is in records a second, over pipelineKeys keys.
	pipelineRate = 1e6
	pipelineKeys = 1e6
	// warmUp fills most of the keys before latencies count.
	warmUp = 3 * time.Second
)

// pipelines measures the latency of a job in the engine.
func (r *runner) pipelines(ctx context.Context) error {
	for _, backend := range r.cfg.Backends {
		if err := r.pipeline(ctx, backend); err != nil {
			return fmt.Errorf("%s: %w", backend, err)
		}
	}
	return nil
}

func (r *runner) pipeline(ctx context.Context, backend string) error {
	interval, warm, rate, keys := time.Second, warmUp, float64(pipelineRate), uint64(pipelineKeys)
	if r.cfg.Quick {
		interval, warm, rate, keys = r.cfg.Duration/4, r.cfg.Duration/4, pipelineRate/10, keysQuick
	}
	res := r.result("pipeline", backend, "", fmt.Sprintf("a job of two tasks in the engine: source, hash exchange, aggregate over %s keys; %s records/s, a checkpoint"+
		" every %v; latency from the moment when a record was due until it was processed, the first %v left out", formatCount(int64(keys)), formatCount(int64(rate)), interval, warm))
	l := live{runner: r, interval: interval, clock: paceClock{rate: rate}, rec: recorder{from: warm}, backend: backend, keys: keys}
	if err := l.run(ctx, warm+r.cfg.Duration); err != nil {
		return err
	}
	h := &l.rec.latency
	for _, p := range []struct {
		name string
		at   float64
	}{{"p50", 50}, {"p99", 99}, {"p99.9", 99.9}, {"p99.99", 99.99}, {"max", 100}} {
		res.ms("latency_"+p.name, h.percentile(p.at))
	}
	res.add("records_per_second", float64(h.n)/(l.rec.last-warm).Seconds(), "1/s")
	res.add("checkpoints", float64(len(l.took)), "")
	res.ms("checkpoint_p50", median(l.took))
	res.ms("checkpoint_max", quantile(l.took, 100))
	res.add("bytes_per_checkpoint", float64(l.bytes)/float64(max(len(l.took), 1)), "bytes")
	res.add("process_cpu", 100*l.cpu.Seconds()/(warm+r.cfg.Duration).Seconds(), "%")
	r.report.atMost(backend+", pipeline latency p99.99", h.percentile(99.99).Seconds()*1e3, 20, "ms")
	r.report.atMost(backend+", pipeline checkpoint median", median(l.took).Seconds()*1e3, 50, "ms")
	return nil
}

// live is a run of the job. It is its events' receiver.
type live struct {
	*runner
	backend  string
	keys     uint64
	interval time.Duration
	clock    paceClock
	rec      recorder

	outcomes chan outcomeOf
	took     []time.Duration // from trigger to acknowledgement
	bytes    int64
	cpu      time.Duration
}

// outcomeOf is what became of a checkpoint.
type outcomeOf struct {
	id       dataflow.CheckpointID
	part     *snapshot.Process
	declined error
}

var errRanLongEnough = errors.New("the measurement is over")

// run runs the job for d.
func (l *live) run(ctx context.Context, d time.Duration) error {
	l.outcomes = make(chan outcomeOf, 16) // more than are ever under way
	program, err := newJob(l.backend, &l.clock, l.keys, &l.rec)
	if err != nil {
		return err
	}
	plan, err := program.Graph.Plan()
	if err != nil {
		return err
	}
	number := l.processes.Add(1)
	a, err := engine.Open(ctx, program, engine.Config{
		Cluster: "bench", Job: "bench", Attempt: 1, Process: dataflow.NewIncarnation(), Options: program.Graph.Options.WithDefaults(),
		Subtasks: plan.Tasks(), Bucket: objectstore.Count(l.bucket), ObjectPrefix: fmt.Sprintf("%s%d/", l.prefix, number),
		LocalDir: l.folder(fmt.Sprintf("job-%d", number)), Events: l, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, d, errRanLongEnough)
	defer cancel()
	heap.Floor(heap.Least) // as in a job's process
	l.clock.epoch = time.Now()
	cpu := processCPU()
	g, inner := errgroup.WithContext(ctx)
	g.Go(func() error { return a.Run(inner) })
	g.Go(func() error { return l.checkpoints(inner, a) })
	err = g.Wait()
	l.cpu = processCPU() - cpu
	if errors.Is(err, errRanLongEnough) {
		err = nil
	}
	return errors.Join(err, l.remove(context.WithoutCancel(ctx), fmt.Sprintf("%s%d/", l.prefix, number)))
}

// checkpoints triggers one after each interval and completes it.
func (l *live) checkpoints(ctx context.Context, a *engine.Attempt) error {
	ticker := time.NewTicker(l.interval)
	defer ticker.Stop()
	for id := dataflow.CheckpointID(1); ; id++ {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
		at := time.Now()
		a.Trigger(engine.Trigger{ID: id, At: at})
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case o := <-l.outcomes:
			if o.part == nil {
				return fmt.Errorf("checkpoint %d was declined: %w", o.id, o.declined)
			}
			l.took = append(l.took, time.Since(at))
			l.bytes += o.part.Bytes
			a.Completed(id)
		}
	}
}

// Acknowledge implements engine.Events.
func (l *live) Acknowledge(id dataflow.CheckpointID, s *snapshot.Process) {
	l.outcomes <- outcomeOf{id: id, part: s}
}

// Decline implements engine.Events.
func (l *live) Decline(id dataflow.CheckpointID, reason error) {
	l.outcomes <- outcomeOf{id: id, declined: reason}
}

// EndOfData implements engine.Events: the source has no end.
func (l *live) EndOfData() {}

// Committed implements engine.Events: there is nothing to commit.
func (l *live) Committed(dataflow.CheckpointID) {}

// Restoring implements engine.Events: nothing is restored.
func (l *live) Restoring(engine.RestoreProgress) {}

// Trace implements engine.Events.
func (l *live) Trace(engine.TraceEvent) {}
