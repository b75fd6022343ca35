package exchange

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

const (
	// registrationWait is how long an unknown channel of the present or a
	// coming attempt may wait for its receiver. Channels are opened only after
	// every process has deployed, so more than a moment means a mistake.
	registrationWait = 5 * time.Second
	// streamWindow and connWindow are HTTP/2's flow control. They must not be
	// what holds a channel up, since that would hold up its barriers as well:
	// credit is. The windows are not memory: receivers take frames at once.
	streamWindow = 4 << 20
	connWindow   = 64 << 20
	// silenceMax is how long a peer may say nothing. A killed process is
	// noticed at once, by its closed socket; this is for machines that are cut
	// off. The leader notices those after 3 s of missed heartbeats and decides; a
	// shorter limit here would only turn pauses of a busy machine into failures.
	silenceMax = 4 * time.Second
	// pulseEvery is how often a connection is tried.
	pulseEvery = 250 * time.Millisecond
)

// Server is the receiving end of all channels into one task process. It
// outlives attempts.
type Server struct {
	wire.UnsafeExchangeServer

	job      dataflow.JobID
	address  string
	grpc     *grpc.Server
	wait     time.Duration // registrationWait, shorter in tests
	serving  sync.WaitGroup
	serveErr error // set before serving is done

	mu       sync.Mutex
	ended    dataflow.Attempt // this attempt and those before are over here
	channels map[ChannelID]*inbound
	changed  chan struct{} // closed and replaced when a waiter should look again
}

var _ wire.ExchangeServer = (*Server)(nil)

// Listen makes the server of a process of job and begins to serve. The address
// is host:port; port 0 picks one (see Address).
func Listen(address string, job dataflow.JobID) (*Server, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for the exchange: %w", err)
	}
	s := &Server{
		job: job, address: l.Addr().String(), wait: registrationWait,
		channels: map[ChannelID]*inbound{}, changed: make(chan struct{}),
		grpc: grpc.NewServer(
			grpc.ForceServerCodecV2(rawCodec{}),
			grpc.MaxRecvMsgSize(frameBytesMax+messageBytesMax+headerBytes),
			grpc.InitialWindowSize(streamWindow),
			grpc.InitialConnWindowSize(connWindow),
			grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Second, Timeout: silenceMax}),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
		),
	}
	wire.RegisterExchangeServer(s.grpc, s)
	s.serving.Go(func() { s.serveErr = s.grpc.Serve(l) })
	return s, nil
}

// Address is where peers reach the server.
func (s *Server) Address() string { return s.address }

// Close ends all channels and waits for them.
func (s *Server) Close() error {
	s.grpc.Stop()
	s.serving.Wait()
	if s.serveErr != nil && !errors.Is(s.serveErr, grpc.ErrServerStopped) {
		return fmt.Errorf("serve the exchange: %w", s.serveErr)
	}
	return nil
}

// Channel serves one channel, or one connection's pulse. It is called by gRPC.
func (s *Server) Channel(stream grpc.BidiStreamingServer[wire.Raw, wire.Raw]) error {
	var first message
	if err := stream.RecvMsg(&first); err != nil {
		return err
	}
	f, rest, err := nextFrame(first.in)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	switch f.Kind {
	case ping:
		return echo(stream)
	case hello:
		id, err := decodeID(f.Payload)
		if err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		in, err := s.claim(stream.Context(), id)
		if err != nil {
			return err
		}
		return in.serve(stream, rest)
	}
	return status.Errorf(codes.InvalidArgument, "a stream begins with a frame of kind %d", f.Kind)
}

// echo answers a connection's pulse until the peer ends it.
func echo(stream grpc.ServerStream) error {
	for {
		if err := stream.SendMsg(messageOf(Frame{Kind: ping})); err != nil {
			return err
		}
		if err := stream.RecvMsg(&message{}); err != nil {
			return nil // the peer closed, or is gone: its channels tell
		}
	}
}

// claim finds the channel for a sender, and waits for it a while if it has no
// receiver yet.
func (s *Server) claim(ctx context.Context, id ChannelID) (*inbound, error) {
	timeout := time.NewTimer(s.wait)
	defer timeout.Stop()
	for {
		in, changed, err := s.tryClaim(id)
		if in != nil || err != nil {
			return in, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		case <-timeout.C:
			return nil, status.Errorf(codes.NotFound, "channel %s has had no receiver here for %v", id, s.wait)
		}
	}
}

func (s *Server) tryClaim(id ChannelID) (*inbound, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.channels[id]
	switch {
	case id.Job != s.job:
		return nil, nil, status.Errorf(codes.FailedPrecondition, "channel %s: this process belongs to job %s", id, s.job)
	case id.Attempt <= s.ended:
		return nil, nil, status.Errorf(codes.FailedPrecondition, "channel %s: attempts up to %d are over here", id, s.ended)
	case in == nil:
		return nil, s.changed, nil
	case in.claimed:
		return nil, nil, status.Errorf(codes.AlreadyExists, "channel %s is already open", id)
	}
	in.claimed = true
	return in, nil, nil
}

// begin makes attempt the one that runs here: those before are over.
func (s *Server) begin(attempt dataflow.Attempt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if attempt <= s.ended {
		return fmt.Errorf("begin attempt %d: attempts up to %d are over here", attempt, s.ended)
	}
	s.endLocked(attempt - 1)
	return nil
}

// end makes the attempt and those before it over.
func (s *Server) end(attempt dataflow.Attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(attempt)
}

func (s *Server) endLocked(attempt dataflow.Attempt) {
	s.ended = max(s.ended, attempt)
	for id := range s.channels {
		if id.Attempt <= s.ended {
			delete(s.channels, id)
		}
	}
	s.changedLocked()
}

func (s *Server) register(in *inbound) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.id.Attempt <= s.ended {
		return fmt.Errorf("accept channel %s: attempts up to %d are over here", in.id, s.ended)
	}
	if s.channels[in.id] != nil {
		return fmt.Errorf("accept channel %s: it is accepted already", in.id)
	}
	s.channels[in.id] = in
	s.changedLocked()
	return nil
}

func (s *Server) changedLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// wasClaimed tells whether a sender ever opened in. It is final once the
// attempt has ended.
func (s *Server) wasClaimed(in *inbound) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return in.claimed
}
