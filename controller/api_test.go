package controller

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/ha"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/wire"
)

// solo is a Raft group of one in memory: it applies what is proposed.
type solo struct {
	machine *ledger.Ledger
	leader  atomic.Value // string
	leads   bool
	mu      sync.Mutex
	index   uint64
}

const soloTerm = 7

func (s *solo) Propose(_ context.Context, command []byte) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index++
	return s.machine.Apply(ha.Entry{Index: s.index, Term: soloTerm, Data: command})
}

func (s *solo) Barrier(context.Context) error { return nil }
func (s *solo) Leader() string                { return s.leader.Load().(string) }
func (s *solo) Terms(ctx context.Context, work func(context.Context, uint64) error) error {
	if s.leads {
		return work(ctx, soloTerm)
	}
	<-ctx.Done()
	return nil
}

// pair is a leader c1 and a follower c2 with real gRPC between them.
type pair struct {
	leader, follower         *Controller
	toLeader, toFollower     wire.ControlClient
	leaderConn, followerConn *grpc.ClientConn
}

func newPair(t *testing.T) *pair {
	t.Helper()
	machine, watching, bucket := ledger.New(nil), &watchers{}, mem.New()
	p := &pair{}
	p.leader, p.leaderConn = serveController(t, "c1", machine, watching, bucket, nil)
	p.follower, p.followerConn = serveController(t, "c2", machine, watching, bucket, map[string]grpc.ClientConnInterface{"c1": p.leaderConn})
	p.toLeader, p.toFollower = wire.NewControlClient(p.leaderConn), wire.NewControlClient(p.followerConn)
	if _, err := p.toLeader.ClusterStatus(t.Context(), &wire.ClusterStatusRequest{}, grpc.WaitForReady(true)); err != nil {
		t.Fatal(err)
	}
	return p
}

func serveController(t *testing.T, id string, machine *ledger.Ledger, watching *watchers, bucket *mem.Bucket, peers map[string]grpc.ClientConnInterface) (*Controller, *grpc.ClientConn) {
	t.Helper()
	replica := &solo{machine: machine, leads: id == "c1"}
	replica.leader.Store("c1")
	cfg := Config{ID: id, DataDir: t.TempDir(), Peers: []Peer{{"c1", "c1:1", "c1:2"}, {"c2", "c2:1", "c2:2"}}}.WithDefaults()
	c := newController(world{
		cfg: cfg, replica: replica, ledger: machine, bucket: bucket, claimed: &atomic.Bool{}, metrics: newMetrics(), log: cfg.Log,
	}, watching)
	c.peers = peers
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := c.server()
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		if err := server.Serve(listener); err != nil {
			t.Errorf("serve %s: %v", id, err)
		}
	})
	if replica.leads {
		led := make(chan struct{})
		group.Go(func() { close(led); _ = replica.Terms(ctx, c.lead) }) // ends with ctx's error
		<-led
		for c.current.Load() == nil {
			if err := pause(ctx, 1e6); err != nil {
				t.Fatal(err)
			}
		}
	}
	conn, err := grpc.NewClient("passthrough:///"+listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		close(c.stopping)
		server.Stop()
		group.Wait()
		conn.Close()
	})
	return c, conn
}

func wantCode(t *testing.T, err error, code codes.Code, text string) {
	t.Helper()
	if status.Code(err) != code || !strings.Contains(status.Convert(err).Message(), text) {
		t.Errorf("got %v, want %v with %q", err, code, text)
	}
}

func TestFollowerPassesCallsToTheLeader(t *testing.T) {
	p := newPair(t)
	s, err := p.toFollower.ClusterStatus(t.Context(), &wire.ClusterStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Leader != "c1" || s.Term != soloTerm || len(s.Controllers) != 2 {
		t.Errorf("status %+v", s)
	}
	_, err = p.toFollower.GetJob(t.Context(), &wire.GetJobRequest{Job: "nope"})
	wantCode(t, err, codes.NotFound, `job "nope"`)
}

func TestCallsAreNotPassedOnTwice(t *testing.T) {
	p := newPair(t)
	ctx := metadata.AppendToOutgoingContext(t.Context(), forwardedHeader, "c3")
	_, err := p.toFollower.ListJobs(ctx, &wire.ListJobsRequest{})
	wantCode(t, err, codes.Unavailable, "no leader yet, retry")
}

func TestNoLeaderIsRetryable(t *testing.T) {
	p := newPair(t)
	p.follower.replica.(*solo).leader.Store("")
	_, err := p.toFollower.ListJobs(t.Context(), &wire.ListJobsRequest{})
	wantCode(t, err, codes.Unavailable, "no leader yet, retry")
}

func TestFollowerNamesTheLeaderToAgents(t *testing.T) {
	p := newPair(t)
	stream, err := wire.NewSessionClient(p.followerConn).Attach(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	wantCode(t, err, codes.Unavailable, "c1")
	for _, detail := range status.Convert(err).Details() {
		if hint, ok := detail.(*wire.LeaderHint); ok && hint.Id == "c1" && hint.ApiAddress == "c1:1" {
			return
		}
	}
	t.Errorf("no hint in %v", status.Convert(err).Details())
}

func put(t *testing.T, client wire.ControlClient, sum string, size int64, data []byte) (*wire.PutArtifactResponse, error) {
	t.Helper()
	stream, err := client.PutArtifact(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	half := len(data) / 2
	chunks := []*wire.ArtifactChunk{{Sha256: sum, Size: size, Data: data[:half]}, {Data: data[half:]}}
	for _, chunk := range chunks {
		if err := stream.Send(chunk); err != nil {
			break // CloseAndRecv tells why
		}
	}
	return stream.CloseAndRecv()
}

func TestPutArtifact(t *testing.T) {
	p := newPair(t)
	data := bytes.Repeat([]byte("program "), 1000)
	sum := sha256.Sum256(data)
	right, wrong := hex.EncodeToString(sum[:]), strings.Repeat("ab", 32)

	_, err := put(t, p.toFollower, wrong, int64(len(data)), data)
	wantCode(t, err, codes.InvalidArgument, right)
	_, err = put(t, p.toFollower, right, int64(len(data))-1, data)
	wantCode(t, err, codes.InvalidArgument, "announced")
	_, err = put(t, p.toFollower, right, int64(len(data))+1, data)
	wantCode(t, err, codes.InvalidArgument, "announced")
	for _, sha := range []string{right, wrong} {
		if found, err := p.leader.store().HasArtifact(t.Context(), sha); err != nil || found {
			t.Errorf("artifact %.6s: found %v, %v: want nothing kept", sha, found, err)
		}
	}
	for _, existed := range []bool{false, true} {
		r, err := put(t, p.toFollower, right, int64(len(data)), data)
		if err != nil || r.Existed != existed {
			t.Errorf("existed %v, %v: want %v", r.GetExisted(), err, existed)
		}
	}
	if data, err := p.leader.bucket.Get(t.Context(), checkpointstore.ArtifactKey(p.leader.cluster(), right), 0, -1); err != nil || len(data) != 8000 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}

func TestSubmitRefusals(t *testing.T) {
	p := newPair(t)
	data := []byte("program")
	sum := sha256.Sum256(data)
	sha := hex.EncodeToString(sum[:])
	if _, err := put(t, p.toLeader, sha, int64(len(data)), data); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		request *wire.SubmitJobRequest
		code    codes.Code
		text    string
	}{
		"no artifact":      {&wire.SubmitJobRequest{Name: "a"}, codes.InvalidArgument, `artifact_sha256 ""`},
		"unknown artifact": {&wire.SubmitJobRequest{ArtifactSha256: strings.Repeat("cd", 32)}, codes.FailedPrecondition, "put it first"},
		"bad name":         {&wire.SubmitJobRequest{Name: "No Name", ArtifactSha256: sha}, codes.InvalidArgument, `job name "No Name"`},
		"bad options":      {&wire.SubmitJobRequest{ArtifactSha256: sha, Options: []byte("{")}, codes.InvalidArgument, "options"},
		"no worker":        {&wire.SubmitJobRequest{ArtifactSha256: sha, Platform: "linux/amd64"}, codes.Unavailable, "no worker is connected"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := p.toFollower.SubmitJob(t.Context(), test.request)
			wantCode(t, err, test.code, test.text)
		})
	}
}

func TestAnnounceIsCommittedOnce(t *testing.T) {
	p := newPair(t)
	members := wire.NewMembersClient(p.leaderConn)
	r := &wire.AnnounceRequest{Controller: "c2", ApiAddress: "c2:1", RaftAddress: "c2:2", MaxVersion: 1, Build: "v1", Applied: 3}
	if _, err := members.Announce(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	before := p.leader.replica.(*solo).index
	if _, err := members.Announce(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if after := p.leader.replica.(*solo).index; after != before {
		t.Errorf("a repeated announcement cost %d entries", after-before)
	}
	_, err := members.Announce(t.Context(), &wire.AnnounceRequest{Controller: "c9"})
	wantCode(t, err, codes.InvalidArgument, `"c9"`)
	_, err = wire.NewMembersClient(p.followerConn).Announce(t.Context(), r)
	wantCode(t, err, codes.Unavailable, "no leader")
}

// busy is a group that takes up no command for a while, and goes on leading.
type busy struct {
	*solo
	refuse atomic.Int64
}

func (b *busy) Propose(ctx context.Context, command []byte) (any, error) {
	if b.refuse.Add(-1) >= 0 {
		return nil, ha.ErrNotLeader
	}
	return b.solo.Propose(ctx, command)
}

// TestBusyRaftDoesNotLoseACommand: a command that Raft was too busy to take up
// is proposed again. It used to be dropped, and its job waited for ever.
func TestBusyRaftDoesNotLoseACommand(t *testing.T) {
	p := newPair(t)
	l := p.leader.current.Load()
	group := &busy{solo: l.replica.(*solo)}
	group.refuse.Store(3)
	l = &leader{world: l.world, term: l.term, over: make(chan struct{})}
	l.replica = group
	_, err := l.commit(t.Context(), &ledger.EndWorker{Header: l.header(""), Worker: "w1", Incarnation: "i1"})
	if err != nil || group.refuse.Load() >= 0 {
		t.Errorf("%v, %d refusals left", err, group.refuse.Load())
	}
	if !l.incarnationEnded("w1", "i1") {
		t.Error("the command was not applied")
	}
}
