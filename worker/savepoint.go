package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// savepointWriters are the processes here that write canonical savepoints. Each is a
// process of the job's program, beside the job's own: the job's memory is not its
// memory, and it may be on another worker than the job.
type savepointWriters struct {
	mu      sync.Mutex
	running map[savepointRef]*savepointTry
}

// savepointRef names a savepoint.
type savepointRef struct {
	job dataflow.JobID
	id  uint64
}

// savepointTry is one try to write one.
type savepointTry struct{ cancel context.CancelFunc }

// begin makes ctx the context of the newest try to write a savepoint. An earlier one,
// of a leader that died, is ended.
func (w *savepointWriters) begin(ctx context.Context, ref savepointRef) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	try := &savepointTry{cancel}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running == nil {
		w.running = map[savepointRef]*savepointTry{}
	}
	if earlier := w.running[ref]; earlier != nil {
		earlier.cancel()
	}
	w.running[ref] = try
	return ctx, func() {
		cancel()
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.running[ref] == try {
			delete(w.running, ref)
		}
	}
}

// writeSavepoint has a process write a canonical savepoint, and tells the leader what
// became of it. What the leader does not hear it orders anew, of whomever.
func (a *agent) writeSavepoint(ctx context.Context, o *wire.WriteSavepoint) {
	ctx, end := a.writers.begin(ctx, savepointRef{dataflow.JobID(o.Job), o.Savepoint})
	a.working.Go(func() {
		defer end()
		written, err := a.runWriter(ctx, o)
		if ctx.Err() != nil {
			return // nobody waits for this try any more
		}
		if err != nil {
			written = &wire.SavepointWritten{Job: o.Job, Savepoint: o.Savepoint, Folder: o.Folder, Error: err.Error()}
		}
		a.reports.send(&wire.AgentMessage{Body: &wire.AgentMessage_SavepointWritten{SavepointWritten: written}})
	})
}

// runWriter runs the process from start to end and returns its word.
func (a *agent) runWriter(ctx context.Context, o *wire.WriteSavepoint) (written *wire.SavepointWritten, err error) {
	path, err := a.artifacts.acquire(ctx, o.ArtifactSha256)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.artifacts.release(o.ArtifactSha256)) }()
	dir, err := os.MkdirTemp("", "cairn-savepoint-")
	if err != nil {
		return nil, fmt.Errorf("write savepoint: %w", err)
	}
	defer os.RemoveAll(dir)
	output, err := openJobLog(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer output.Close()
	said := make(chan *wire.SavepointWritten, 1)
	c, err := startChild(childConfig{
		job: dataflow.JobID(o.Job), path: path, program: program{o.ArtifactSha256, o.Args, o.Parallelism}, dir: dir,
		socket: a.nextSocket(), welcome: a.taskWelcome(dataflow.JobID(o.Job)), log: output, spawner: a.spawner,
		heard: func(m *wire.TaskMessage) {
			if w := m.GetSavepointWritten(); w != nil {
				select {
				case said <- w:
				default: // it has said so before
				}
			}
		},
	})
	if err != nil {
		return nil, err
	}
	c.send(&wire.TaskOrder{Body: &wire.TaskOrder_WriteSavepoint{WriteSavepoint: o}})
	return awaitWriter(ctx, c, said)
}

// awaitWriter returns what the process says, and ends it.
func awaitWriter(ctx context.Context, c *child, said <-chan *wire.SavepointWritten) (*wire.SavepointWritten, error) {
	select {
	case w := <-said:
		c.end(ctx, &wire.Stop{Job: string(c.cfg.job), EndProcess: true, Reason: "the savepoint is written"})
		return w, nil
	case <-c.exited:
		select {
		case w := <-said:
			return w, nil
		default:
		}
		reason, stack := c.lastWords()
		if stack != "" {
			reason += "\n" + stack
		}
		return nil, errors.New(reason)
	case <-ctx.Done():
		c.kill("another try to write the savepoint began, or the agent ends")
		<-c.exited
		return nil, context.Cause(ctx)
	}
}
