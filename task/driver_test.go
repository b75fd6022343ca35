package task

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/snapshot"
)

// fakeDriver is an engine that computes nothing: it acknowledges each trigger.
type fakeDriver struct {
	release chan struct{} // lets attempts that hang end

	mu       sync.Mutex
	attempts []*fakeAttempt
	hang     bool // new attempts do not heed their context
	finished []dataflow.CheckpointID
}

func newFakeDriver() *fakeDriver { return &fakeDriver{release: make(chan struct{})} }

func (d *fakeDriver) open(_ context.Context, _ *engine.Program, cfg engine.Config) (attempt, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := &fakeAttempt{driver: d, cfg: cfg, hang: d.hang, fail: make(chan error, 1), calls: make(chan string, 100), ended: make(chan struct{})}
	d.attempts = append(d.attempts, a)
	return a, nil
}

func (d *fakeDriver) finishCommits(_ context.Context, _ *engine.Program, _ dataflow.JobID, _ dataflow.Attempt,
	_ engine.OpenBucket, r *engine.Restore, _ *slog.Logger) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.finished = append(d.finished, r.Checkpoint)
	return nil
}

func (d *fakeDriver) newest() *fakeAttempt {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.attempts[len(d.attempts)-1]
}

func (d *fakeDriver) opened() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.attempts)
}

type fakeAttempt struct {
	driver *fakeDriver
	cfg    engine.Config
	hang   bool
	fail   chan error  // makes Run return, or panic if the error is nil
	calls  chan string // of the methods below
	ended  chan struct{}
}

func (a *fakeAttempt) Run(ctx context.Context) error {
	defer close(a.ended)
	select {
	case err := <-a.fail:
		if err == nil {
			panic("no such airport")
		}
		return err
	case <-ctx.Done():
	}
	if a.hang {
		<-a.driver.release
	}
	return context.Cause(ctx)
}

func (a *fakeAttempt) Close() error { close(a.ended); return nil }

func (a *fakeAttempt) Trigger(t engine.Trigger) {
	a.calls <- fmt.Sprint("trigger ", t.ID)
	a.cfg.Events.Acknowledge(t.ID, &snapshot.Process{Process: a.cfg.Process})
}

func (a *fakeAttempt) Completed(id dataflow.CheckpointID) { a.calls <- fmt.Sprint("completed ", id) }
func (a *fakeAttempt) SavepointTaken(id dataflow.CheckpointID) {
	a.calls <- fmt.Sprint("savepoint ", id)
}
func (a *fakeAttempt) Aborted(id dataflow.CheckpointID)      { a.calls <- fmt.Sprint("aborted ", id) }
func (a *fakeAttempt) CommitsKnown(id dataflow.CheckpointID) { a.calls <- fmt.Sprint("known ", id) }

func (a *fakeAttempt) SourceTimes() []engine.SourceTime {
	return []engine.SourceTime{{Group: "shop", Lowest: 1234, Subtasks: 1, Of: 3}}
}

func (a *fakeAttempt) AlignSources(others []engine.SourceTime) {
	a.calls <- fmt.Sprint("align ", others)
}

func (a *fakeAttempt) Stats() engine.Stats {
	return engine.Stats{Subtasks: []engine.SubtaskStats{{Task: dataflow.TaskID{Vertex: 1}, RecordsIn: 41, Busy: time.Hour}}}
}
