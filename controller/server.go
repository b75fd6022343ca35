package controller

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/ha"
	"github.com/cairnstream/cairn/wire"
)

const (
	// pingAfter and pingTimeout let a server notice within about 4 s that the
	// other end is gone without a word. An agent is given up after 3 s of missed
	// heartbeats; pings must not cut off a busy one before.
	pingAfter   = time.Second
	pingTimeout = 3 * time.Second
	// pingMin is how often clients may ping us; below it they are misbehaving.
	pingMin = 500 * time.Millisecond
	// messageMax bounds one message: an acknowledgement of a large process or a
	// metadata object, not an artifact, which comes in chunks.
	messageMax = 64 << 20
)

// Controller serves one controller's API. It is what Run builds, apart from
// listeners and Raft, so that tests run it without either.
type Controller struct {
	world
	status   func() ha.Status // nil in tests
	applied  func() uint64
	peers    map[string]grpc.ClientConnInterface // by id, without this one
	watchers *watchers
	contacts contacts
	current  atomic.Pointer[leader] // nil while not leading
	stopping chan struct{}
}

func newController(w world, watchers *watchers) *Controller {
	return &Controller{world: w, watchers: watchers, applied: func() uint64 { return 0 }, stopping: make(chan struct{})}
}

// lead is the work of one term.
func (c *Controller) lead(ctx context.Context, term uint64) error {
	l := newLeader(c.world, term)
	c.current.Store(l)
	c.metrics.term.Set(float64(term))
	c.metrics.lead(true)
	err := l.run(ctx)
	c.current.Store(nil)
	c.metrics.lead(false)
	c.log.Info("leadership over", "term", term, "reason", err)
	return err
}

// server is the gRPC server with all services.
func (c *Controller) server() *grpc.Server {
	s := grpc.NewServer(
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingMin, PermitWithoutStream: true}),
		grpc.MaxRecvMsgSize(messageMax), grpc.MaxSendMsgSize(messageMax),
		grpc.UnaryInterceptor(c.passToLeader),
	)
	wire.RegisterSessionServer(s, sessionService{c: c})
	wire.RegisterControlServer(s, controlService{c: c})
	wire.RegisterMembersServer(s, membersService{c: c})
	return s
}

// dialPeers makes a connection to each other controller; it is made when it is
// first used, and again when it breaks.
func dialPeers(cfg Config) (map[string]grpc.ClientConnInterface, func(), error) {
	conns := map[string]grpc.ClientConnInterface{}
	var closers []func() error
	closeAll := func() {
		for _, c := range closers {
			_ = c() // nothing is in flight any more
		}
	}
	for _, p := range cfg.Peers {
		if p.ID == cfg.ID {
			continue
		}
		conn, err := grpc.NewClient("passthrough:///"+p.API,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageMax), grpc.MaxCallSendMsgSize(messageMax)),
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: peerBackoff, MinConnectTimeout: time.Second}))
		if err != nil {
			closeAll()
			return nil, nil, fmt.Errorf("peer %s: %w", p.ID, err)
		}
		conns[p.ID] = conn
		closers = append(closers, conn.Close)
	}
	return conns, closeAll, nil
}

// sessionService is what the leader serves to agents.
type sessionService struct {
	wire.UnimplementedSessionServer
	c *Controller
}

// Attach is one agent's session. A controller that does not lead names the one
// that does.
func (s sessionService) Attach(stream grpc.BidiStreamingServer[wire.AgentMessage, wire.LeaderMessage]) error {
	l, err := s.c.leading(stream.Context())
	if err != nil {
		known, _ := findPeer(s.c.cfg.Peers, s.c.replica.Leader())
		if known.ID == s.c.cfg.ID {
			known = Peer{}
		}
		return hintLeader(known)
	}
	return endOfSession(l.serve(stream))
}

// controlService is the API for people and programs. Its unary methods run on
// the leader; see passToLeader.
type controlService struct {
	wire.UnimplementedControlServer
	c *Controller
}

// reading is the leader, once its state machine has applied all that was
// committed when the call came: what a client reads is never older than what
// it, or anyone, was told before.
func (s controlService) reading(ctx context.Context) (*leader, error) {
	l, err := s.c.leading(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.replica.Barrier(ctx); err != nil {
		return nil, fmt.Errorf("read barrier: %w", err)
	}
	return l, nil
}

// job is a job as Raft holds it now.
func (s controlService) job(ctx context.Context, id string) (*leader, *ledger.Job, error) {
	l, err := s.reading(ctx)
	if err != nil {
		return nil, nil, err
	}
	record := l.record(jobID(id))
	if record == nil {
		return nil, nil, noJob(jobID(id))
	}
	return l, record, nil
}
