package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/demo"
	"github.com/cairnstream/cairn/examples/nexmark/answers"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/open"
)

// nexmarkBench measures one query.
type nexmarkBench struct {
	cfg    NexmarkConfig
	dir    string // temporary
	answer answers.Answer
	report *NexmarkReport
	hosted *demo.Hosted // nil in local mode
}

// RunNexmark measures a query and prints the report. A run whose rows are not those of the
// plain loops in package answers is an error, and no figure of it is printed.
func RunNexmark(ctx context.Context, cfg NexmarkConfig) error {
	r, err := measureNexmark(ctx, cfg)
	if err != nil {
		return err
	}
	if cfg.JSON {
		return r.writeJSON(cfg.Stdout)
	}
	return r.writeText(cfg.Stdout)
}

// measureNexmark makes the runs and returns the report.
func measureNexmark(ctx context.Context, cfg NexmarkConfig) (r *NexmarkReport, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r, err = nil, fmt.Errorf("bench nexmark: %s: %w", cfg.Query, err)
		}
	}()
	dir, err := os.MkdirTemp("", "cairn-nexmark-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &nexmarkBench{cfg: cfg.withDefaults(), dir: dir}
	b.report = newNexmarkReport(&b.cfg)
	if err := b.prepare(); err != nil {
		return nil, err
	}
	if err := b.measure(ctx); err != nil {
		return nil, err
	}
	b.report.finish(&b.cfg)
	return b.report, nil
}

// prepare does what does not need the job: the answer, the limit of the machine, the export of events.
func (b *nexmarkBench) prepare() (err error) {
	job := b.job()
	if b.cfg.EventsOut != "" {
		b.note("writing the events to %s", b.cfg.EventsOut)
		if err := exportEvents(b.cfg.EventsOut, job.generator(), job.Events); err != nil {
			return fmt.Errorf("export events: %w", err)
		}
	}
	b.note("computing the answer by plain loops")
	if b.answer, err = answers.Of(b.cfg.Query, job.generator(), job.Events); err != nil {
		return err
	}
	b.report.addLimits(measureLimits(job.generator(), b.cfg.Query))
	return nil
}

// measure makes all runs, in turns if there are two kinds.
func (b *nexmarkBench) measure(ctx context.Context) (err error) {
	if !b.cfg.Local {
		stop, err := b.host(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	kinds := []bool{!b.cfg.NoCheckpoints}
	if b.cfg.Alternate {
		kinds = []bool{true, false}
	}
	for i := range b.cfg.Repetitions {
		for _, checkpoints := range kinds {
			b.note("run %d of %d, checkpoints %v", i+1, b.cfg.Repetitions, checkpoints)
			run, err := b.run(ctx, checkpoints)
			if err != nil {
				return fmt.Errorf("run %d: %w", i+1, err)
			}
			b.report.Runs = append(b.report.Runs, run)
		}
	}
	return nil
}

// run makes one run and checks its rows.
func (b *nexmarkBench) run(ctx context.Context, checkpoints bool) (*NexmarkRun, error) {
	run := &NexmarkRun{Checkpoints: checkpoints, Started: time.Now().UTC()}
	one := b.onCluster
	if b.cfg.Local {
		one = b.inProcess
	}
	t, err := one(ctx, run)
	if err != nil {
		return nil, err
	}
	run.addTotal(t)
	b.report.Rows, b.report.Checksum = t.rows, fmt.Sprintf("%016x", t.sum)
	if b.answer.Rows >= 0 && t.rows != b.answer.Rows || t.sum != b.answer.Sum {
		return nil, fmt.Errorf("wrong rows: %d with the checksum %016x, and the plain loops make %d with %016x", t.rows, t.sum, b.answer.Rows, b.answer.Sum)
	}
	return run, nil
}

// host starts the cluster; stop ends it and removes what it has written.
func (b *nexmarkBench) host(ctx context.Context) (stop func() error, err error) {
	b.note("starting %d controllers and %d workers", controllers, b.cfg.Workers)
	folder := filepath.Join(b.dir, "cluster")
	if err := os.Mkdir(folder, 0o755); err != nil {
		return nil, err
	}
	store, clean, err := b.store(ctx)
	if err != nil {
		return nil, err
	}
	b.hosted, err = demo.Host(ctx, demo.HostConfig{
		Dir: folder, ObjectStore: store, Controllers: controllers, Workers: b.cfg.Workers, Slots: b.slots(), CoresPerWorker: b.cfg.CoresPerWorker, Build: b.cfg.Version,
	})
	if err != nil {
		return nil, errors.Join(err, clean())
	}
	b.report.ObjectStore = b.hosted.ObjectStore
	return func() error { return errors.Join(b.hosted.Stop(), clean()) }, nil
}

// store is a place of the cluster's own in the object store that was given, since a store
// belongs to one cluster; clean removes what is in it. Without one the cluster has a folder.
func (b *nexmarkBench) store(ctx context.Context) (store string, clean func() error, err error) {
	if b.cfg.ObjectStore == "" {
		return "", func() error { return nil }, nil
	}
	if store, err = below(b.cfg.ObjectStore, "bench-"+string(dataflow.NewIncarnation())); err != nil {
		return "", nil, err
	}
	bucket, err := open.Open(ctx, store, open.Options{Create: true})
	if err != nil {
		return "", nil, err
	}
	return store, func() error { return errors.Join(empty(context.WithoutCancel(ctx), bucket), bucket.Close()) }, nil
}

// empty deletes all objects of a bucket.
func empty(ctx context.Context, b objectstore.Bucket) error {
	var keys []string
	err := b.List(ctx, "", func(o objectstore.Info) error {
		keys = append(keys, o.Key)
		return nil
	})
	for _, key := range keys {
		err = errors.Join(err, b.Delete(ctx, key))
	}
	return err
}

// slots is how many each worker has: such that the job needs all of them, or, if some are
// to be killed, one worker can run it alone.
func (b *nexmarkBench) slots() int {
	if b.cfg.Faults != "" {
		return b.cfg.Parallelism
	}
	return (b.cfg.Parallelism + b.cfg.Workers - 1) / b.cfg.Workers
}

// controllers is how many a cluster has that is to outlive any one of them.
const controllers = 3

// job is the job's arguments, but for when and where.
func (b *nexmarkBench) job() queryJob {
	c := &b.cfg
	j := queryJob{Query: c.Query, Events: c.Events, Seed: c.Seed, EventRate: c.EventRate, OutOfOrder: c.OutOfOrder, Rate: c.Rate}
	if c.Rate > 0 {
		span := time.Duration(float64(c.Events) / c.Rate * float64(time.Second))
		j.WarmUp = min(span/warmUpShare, warmUpMost)
	}
	return j
}

// The beginning of a paced run in which latencies don't count: a job that starts compiles
// nothing, but it has memory to get.
const (
	warmUpShare = 5
	warmUpMost  = 5 * time.Second
)

func (b *nexmarkBench) note(format string, args ...any) {
	fmt.Fprintf(b.cfg.Stderr, b.cfg.Query+": "+format+"\n", args...)
}
