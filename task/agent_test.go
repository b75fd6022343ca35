package task

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/wire"
)

const (
	cluster  = "c-0123456789abcdef"
	jobID    = "flights-abc123"
	patience = 30 * time.Second // a hung test must tell what it waited for
)

// agent serves one task process, as a test says.
type agent struct {
	wire.UnimplementedSupervisorServer
	t      *testing.T
	server *grpc.Server
	trace  string
	orders chan *wire.TaskOrder
	heard  chan *wire.TaskMessage
	hello  *wire.TaskHello
	worker string
	driver *fakeDriver // nil with the real engine
	bucket objectstore.Bucket
	result chan error   // what run returned
	exits  chan int     // calls of exit
	stderr bytes.Buffer // may be read once a failure is heard of
}

// setup starts a task process with a fake engine and its agent.
func setup(t *testing.T) *agent {
	d := newFakeDriver()
	a := launch(t, "w1", &engine.Program{Graph: testGraph()}, d, mem.Open(t.Name()))
	t.Cleanup(func() { close(d.release) }) // before the process is waited for
	a.driver = d
	return a
}

// launch starts a task process and its agent, that of the worker.
func launch(t *testing.T, worker string, program *engine.Program, d driver, bucket objectstore.Bucket) *agent {
	a := &agent{t: t, worker: worker, server: grpc.NewServer(), trace: filepath.Join(t.TempDir(), "trace.jsonl"),
		orders: make(chan *wire.TaskOrder, 100), heard: make(chan *wire.TaskMessage, 10_000),
		bucket: bucket, result: make(chan error, 1), exits: make(chan int, 1)}
	dir, err := os.MkdirTemp("/tmp", "cairn-")
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	wire.RegisterSupervisorServer(a.server, a)
	served, ended := make(chan struct{}), make(chan struct{})
	go func() { defer close(served); a.server.Serve(listener) }()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(ended)
		a.result <- run(ctx, config{socket: socket, job: jobID, program: program, driver: d,
			openBucket:    func(context.Context, string) (objectstore.Bucket, error) { return a.bucket, nil },
			openConnector: openConnector,
			exit:          func(status int) { a.exits <- status },
			stderr:        &a.stderr,
			log:           slog.New(slog.DiscardHandler)})
	}()
	t.Cleanup(func() {
		cancel()
		a.server.Stop()
		<-served
		<-ended
		os.RemoveAll(dir)
	})
	return a
}

func testGraph() *dataflow.Graph {
	return &dataflow.Graph{Name: "flights", KeyGroups: 16,
		Operators: []dataflow.Operator{
			{UID: "source", Name: "source", Kind: dataflow.Source, Parallelism: 2},
			{UID: "sink", Name: "sink", Kind: dataflow.Sink, Parallelism: 2},
		},
		Edges: []dataflow.Edge{{From: "source", To: "sink", Partitioning: dataflow.Rebalance, Type: "int"}}}
}

// Attach is the agent's side of the protocol.
func (a *agent) Attach(stream wire.Supervisor_AttachServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	a.hello = first.GetHello()
	if err := stream.Send(&wire.TaskOrder{Body: &wire.TaskOrder_Welcome{Welcome: &wire.TaskWelcome{
		Cluster: cluster, Worker: a.worker, Incarnation: "i" + a.worker[1:], Host: "127.0.0.1", TraceFile: a.trace}}}); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			m, err := stream.Recv()
			if err != nil {
				return
			}
			a.heard <- m
		}
	}()
	for {
		select {
		case o := <-a.orders:
			if err := stream.Send(o); err != nil {
				return err
			}
		case <-ended:
			return nil
		}
	}
}

// await returns the first message that is wanted, and drops those before it.
func (a *agent) await(what string, want func(*wire.TaskMessage) bool) *wire.TaskMessage {
	a.t.Helper()
	late := time.After(patience)
	for {
		select {
		case m := <-a.heard:
			if want(m) {
				return m
			}
		case <-late:
			a.t.Fatalf("no %s", what)
		}
	}
}

func (a *agent) awaitStatus(attempt uint64, state wire.ProcessState) *wire.ProcessStatus {
	a.t.Helper()
	return a.await(state.String(), func(m *wire.TaskMessage) bool {
		return m.GetStatus().GetState() == state && m.GetStatus().Attempt == attempt
	}).GetStatus()
}

// awaitResult is what run returned.
func (a *agent) awaitResult() error {
	a.t.Helper()
	select {
	case err := <-a.result:
		return err
	case <-time.After(patience):
		a.t.Fatal("the task process does not end")
		return nil
	}
}

func (a *agent) deploy(attempt uint64, change ...func(*wire.Deploy)) {
	d := &wire.Deploy{Cluster: cluster, Job: jobID, Attempt: attempt, Graph: mustJSON(a.t, testGraph()), Options: []byte("{}")}
	for v := range 2 {
		for i, worker := range []string{"w1", "w2"} {
			d.Placements = append(d.Placements, &wire.Placement{
				Subtask: &wire.Subtask{Vertex: int32(v), Index: int32(i)}, Worker: worker, Incarnation: "i" + worker[1:]})
		}
	}
	for _, c := range change {
		c(d)
	}
	a.orders <- &wire.TaskOrder{Body: &wire.TaskOrder_Deploy{Deploy: d}}
}

func (a *agent) start(attempt uint64) {
	a.orders <- &wire.TaskOrder{Body: &wire.TaskOrder_Start{Start: &wire.Start{Job: jobID, Attempt: attempt}}}
}

func (a *agent) stop(attempt uint64, endProcess bool) {
	a.orders <- &wire.TaskOrder{Body: &wire.TaskOrder_Stop{Stop: &wire.Stop{Job: jobID, Attempt: attempt, EndProcess: endProcess}}}
}

func (a *agent) trigger(attempt, checkpoint uint64) {
	a.orders <- &wire.TaskOrder{Body: &wire.TaskOrder_Trigger{Trigger: &wire.Trigger{Job: jobID, Attempt: attempt, Checkpoint: checkpoint}}}
}

func (a *agent) outcome(attempt, checkpoint uint64, kind wire.OutcomeKind) {
	a.orders <- &wire.TaskOrder{Body: &wire.TaskOrder_Outcome{Outcome: &wire.Outcome{Job: jobID, Attempt: attempt, Checkpoint: checkpoint, Kind: kind}}}
}

// runs brings an attempt to running.
func (a *agent) runs(attempt uint64) *fakeAttempt {
	a.t.Helper()
	a.deploy(attempt)
	a.awaitStatus(attempt, deployed)
	a.start(attempt)
	a.awaitStatus(attempt, running)
	return a.driver.newest()
}

func mustJSON(t *testing.T, v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

const (
	restoring = wire.ProcessState_PROCESS_STATE_RESTORING
	deployed  = wire.ProcessState_PROCESS_STATE_DEPLOYED
	running   = wire.ProcessState_PROCESS_STATE_RUNNING
	endOfData = wire.ProcessState_PROCESS_STATE_END_OF_DATA
	failed    = wire.ProcessState_PROCESS_STATE_FAILED
	stopped   = wire.ProcessState_PROCESS_STATE_STOPPED

	completed = wire.OutcomeKind_OUTCOME_KIND_COMPLETED
	aborted   = wire.OutcomeKind_OUTCOME_KIND_ABORTED
)

var errOperator = errors.New(`operator "sink": disk full`)
