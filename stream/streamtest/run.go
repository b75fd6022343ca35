package streamtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/open"
)

// errStopped is the cause that ends an attempt as the test wants it.
var errStopped = errors.New("stopped by the test")

// running is an attempt that runs, on one or several processes' shares. Everything
// here happens in the bubble.
type running struct {
	shares []*share
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	relay enginetest.Relay
}

// start builds the job and runs it from the last checkpoint.
func (j *Job) start() error {
	if err := j.allReplaced(); err != nil {
		return err
	}
	program, err := j.makeProgram()
	if err != nil {
		return err
	}
	for _, all := range []map[dataflow.UID]replacement{j.inputs, j.outputs} {
		for uid, r := range all {
			if err := r.put(program); err != nil {
				return fmt.Errorf("operator %q: %w", uid, err)
			}
		}
	}
	j.attempt++
	ctx, cancel := context.WithCancelCause(context.Background())
	r := &running{cancel: cancel}
	if err := j.openShares(ctx, program, r); err != nil {
		cancel(errStopped)
		return err
	}
	for _, s := range r.shares {
		go s.run(ctx, r)
	}
	go r.carryNews(ctx)
	j.running = r
	return j.rest()
}

// allReplaced refuses sources and sinks that are neither replaced nor kept.
func (j *Job) allReplaced() error {
	var errs []error
	for _, o := range j.program.Graph.Operators {
		switch {
		case j.kept[o.UID]:
		case o.Kind == dataflow.Source && j.inputs[o.UID] == nil:
			errs = append(errs, fmt.Errorf("source %q has no Input: give it one, or let it run as it is with Keep(%[1]q)", o.UID))
		case o.Kind == dataflow.Sink && j.outputs[o.UID] == nil:
			errs = append(errs, fmt.Errorf("sink %q has no Output: give it one, or let it run as it is with Keep(%[1]q)", o.UID))
		}
	}
	return errors.Join(errs...)
}

// openShares opens the job's shares: subtask i runs on process i modulo their number.
func (j *Job) openShares(ctx context.Context, program *engine.Program, r *running) error {
	plan, err := program.Graph.Plan()
	if err != nil {
		return err
	}
	tasks := make([][]dataflow.TaskID, max(1, j.set.processes))
	for _, t := range plan.Tasks() {
		i := t.Subtask % len(tasks)
		tasks[i] = append(tasks[i], t)
	}
	network := enginetest.NewNetwork()
	for _, mine := range tasks {
		if len(mine) == 0 {
			continue
		}
		s := newShare()
		a, err := engine.Open(ctx, program, engine.Config{
			Cluster: "test", Job: "job", Attempt: j.attempt, Process: s.process, Options: options(program.Graph.Options),
			Subtasks: mine, Bucket: j.bucket, ObjectPrefix: fmt.Sprintf("test/jobs/job/%d/%s/", j.attempt, s.process),
			Restore: j.restore, Network: network, Events: s, Log: j.log(), OpenBucket: openBucket,
		})
		if err != nil {
			for _, s := range r.shares {
				err = errors.Join(err, s.attempt.Close())
			}
			return err
		}
		s.attempt = a
		r.shares = append(r.shares, s)
	}
	return nil
}

// options are the job's, but for what would make a test slow or dependent on
// the disk. A linger that is over before it begins sends every batch at once.
func options(o dataflow.Options) dataflow.Options {
	o = o.WithDefaults()
	o.BatchLinger = -1
	o.State.Backend, o.State.Compression, o.State.LocalRecovery = dataflow.BackendMemory, "none", "off"
	return o
}

func (j *Job) log() *slog.Logger {
	return slog.New(slog.NewTextHandler(j.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func openBucket(ctx context.Context, url string) (objectstore.Bucket, error) {
	return open.Open(ctx, url, open.Options{Create: true})
}

// newsEvery is how often aligned sources in different processes hear of each other while
// time goes by: as often as in a cluster.
const newsEvery = 200 * time.Millisecond

// carryNews carries it until ctx ends.
func (r *running) carryNews(ctx context.Context) {
	tick := time.NewTicker(newsEvery)
	defer tick.Stop()
	for len(r.shares) > 1 {
		select {
		case <-tick.C:
			r.pass()
		case <-ctx.Done():
			return
		}
	}
}

// pass carries the news once and tells whether there is any.
func (r *running) pass() bool {
	var all []*engine.Attempt
	for _, s := range r.shares {
		all = append(all, s.attempt)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.relay.Pass(all)
}

// ended tells why the attempt has ended, or nil.
func (r *running) ended() error {
	for _, s := range r.shares {
		select {
		case <-s.over:
			return s.err
		default:
		}
	}
	return nil
}

// stop ends the attempt and waits until nothing of it is left.
func (r *running) stop() {
	r.cancel(errStopped)
	for _, s := range r.shares {
		<-s.over
	}
}
