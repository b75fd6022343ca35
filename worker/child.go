package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/internal/lifeline"
	"github.com/cairnstream/cairn/wire"
)

// The environment of a job's executable. Its other side is in package task,
// and in package stream for plans.
const (
	envSocket = "CAIRN_TASK_SOCKET"
	envJob    = "CAIRN_TASK_JOB"
	envPlan   = "CAIRN_PLAN_OUT"
	// envPlanRestore and envPlanMatch are stream.EnvPlanRestore and stream.EnvPlanMatch.
	envPlanRestore = "CAIRN_PLAN_RESTORE"
	envPlanMatch   = "CAIRN_PLAN_MATCH"
	// envParallelism is stream.EnvParallelism.
	envParallelism = "CAIRN_PARALLELISM"
)

const (
	// attachWait bounds how long a process may take to attach. A large
	// executable on a busy machine needs a second or two.
	attachWait = 30 * time.Second
	// endWait is how long a process may take to end after it was told to.
	endWait = 5 * time.Second
	// outputWait is how long the output of an ended process is waited for:
	// what it started itself may still hold the pipe.
	outputWait = time.Second
	// childOrdersMax bounds what waits for a process. It reads at once, unless
	// it hangs; then it is killed.
	childOrdersMax = 1024
	// messageBytesMax bounds a message on the socket, as in package task.
	messageBytesMax = 64 << 20
)

// childConfig says what to start.
type childConfig struct {
	job     dataflow.JobID
	path    string // of the program's executable
	program program
	dir     string // working directory
	socket  string // to listen on
	welcome *wire.TaskWelcome
	log     *jobLog
	spawner *lifeline.Spawner
	heard   func(*wire.TaskMessage)
}

// child is one task process, from start to exit. It has a socket of its own: who
// attaches there can only be this process, or one that it started.
type child struct {
	wire.UnimplementedSupervisorServer
	cfg    childConfig
	cmd    *exec.Cmd
	server *grpc.Server
	orders chan *wire.TaskOrder
	exited chan struct{} // closed when the process and all that belongs to it are gone

	attach   sync.Once
	attached chan struct{}
	drained  chan struct{}  // closed when everything that it said is heard
	reading  sync.WaitGroup // who hears it
	endOnce  sync.Once
	why      string // why it was killed, if by us; guarded by endOnce
}

// startChild starts the process and what serves it.
func startChild(cfg childConfig) (*child, error) {
	listener, err := net.Listen("unix", cfg.socket)
	if err != nil {
		return nil, fmt.Errorf("listen for the process: %w", err)
	}
	c := &child{
		cfg: cfg, orders: make(chan *wire.TaskOrder, childOrdersMax),
		exited: make(chan struct{}), attached: make(chan struct{}), drained: make(chan struct{}),
		server: grpc.NewServer(grpc.MaxRecvMsgSize(messageBytesMax), grpc.MaxSendMsgSize(messageBytesMax)),
	}
	wire.RegisterSupervisorServer(c.server, c)
	c.cmd = exec.Command(cfg.path, cfg.program.args...)
	c.cmd.Dir, c.cmd.Env = cfg.dir, append(cfg.program.environment(), envSocket+"="+cfg.socket, envJob+"="+string(cfg.job))
	c.cmd.Stdout, c.cmd.Stderr = cfg.log, cfg.log
	c.cmd.WaitDelay = outputWait
	if err := cfg.spawner.Start(c.cmd); err != nil {
		return nil, errors.Join(fmt.Errorf("start the process: %w", err), listener.Close())
	}
	go c.supervise(listener)
	return c, nil
}

// inherited is the agent's environment, for credentials and the like, without
// what would make the child take itself for something else.
func inherited() []string {
	var env []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case envSocket, envJob, envPlan, envPlanRestore, envPlanMatch, envParallelism, lifeline.EnvFD:
		default:
			env = append(env, v)
		}
	}
	return env
}

// supervise owns the goroutines around the process and ends them after it.
func (c *child) supervise(listener net.Listener) {
	defer close(c.exited)
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := c.server.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			c.kill(fmt.Sprintf("serve its socket: %v", err))
		}
	})
	late := time.AfterFunc(attachWait, func() {
		select {
		case <-c.attached:
		default:
			c.kill(fmt.Sprintf("it did not attach within %v: a job's program must call stream.Main", attachWait))
		}
	})
	c.cmd.Wait() // how it ended is in ProcessState
	late.Stop()
	c.kill("") // what it has left behind in its group
	c.drain()
	c.server.Stop()
	serving.Wait()
	c.reading.Wait()
	os.Remove(c.cfg.socket)
}

// drain waits for what the process said before it ended.
func (c *child) drain() {
	select {
	case <-c.attached:
	default:
		return
	}
	late := time.NewTimer(outputWait)
	defer late.Stop()
	select {
	case <-c.drained:
	case <-late.C:
	}
}

// kill ends the process and its group at once.
func (c *child) kill(why string) {
	select {
	case <-c.exited: // its number may be another's by now
		return
	default:
	}
	c.endOnce.Do(func() { c.why = why })
	if err := lifeline.KillGroup(c.cmd.Process.Pid); err != nil {
		fmt.Fprintf(c.cfg.log, "cairn: %v\n", err)
	}
}

// send queues an order for the process.
func (c *child) send(o *wire.TaskOrder) {
	select {
	case c.orders <- o:
	default:
		c.kill("it does not take its orders")
	}
}

// end tells the process to end, and kills it if it does not.
func (c *child) end(ctx context.Context, stop *wire.Stop) {
	c.send(&wire.TaskOrder{Body: &wire.TaskOrder_Stop{Stop: stop}})
	late := time.NewTimer(endWait)
	defer late.Stop()
	select {
	case <-c.exited:
		return
	case <-late.C:
	case <-ctx.Done():
	}
	c.kill("it did not end as ordered")
	<-c.exited
}

// Attach serves the process's side of the socket. It is called by gRPC.
func (c *child) Attach(stream wire.Supervisor_AttachServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	hello := first.GetHello()
	if hello == nil || hello.Job != string(c.cfg.job) {
		return status.Errorf(codes.FailedPrecondition, "this socket is for a process of job %s", c.cfg.job)
	}
	refused := true
	c.attach.Do(func() { refused = false })
	if refused {
		return status.Error(codes.AlreadyExists, "this socket has its process already")
	}
	close(c.attached)
	if err := stream.Send(&wire.TaskOrder{Body: &wire.TaskOrder_Welcome{Welcome: c.cfg.welcome}}); err != nil {
		return err
	}
	return c.converse(stream)
}

// converse passes orders and messages until the stream ends. A process that
// hangs up and does not end is killed.
func (c *child) converse(stream wire.Supervisor_AttachServer) error {
	c.reading.Go(func() {
		defer close(c.drained)
		for {
			m, err := stream.Recv()
			if err != nil {
				return
			}
			c.cfg.heard(m)
		}
	})
	defer func() {
		time.AfterFunc(endWait, func() { c.kill("it hung up and did not end") })
	}()
	for {
		select {
		case <-c.drained:
			return nil // the process waits for this: it has been heard
		case o := <-c.orders:
			if err := stream.Send(o); err != nil {
				return err
			}
		}
	}
}

// lastWords says how the process ended, and the stack if it panicked. It is
// asked after exited is closed.
func (c *child) lastWords() (reason, stack string) {
	text := c.cfg.log.lastWords()
	reason = fmt.Sprintf("job process %d ended: %s", c.cmd.Process.Pid, c.cmd.ProcessState)
	c.endOnce.Do(func() {})
	if c.why != "" {
		reason += ": " + c.why
	}
	at := panicAt(text)
	if at >= 0 {
		stack = strings.ToValidUTF8(string(text[at:]), "?")
		text = text[at:]
		line, _, _ := bytes.Cut(text, []byte("\n"))
		return reason + ": " + strings.ToValidUTF8(string(line), "?"), stack
	}
	if line := lastLine(text); line != "" {
		reason += ": " + line
	}
	return reason, ""
}

// panicAt is where the Go runtime's account of a crash begins, or -1.
func panicAt(text []byte) int {
	for _, start := range []string{"panic: ", "fatal error: ", "SIGSEGV: "} {
		if bytes.HasPrefix(text, []byte(start)) {
			return 0
		}
		if i := bytes.LastIndex(text, []byte("\n"+start)); i >= 0 {
			return i + 1
		}
	}
	return -1
}

const lineBytesMax = 1 << 10

func lastLine(text []byte) string {
	text = bytes.TrimSpace(text)
	line := text[bytes.LastIndexByte(text, '\n')+1:]
	return strings.ToValidUTF8(string(line[:min(len(line), lineBytesMax)]), "?")
}
