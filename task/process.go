package task

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/exchange"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/wire"
)

const (
	// messagesMax bounds what waits for the agent. It is next door and always
	// reads; one that is so far behind is as good as gone.
	messagesMax = 1024
	// ordersMax bounds what waits for the loop, which only ever waits for an
	// attempt to end.
	ordersMax = 64
	// letGo is how long the process may take to end by itself after it has
	// lost its agent. With the rest of the way out it stays below 100 ms.
	letGo = 60 * time.Millisecond
	// farewellWait bounds how long the agent may take to hear the last words.
	farewellWait = time.Second
	// stopWait bounds how long an attempt may take to end. One that takes
	// longer hangs in the job's code: only the end of the process ends it.
	stopWait = 10 * time.Second
	// messageBytesMax bounds a message on the socket. An acknowledgement
	// lists every subtask's state of this process.
	messageBytesMax = 64 << 20
)

// process is a running task process.
type process struct {
	config
	id      dataflow.Incarnation
	welcome *wire.TaskWelcome
	bucket  *objectstore.Counting
	store   *checkpointstore.Store
	server  *exchange.Server
	trace   *traceFile

	messages chan *wire.TaskMessage // to the agent
	overflow chan struct{}          // capacity 1: messages was full

	// Owned by the loop.
	current   *execution
	ended     dataflow.Attempt // this and earlier attempts never start again
	finishing *errgroup.Group  // commits without an attempt
	finished  map[dataflow.CheckpointID]bool
}

// run is Run with everything handed in.
func run(ctx context.Context, cfg config) error {
	client, err := grpc.NewClient("passthrough:///"+cfg.socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(),
		grpc.WithContextDialer(func(ctx context.Context, path string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageBytesMax), grpc.MaxCallSendMsgSize(messageBytesMax)))
	if err != nil {
		return fmt.Errorf("attach to the agent: %w", err)
	}
	defer client.Close()
	streamCtx, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	stream, err := wire.NewSupervisorClient(client).Attach(streamCtx)
	if err != nil {
		return fmt.Errorf("attach to the agent: %w: %w", ErrAgentLost, err)
	}
	p := &process{config: cfg, id: dataflow.NewIncarnation(),
		messages: make(chan *wire.TaskMessage, messagesMax), overflow: make(chan struct{}, 1),
		finished: map[dataflow.CheckpointID]bool{}}
	if err := p.greet(stream); err != nil {
		return fmt.Errorf("attach to the agent: %w: %w", ErrAgentLost, err)
	}
	p.log = p.log.With("process", p.id)
	return p.work(ctx, stream, hangUp)
}

func (p *process) greet(stream grpc.BidiStreamingClient[wire.TaskMessage, wire.TaskOrder]) error {
	hello := &wire.TaskHello{Job: string(p.job), Process: string(p.id), Pid: int32(os.Getpid())}
	if err := stream.Send(&wire.TaskMessage{Body: &wire.TaskMessage_Hello{Hello: hello}}); err != nil {
		return err
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if p.welcome = first.GetWelcome(); p.welcome == nil {
		return errors.New("its first word is no welcome")
	}
	return nil
}

// work owns the process's goroutines. The stream's reader comes first: from
// now on the loss of the agent ends everything, whatever the rest waits for.
func (p *process) work(ctx context.Context, stream grpc.BidiStreamingClient[wire.TaskMessage, wire.TaskOrder], hangUp func()) error {
	group, ctx := errgroup.WithContext(ctx)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	orders := make(chan *wire.TaskOrder, ordersMax)
	served, sent := make(chan struct{}), make(chan struct{})
	group.Go(func() error { return p.receive(ctx, stream, orders) })
	group.Go(func() error {
		defer close(sent)
		return p.transmit(stream, served)
	})
	group.Go(func() error {
		err := p.serve(ctx, orders)
		cancel(errStopped) // from here on the stream's end is no loss
		close(served)
		<-sent
		time.AfterFunc(farewellWait, hangUp) // else the agent ends the stream when it has heard everything
		return err
	})
	return group.Wait()
}

// receive passes the agent's orders on until the stream ends. That ends the
// process, in any case within letGo.
func (p *process) receive(ctx context.Context, stream grpc.BidiStreamingClient[wire.TaskMessage, wire.TaskOrder], orders chan<- *wire.TaskOrder) error {
	for {
		order, err := stream.Recv()
		if err != nil {
			return p.lost(ctx, err)
		}
		select {
		case orders <- order:
		case <-ctx.Done(): // keep reading: the stream's end must still be noticed
		}
	}
}

// lost is what the end of the agent's stream means: the end, unless this
// process has hung up itself.
func (p *process) lost(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errStopped) {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p.log.Error("agent lost, the process ends", "error", err)
	time.AfterFunc(letGo, func() { p.exit(exitAgentLost) })
	return fmt.Errorf("%w: %w", ErrAgentLost, err)
}

// transmit sends messages to the agent; when the rest of the process has been
// served, those that are left.
func (p *process) transmit(stream grpc.BidiStreamingClient[wire.TaskMessage, wire.TaskOrder], served <-chan struct{}) error {
	for {
		var m *wire.TaskMessage
		select {
		case m = <-p.messages:
		case <-served:
			select {
			case m = <-p.messages:
			default:
				return stream.CloseSend()
			}
		}
		if err := stream.Send(m); err != nil {
			return nil // the reader learns why
		}
	}
}

// send queues a message for the agent. It does not block.
func (p *process) send(m *wire.TaskMessage) {
	select {
	case p.messages <- m:
	default:
		select {
		case p.overflow <- struct{}{}:
		default:
		}
	}
}

// serve opens what the process needs, takes orders and closes everything.
func (p *process) serve(ctx context.Context, orders <-chan *wire.TaskOrder) (err error) {
	if err := p.open(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.server.Close(), p.trace.Close(), p.bucket.Close()) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.finishing, ctx = errgroup.WithContext(ctx)
	loopErr := p.loop(ctx, orders)
	cancel(errStopped)
	if p.current != nil && !errors.Is(loopErr, errStuck) {
		<-p.current.done
	}
	return errors.Join(loopErr, p.finishing.Wait())
}

func (p *process) open(ctx context.Context) error {
	bucket, err := p.openBucket(ctx, p.welcome.ObjectStore)
	if err != nil {
		return fmt.Errorf("open the object store: %w", err)
	}
	p.bucket = objectstore.Count(bucket)
	p.store = checkpointstore.New(p.bucket, p.welcome.Cluster)
	if p.trace, err = openTrace(p.welcome.TraceFile); err != nil {
		return errors.Join(err, p.bucket.Close())
	}
	if p.server, err = exchange.Listen(net.JoinHostPort(p.welcome.Host, "0"), p.job); err != nil {
		return errors.Join(err, p.trace.Close(), p.bucket.Close())
	}
	return nil
}
