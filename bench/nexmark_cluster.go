package bench

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairnstream/cairn/admin"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/demo"
	"github.com/cairnstream/cairn/wire"
)

const (
	// startLead is how long after its submission a job's first event is due: by then it runs,
	// and waits.
	startLead = 3 * time.Second
	// startBrink is how long before that its use of the machine begins to count.
	startBrink = 20 * time.Millisecond
)

// onCluster runs the job on the cluster.
func (b *nexmarkBench) onCluster(ctx context.Context, run *NexmarkRun) (*total, error) {
	j := b.job()
	var err error
	if j.Tally, err = below(b.hosted.ObjectStore, "tally"); err != nil {
		return nil, err
	}
	out, err := b.resultsOut(&j)
	if err != nil {
		return nil, err
	}
	j.Start = time.Now().Add(startLead).UnixNano()
	id, err := b.submit(ctx, &j, run.Checkpoints)
	if err != nil {
		return nil, err
	}
	b.hosted.Follow(id)
	if err := b.follow(ctx, dataflow.JobID(id), &j, run); err != nil {
		return nil, b.hosted.Explain(err)
	}
	if err := b.addCheckpoints(ctx, id, run); err != nil {
		return nil, err
	}
	if err := out.collect(ctx, dataflow.JobID(id)); err != nil {
		return nil, err
	}
	return readTotal(ctx, j.Tally, dataflow.JobID(id))
}

// below is the URL of a place below a store's.
func below(store, name string) (string, error) {
	u, err := url.Parse(store)
	if err != nil {
		return "", fmt.Errorf("object store %q: %w", store, err)
	}
	u.Path = strings.TrimRight(u.Path, "/") + "/" + name
	return u.String(), nil
}

// submit submits the job, which is this executable.
func (b *nexmarkBench) submit(ctx context.Context, j *queryJob, checkpoints bool) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	return admin.Submit(ctx, b.hosted.Client, admin.Submission{
		Name: "nexmark", Executable: self, Platform: runtime.GOOS + "/" + runtime.GOARCH, Args: append([]string{QueryJob}, j.arguments()...),
		Options: b.options(checkpoints), Parallelism: int32(b.cfg.Parallelism),
	})
}

// arguments is the job's command line.
func (j *queryJob) arguments() []string {
	return []string{
		"--query", j.Query, "--events", fmt.Sprint(j.Events), "--seed", fmt.Sprint(j.Seed), "--event-rate", fmt.Sprint(j.EventRate),
		"--out-of-order", fmt.Sprint(j.OutOfOrder), "--rate", fmt.Sprint(j.Rate), "--start", fmt.Sprint(j.Start), "--warm-up", j.WarmUp.String(),
		"--tally", j.Tally, "--rows", j.Rows,
	}
}

// options are the job's: with or without checkpoints, apart from the last one.
func (b *nexmarkBench) options(checkpoints bool) dataflow.Options {
	o := dataflow.Options{CheckpointInterval: b.cfg.CheckpointInterval, State: dataflow.StateOptions{Backend: b.cfg.Backend}}
	if !checkpoints {
		o.CheckpointInterval = -1
	}
	if b.cfg.Faults != "" {
		o.Restart.Initial = 100 * time.Millisecond
	}
	return o
}

// follow waits for the job's end, strikes meanwhile, and measures what all processes
// together use from the first event, or when the job runs if that is later, until it is finished.
func (b *nexmarkBench) follow(ctx context.Context, id dataflow.JobID, j *queryJob, run *NexmarkRun) error {
	p, err := b.hosted.Wait(ctx, func(p demo.Progress) bool { return !p.Running.IsZero() || p.Ended() })
	if err != nil {
		return err
	}
	began := time.Unix(0, j.Start)
	if p.Running.After(began) {
		began = p.Running
	}
	if err := waitUntil(ctx, began.Add(-startBrink)); err != nil {
		return err
	}
	pids := b.hosted.PIDs()
	before, _ := usageOf(pids)
	peak := watchMemory(func() int64 { _, resident := usageOf(pids); return resident })
	if b.cfg.Faults != "" {
		err = b.strike(ctx, id, j, run)
	}
	if err == nil {
		p, err = b.hosted.Wait(ctx, demo.Progress.Ended)
	}
	ended := time.Now()
	run.PeakMemoryBytes = float64(peak())
	if err != nil {
		return err
	}
	if p.Status != "finished" {
		return fmt.Errorf("the job is %s: %s", p.Status, p.Reason)
	}
	if b.cfg.Faults == "" {
		after, _ := usageOf(pids)
		run.CPUSeconds = (after - before).Seconds()
	}
	run.Restarts = int(p.Attempt) - 1
	run.Seconds = ended.Sub(began).Seconds()
	run.rates(b.cfg.Events)
	return nil
}

// waitUntil waits until a moment, or returns why ctx has ended.
func waitUntil(ctx context.Context, at time.Time) error {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// strike lets the faults strike when a third of the events were due and rows of them are
// committed.
func (b *nexmarkBench) strike(ctx context.Context, id dataflow.JobID, j *queryJob, run *NexmarkRun) error {
	third := time.Duration(float64(j.Events) / j.Rate / 3 * float64(time.Second))
	if err := waitUntil(ctx, time.Unix(0, j.Start).Add(third)); err != nil {
		return err
	}
	before := -1
	p, err := b.hosted.Wait(ctx, func(p demo.Progress) bool {
		if before < 0 {
			before = p.Completed
		}
		return p.Completed > before || p.Ended()
	})
	if err != nil {
		return err
	}
	if p.Ended() {
		return fmt.Errorf("the job is %s before the fault has struck: use more events, or a lower --rate", p.Status)
	}
	t, err := readTotal(ctx, j.Tally, id)
	if err != nil {
		return err
	}
	run.StruckAfterRows = t.rows
	return b.hosted.Strike(ctx, b.cfg.Faults, plainWriter{b.cfg.Stderr})
}

// plainWriter hides that a writer is a terminal: no screen is drawn on it.
type plainWriter struct{ io.Writer }

// watchMemory notes the most memory that is in use until the returned function is called.
func watchMemory(resident func() int64) (stop func() int64) {
	var most atomic.Int64
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(memoryEvery)
		defer tick.Stop()
		for {
			most.Store(max(most.Load(), resident()))
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	})
	return func() int64 {
		close(done)
		wg.Wait()
		return most.Load()
	}
}

// memoryEvery is often enough for memory that grows over seconds, and rare enough not to show in the figures.
const memoryEvery = 250 * time.Millisecond

// addCheckpoints adds what the controllers know of the job's checkpoints.
func (b *nexmarkBench) addCheckpoints(ctx context.Context, job string, run *NexmarkRun) error {
	var list *wire.ListCheckpointsResponse
	err := b.hosted.Client.Do(ctx, "list the checkpoints", func(ctx context.Context, c wire.ControlClient) (err error) {
		list, err = c.ListCheckpoints(ctx, &wire.ListCheckpointsRequest{Job: job})
		return err
	})
	if err != nil {
		return err
	}
	var took []time.Duration
	for _, k := range list.Checkpoints {
		if slices.Contains([]string{"completed", "subsumed", "deleted"}, k.Status) {
			took = append(took, time.Duration(k.DurationMs*float64(time.Millisecond)))
			run.CheckpointBytes += float64(k.UploadedBytes)
		}
	}
	run.addCheckpoints(took)
	return nil
}
