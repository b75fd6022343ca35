package worker

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/open"
	"github.com/cairnstream/cairn/wire"
)

const (
	cluster  = "c-0123456789abcdef"
	jobID    = "flights-abc123"
	patience = 30 * time.Second // a hung test must tell what it waited for
)

// leader is a controller that does what a test says.
type leader struct {
	wire.UnimplementedSessionServer
	address  string
	sessions chan *session
}

// session is one agent's, after its Hello.
type session struct {
	t      *testing.T
	stream wire.Session_AttachServer
	hello  *wire.Hello
	term   uint64
	order  uint64
	ended  chan struct{} // closed by the test's end, or when the stream broke
	once   sync.Once
	answer error // the stream's status, once ended is closed
	heard  chan *wire.AgentMessage
	silent atomic.Bool // heartbeats are not answered

	sending sync.Mutex
	newest  uint64 // term that was sent; guarded by sending
}

func startLeader(t *testing.T) *leader {
	l := &leader{sessions: make(chan *session)}
	l.address = serve(t, l)
	return l
}

func serve(t *testing.T, s wire.SessionServer) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	wire.RegisterSessionServer(server, s)
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(listener)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-served
	})
	return listener.Addr().String()
}

func (l *leader) Attach(stream wire.Session_AttachServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	s := &session{stream: stream, hello: first.GetHello(), ended: make(chan struct{}), heard: make(chan *wire.AgentMessage, 10_000)}
	select {
	case l.sessions <- s:
	case <-stream.Context().Done():
		return nil
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for {
			m, err := stream.Recv()
			if err != nil {
				return
			}
			if m.GetHeartbeat() != nil && !s.silent.Load() {
				s.echo()
			}
			s.heard <- m
		}
	}()
	select {
	case <-read:
	case <-s.ended:
	}
	s.end()
	return s.answer
}

// end breaks the session.
func (s *session) end() { s.endWith(status.Error(codes.Unavailable, "session over")) }

// endWith breaks the session with a status.
func (s *session) endWith(err error) {
	s.once.Do(func() {
		s.answer = err
		close(s.ended)
	})
}

// dismiss tells the agent that Raft has ended its incarnation.
func (s *session) dismiss() {
	s.t.Helper()
	refusal, err := status.New(codes.FailedPrecondition, "come back as another incarnation").
		WithDetails(protoadapt.MessageV1Of(&wire.IncarnationEnded{}))
	if err != nil {
		s.t.Fatal(err)
	}
	s.endWith(refusal.Err())
}

// accept waits for the agent's next session and welcomes it under term.
func (l *leader) accept(t *testing.T, term uint64, store string) *session {
	t.Helper()
	s := l.next(t)
	s.term = term
	s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_Welcome{Welcome: &wire.Welcome{
		Cluster: cluster, Leader: "c1", ObjectStore: store, HeartbeatMs: 50}}})
	s.await("heartbeat", func(m *wire.AgentMessage) bool { return m.GetHeartbeat() != nil })
	return s
}

// acceptUntil makes sessions until the agent's hello is as wanted.
func (l *leader) acceptUntil(t *testing.T, term uint64, store string, want func(*wire.Hello) bool) *session {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		s := l.accept(t, term, store)
		if want(s.hello) {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("the agent keeps saying %v", s.hello)
		}
		s.end()
	}
}

// next waits for the agent's next session and says nothing.
func (l *leader) next(t *testing.T) *session {
	t.Helper()
	select {
	case s := <-l.sessions:
		s.t = t
		return s
	case <-time.After(patience):
		t.Fatal("the agent did not attach")
		return nil
	}
}

func (s *session) send(m *wire.LeaderMessage) {
	s.t.Helper()
	s.order++
	m.Term, m.Order = s.term, s.order
	s.sending.Lock()
	defer s.sending.Unlock()
	s.newest = max(s.newest, m.Term)
	if err := s.stream.Send(m); err != nil {
		s.t.Fatal(err)
	}
}

// echo answers a heartbeat. That the session may be over is no matter.
func (s *session) echo() {
	s.sending.Lock()
	defer s.sending.Unlock()
	if err := s.stream.Send(&wire.LeaderMessage{Term: s.newest}); err != nil {
		s.end()
	}
}

// await returns the first message that is wanted, and drops those before it.
func (s *session) await(what string, want func(*wire.AgentMessage) bool) *wire.AgentMessage {
	s.t.Helper()
	late := time.After(patience)
	for {
		select {
		case m := <-s.heard:
			if want(m) {
				return m
			}
		case <-s.ended:
			s.t.Fatalf("the session ended before %s", what)
		case <-late:
			s.t.Fatalf("no %s", what)
		}
	}
}

func (s *session) awaitStatus(state wire.ProcessState) *wire.ProcessStatus {
	s.t.Helper()
	return s.await(state.String(), func(m *wire.AgentMessage) bool { return m.GetStatus().GetState() == state }).GetStatus()
}

// awaitEnd waits until the agent has ended the session.
func (s *session) awaitEnd() {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.t.Fatal("the agent did not end the session")
	}
}

func (s *session) deploy(attempt uint64, sha string, args ...string) {
	s.t.Helper()
	s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_Deploy{Deploy: &wire.Deploy{
		Cluster: cluster, Job: jobID, Attempt: attempt, ArtifactSha256: sha, Args: args,
		Placements: []*wire.Placement{{Subtask: &wire.Subtask{}, Worker: "w1", Incarnation: s.hello.Incarnation}},
	}}})
}

func (s *session) stop(attempt uint64, endProcess bool) {
	s.t.Helper()
	s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_Stop{Stop: &wire.Stop{Job: jobID, Attempt: attempt, EndProcess: endProcess}}})
}

func (s *session) trigger(attempt, checkpoint uint64) {
	s.t.Helper()
	s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_Trigger{Trigger: &wire.Trigger{Job: jobID, Attempt: attempt, Checkpoint: checkpoint}}})
	s.await("ack", func(m *wire.AgentMessage) bool { return m.GetAck().GetCheckpoint() == checkpoint })
}

// world is a cluster's bucket with an artifact, a leader and an agent.
type world struct {
	leader *leader
	store  string
	sha    string // of this test binary
	dir    string
	agent  chan error // what Run returned
	stop   context.CancelFunc
}

// setup starts an agent that knows one controller.
func setup(t *testing.T) *world {
	w := prepare(t)
	w.start(t, w.leader.address)
	return w
}

// prepare makes everything but the agent.
func prepare(t *testing.T) *world {
	w := &world{leader: startLeader(t), store: "file://" + t.TempDir(), dir: filepath.Join(t.TempDir(), "data"), agent: make(chan error, 1)}
	f, err := os.Open("/proc/self/exe")
	if errors.Is(err, os.ErrNotExist) {
		f, err = os.Open(os.Args[0])
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum, size, err := objectstore.SHA256(f)
	if err != nil {
		t.Fatal(err)
	}
	w.sha = sum
	bucket := w.bucket(t)
	if err := bucket.PutFile(t.Context(), cluster+"/artifacts/"+sum, f, size); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) bucket(t *testing.T) objectstore.Bucket {
	b, err := open.Open(t.Context(), w.store, open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func (w *world) config(controllers ...string) Config {
	return Config{ID: "w1", DataDir: w.dir, Slots: 2, Controllers: controllers}
}

func (w *world) start(t *testing.T, controllers ...string) {
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.agent <- Run(ctx, w.config(controllers...))
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
}

// follower refuses every session and names the leader.
type follower struct {
	wire.UnimplementedSessionServer
	leader string
}

func (f *follower) Attach(wire.Session_AttachServer) error {
	s, err := status.New(codes.Unavailable, "not the leader").WithDetails(
		protoadapt.MessageV1Of(&wire.LeaderHint{Id: "c1", ApiAddress: f.leader}))
	if err != nil {
		return err
	}
	return s.Err()
}
