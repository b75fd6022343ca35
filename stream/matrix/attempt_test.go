package matrix

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/snapshot"
)

var (
	errDone  = errors.New("done")
	errStuck = errors.New("stuck: nothing more happens")
)

// share is one process's part of an attempt.
type share struct {
	process dataflow.Incarnation
	attempt *engine.Attempt
}

// news is what a process tells.
type news struct {
	process   dataflow.Incarnation
	id        dataflow.CheckpointID
	part      *snapshot.Process
	declined  error
	ended     bool
	committed bool
}

// events passes on what a process tells.
type events struct {
	process dataflow.Incarnation
	to      *queue[news]
}

func (e events) Acknowledge(id dataflow.CheckpointID, s *snapshot.Process) {
	e.to.put(news{process: e.process, id: id, part: s})
}
func (e events) Decline(id dataflow.CheckpointID, reason error) {
	e.to.put(news{process: e.process, id: id, declined: reason})
}
func (e events) EndOfData() { e.to.put(news{process: e.process, ended: true}) }
func (e events) Committed(id dataflow.CheckpointID) {
	e.to.put(news{process: e.process, id: id, committed: true})
}
func (e events) Restoring(engine.RestoreProgress) {}
func (e events) Trace(engine.TraceEvent)          {}

// arm chooses the next fault, if there is to be one.
func (w *world) arm(faults bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen, w.armed = [lastPhase]int{}, faults
	w.strike, w.aborts = newStrike(w.r), newQueue[struct{}]()
	if first := firstStrike(w.seed); w.struck == 0 && (first.phase != restoring || w.restore != nil) {
		w.strike = first
		w.struck++
	}
}

func (w *world) planned() string {
	if !w.armed {
		return "no fault"
	}
	return w.strike.String()
}

// restored tells what the next attempt starts from.
func (w *world) restored() string {
	if w.restore == nil {
		return "nothing"
	}
	return fmt.Sprintf("checkpoint %d (in flight: %v)", w.restore.Checkpoint, w.held)
}

// expected tells whether an attempt was to end so.
func (w *world) expected(err error) bool { return errors.Is(err, enginetest.ErrKilled) }

// runAttempt runs an attempt until the job has ended (nil), it is killed, or it fails.
func (w *world) runAttempt(ctx context.Context, parallelism [groupsOf]int, processes int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ctx, stop := context.WithTimeoutCause(ctx, stuckAfter, errStuck)
	defer stop()
	w.attempt++
	w.mu.Lock()
	w.kill = cancel
	w.mu.Unlock()
	c := &controller{w: w, heard: newQueue[news](), parallelism: parallelism, expires: time.NewTimer(stuckAfter), next: time.NewTimer(stuckAfter),
		committed: map[dataflow.Incarnation]dataflow.CheckpointID{}}
	defer c.expires.Stop()
	defer c.next.Stop()
	if err := w.open(ctx, c, processes); err != nil {
		return err
	}
	group, inner := errgroup.WithContext(ctx)
	for _, s := range c.shares {
		group.Go(func() error { return s.attempt.Run(inner) })
	}
	group.Go(func() error { return c.run(inner) })
	if err := group.Wait(); !errors.Is(err, errDone) {
		return err
	}
	return w.counted(c)
}

// open spreads the subtasks over processes and opens them.
func (w *world) open(ctx context.Context, c *controller, processes int) error {
	network := &watchedNetwork{enginetest.NewNetwork(), w}
	p, err := w.program(c.parallelism)
	if err != nil {
		return err
	}
	plan, err := p.Graph.Plan()
	if err != nil {
		return err
	}
	tasks := make([][]dataflow.TaskID, processes)
	for i, t := range plan.Tasks() {
		to := w.r.IntN(processes)
		if i < processes {
			to = i // nobody is left without
		}
		tasks[to] = append(tasks[to], t)
	}
	for _, mine := range tasks {
		if len(mine) == 0 {
			continue
		}
		name := dataflow.NewIncarnation()
		a, err := engine.Open(ctx, p, engine.Config{
			Cluster: "test", Job: "job", Attempt: w.attempt, Process: name, Options: w.options, Subtasks: mine, Bucket: w.bucket,
			ObjectPrefix: fmt.Sprintf("test/jobs/job/%d/%s/", w.attempt, name), Restore: w.restore, Network: network,
			Events: events{name, c.heard}, Log: w.log(),
		})
		if err != nil {
			for _, s := range c.shares {
				err = errors.Join(err, s.attempt.Close())
			}
			return err
		}
		c.shares = append(c.shares, share{name, a})
	}
	return nil
}

// counted checks what the attempt that reached the end has counted.
func (w *world) counted(c *controller) error {
	for _, s := range c.shares {
		for _, st := range s.attempt.Stats().Subtasks {
			if st.LateRecords > 0 && !w.repeats {
				return fmt.Errorf("subtask %v dropped %d records as late: no record is", st.Task, st.LateRecords)
			}
		}
	}
	return nil
}
