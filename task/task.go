// Package task is one job's process on a machine: it takes deployments from
// its agent, runs the engine, and tells the agent what becomes of them.
//
// A program becomes a task process when its agent starts it with EnvSocket set;
// stream.Main then calls Run. Agent and task process speak wire.Supervisor over
// that Unix socket and live and die together: without its agent a task process
// stops processing at once and exits within 100 ms.
//
// The process outlives attempts. One goroutine (process.loop) takes the agent's
// orders one after the other; each attempt runs on a goroutine of its own
// (execution), of which there is one at a time:
//
//	Deploy ──> restoring ──> deployed ──Start──> running ──> end of data
//	               │             │                  │             │
//	               └─────────────┴── error: failed ─┴─ Stop, or a later Deploy: stopped
//
// Invariants. A subtask starts at most once per attempt: a Deploy at or below
// an attempt that was here before is refused. An acknowledgement is kept until
// the checkpoint's outcome is known. Interrupts from the terminal are the
// agent's to handle, which started this process in a group of its own.
package task

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/objectstore"
)

// Names of the environment variables with which an agent starts a job's
// process.
const (
	// EnvSocket names the agent's Unix socket. A program that finds it set is
	// a task process and calls Run.
	EnvSocket = "CAIRN_TASK_SOCKET"
	// EnvJob names the job that the process is for.
	EnvJob = "CAIRN_TASK_JOB"
)

var (
	// ErrAgentLost is returned by Run when the agent's socket broke.
	ErrAgentLost = errors.New("agent lost")
	// errStopped is the cause that ends an attempt as ordered.
	errStopped = errors.New("attempt stopped as ordered")
	// errStuck is returned when an attempt does not end after it was told to.
	errStuck = errors.New("attempt does not end")
)

// exitAgentLost is the exit status of a process that lost its agent.
const exitAgentLost = 70

// config is what a task process needs to run.
type config struct {
	socket  string
	job     dataflow.JobID
	program *engine.Program
	driver  driver
	// openBucket opens the cluster's store by its URL with this machine's
	// credentials; openConnector one that the job reads from or writes to.
	openBucket    func(ctx context.Context, url string) (objectstore.Bucket, error)
	openConnector func(ctx context.Context, url string) (objectstore.Bucket, error)
	// exit ends the process when it has lost its agent and does not end by
	// itself in time. os.Exit, but for tests.
	exit   func(status int)
	stderr io.Writer // gets the stacks of panics as they are
	log    *slog.Logger
}

// Run hosts the subtasks of program that the agent behind the Unix socket
// places here, attempt after attempt, until the agent says that the job will
// not run here again; then it returns nil. When it loses the agent it returns
// ErrAgentLost, or ends the process with status 70 if what it runs does not
// let go within 100 ms.
func Run(ctx context.Context, socket string, program *engine.Program) error {
	job := dataflow.JobID(os.Getenv(EnvJob))
	return run(ctx, config{
		socket: socket, job: job, program: program,
		driver: engineDriver{}, openBucket: openBucket, openConnector: openConnector, exit: os.Exit,
		stderr: os.Stderr, log: slog.New(slog.NewTextHandler(os.Stderr, nil)).With("job", job),
	})
}
