package exchange

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/cairnstream/cairn/wire"
)

// Peer is the task process at the other end of a channel.
type Peer struct {
	Worker  string // for people
	Address string // host:port of its exchange
}

// String is worker (address).
func (p Peer) String() string { return fmt.Sprintf("%s (%s)", p.Worker, p.Address) }

// connection is the one connection to a peer, with all channels to it.
//
// gRPC's own keepalive can not be quicker than ten seconds on this side, so a
// stream of its own carries a pulse: a ping every quarter of a second, and
// when nothing has come back for silence, every channel breaks.
type connection struct {
	peer    Peer
	client  *grpc.ClientConn
	silence time.Duration
	cancel  context.CancelFunc // of the pulse
	work    sync.WaitGroup

	mu       sync.Mutex
	channels []*outbound
	err      error // why no channel can be opened any more
}

func dial(ctx context.Context, peer Peer, silence time.Duration) (*connection, error) {
	client, err := grpc.NewClient("passthrough:///"+peer.Address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{}), grpc.MaxCallSendMsgSize(frameBytesMax+messageBytesMax+headerBytes)),
		grpc.WithInitialWindowSize(streamWindow),
		grpc.WithInitialConnWindowSize(connWindow),
		grpc.WithNoProxy(),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: silence}),
	)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", peer, err)
	}
	pulseCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c := &connection{peer: peer, client: client, silence: silence, cancel: cancel}
	c.work.Go(func() { c.pulse(pulseCtx) })
	return c, nil
}

func (c *connection) stream(ctx context.Context) (grpc.ClientStream, error) {
	return c.client.NewStream(ctx, &wire.Exchange_ServiceDesc.Streams[0], wire.Exchange_Channel_FullMethodName)
}

// open opens a channel to the peer.
func (c *connection) open(ctx context.Context, id ChannelID) (*outbound, error) {
	o, err := openChannel(ctx, c, id)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		o.fail(c.err)
		o.work.Wait()
		return nil, o.err
	}
	c.channels = append(c.channels, o)
	return o, nil
}

// pulse breaks the connection's channels when the peer falls silent.
func (c *connection) pulse(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	silent := time.AfterFunc(c.silence, func() {
		c.breakOff(fmt.Errorf("no sign of life for %v", c.silence))
		cancel()
	})
	defer silent.Stop()
	defer cancel()
	stream, err := c.stream(ctx)
	if err != nil {
		return // the channels meet the same error
	}
	for stream.SendMsg(messageOf(Frame{Kind: ping})) == nil && stream.RecvMsg(&message{}) == nil {
		silent.Reset(c.silence)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pulseEvery):
		}
	}
}

// breakOff ends all channels, and those that would be opened.
func (c *connection) breakOff(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = cause
	}
	for _, o := range c.channels {
		o.fail(cause)
	}
}

// close ends the connection and waits for everything that belongs to it.
func (c *connection) close() error {
	c.breakOff(ErrClosed)
	c.cancel()
	err := c.client.Close()
	c.work.Wait()
	for _, o := range c.channels { // breakOff has made the list final
		o.work.Wait()
	}
	return err
}
