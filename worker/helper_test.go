package worker

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/cairnstream/cairn/wire"
)

// envAgent makes the test binary an agent: its value is the data directory and
// the controller's address, with a blank between.
const envAgent = "CAIRN_TEST_AGENT"

// TestMain makes the test binary what the environment asks for: the artifact
// of a job (a task process or a plan), an agent to be killed, or the tests.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(envSocket) != "":
		taskMain(os.Getenv(envSocket), os.Args[1])
	case os.Getenv(envPlan) != "":
		planMain(os.Getenv(envPlan), os.Args[1])
	case os.Getenv(envAgent) != "":
		agentMain(os.Getenv(envAgent))
	default:
		goleak.VerifyTestMain(m)
	}
}

func agentMain(value string) {
	dir, controller, _ := strings.Cut(value, " ")
	err := Run(context.Background(), Config{ID: "w1", DataDir: dir, Slots: 2, Controllers: []string{controller},
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func planMain(out, mode string) {
	switch mode {
	case "good", "parallel", "matching":
		graph := fmt.Sprintf(`{"name":"flights%s"}`, os.Getenv(envParallelism))
		if err := os.WriteFile(out, []byte(graph), 0o600); err != nil {
			panic(err)
		}
		if mode != "matching" {
			break
		}
		asked, err := os.ReadFile(os.Getenv(envPlanRestore))
		if err == nil {
			err = os.WriteFile(os.Getenv(envPlanMatch), fmt.Appendf(nil, `{"asked":%s}`, asked), 0o600)
		}
		if err != nil {
			panic(err)
		}
	case "silent":
	default:
		fmt.Fprintln(os.Stderr, `operator "count" is stateful and has no uid`)
		os.Exit(2)
	}
	os.Exit(0)
}

// taskMain is a task process that does as the protocol says and computes
// nothing. mode says how it misbehaves.
func taskMain(socket, mode string) {
	client, err := grpc.NewClient("passthrough:///"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, path string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}))
	if err != nil {
		panic(err)
	}
	stream, err := wire.NewSupervisorClient(client).Attach(context.Background())
	if err != nil {
		panic(err)
	}
	t := &fakeTask{stream: stream, mode: mode, process: fmt.Sprintf("p%d", os.Getpid())}
	t.say(&wire.TaskMessage{Body: &wire.TaskMessage_Hello{Hello: &wire.TaskHello{
		Job: os.Getenv(envJob), Process: t.process, Pid: int32(os.Getpid())}}})
	for {
		order, err := stream.Recv()
		if err != nil && mode == "deaf" {
			select {} // only a signal ends it
		}
		if err != nil {
			os.Exit(70)
		}
		t.obey(order)
	}
}

type fakeTask struct {
	stream        grpc.BidiStreamingClient[wire.TaskMessage, wire.TaskOrder]
	mode, process string
}

func (t *fakeTask) say(m *wire.TaskMessage) {
	if err := t.stream.Send(m); err != nil {
		os.Exit(70)
	}
}

func (t *fakeTask) status(job string, attempt uint64, state wire.ProcessState) {
	t.say(&wire.TaskMessage{Body: &wire.TaskMessage_Status{Status: &wire.ProcessStatus{
		Job: job, Attempt: attempt, Process: t.process, State: state, Pid: int32(os.Getpid())}}})
}

func (t *fakeTask) obey(order *wire.TaskOrder) {
	switch o := order.Body.(type) {
	case *wire.TaskOrder_Deploy:
		t.tellParallelism()
		switch t.mode {
		case "panic":
			panic("no such airport")
		case "chatty":
			for i := range 60_000 {
				fmt.Printf("line %d of output that nobody asked for, and it is long\n", i)
			}
		}
		t.status(o.Deploy.Job, o.Deploy.Attempt, deployed)
	case *wire.TaskOrder_Start:
		t.status(o.Start.Job, o.Start.Attempt, running)
	case *wire.TaskOrder_Trigger:
		t.say(&wire.TaskMessage{Body: &wire.TaskMessage_Ack{Ack: &wire.CheckpointAck{Job: o.Trigger.Job,
			Attempt: o.Trigger.Attempt, Checkpoint: o.Trigger.Checkpoint, Process: t.process, Snapshot: []byte("{}")}}})
	case *wire.TaskOrder_SourceTimes: // says it back
		t.say(&wire.TaskMessage{Body: &wire.TaskMessage_SourceTimes{SourceTimes: o.SourceTimes}})
	case *wire.TaskOrder_Stop:
		t.status(o.Stop.Job, o.Stop.Attempt, stopped)
		if o.Stop.EndProcess {
			if err := t.stream.CloseSend(); err != nil {
				os.Exit(71)
			}
			for { // until the agent has heard everything
				if _, err := t.stream.Recv(); err != nil {
					os.Exit(0)
				}
			}
		}
	case *wire.TaskOrder_WriteSavepoint:
		switch t.mode {
		case "hang":
			return
		case "panic":
			panic("no such airport")
		}
		t.say(&wire.TaskMessage{Body: &wire.TaskMessage_SavepointWritten{SavepointWritten: &wire.SavepointWritten{
			Job: o.WriteSavepoint.Job, Savepoint: o.WriteSavepoint.Savepoint, Folder: o.WriteSavepoint.Folder, Rows: 3}}})
	case *wire.TaskOrder_FinishCommits:
		t.tellParallelism()
		f := o.FinishCommits
		t.say(&wire.TaskMessage{Body: &wire.TaskMessage_CommitDone{CommitDone: &wire.CommitDone{
			Job: f.Job, Attempt: f.Attempt, Checkpoint: f.Checkpoint, Process: t.process}}})
	}
}

func (t *fakeTask) tellParallelism() {
	if t.mode == "parallel" {
		fmt.Printf("parallelism %q\n", os.Getenv(envParallelism))
	}
}

const (
	restoring = wire.ProcessState_PROCESS_STATE_RESTORING
	deployed  = wire.ProcessState_PROCESS_STATE_DEPLOYED
	running   = wire.ProcessState_PROCESS_STATE_RUNNING
	failed    = wire.ProcessState_PROCESS_STATE_FAILED
	stopped   = wire.ProcessState_PROCESS_STATE_STOPPED
)
