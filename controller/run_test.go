package controller

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/claim"
	"github.com/cairnstream/cairn/wire"
)

// single is a real controller, alone, with its data in dir.
type single struct {
	t         *testing.T
	listening Listening
	stop      func() error
}

func startSingle(t *testing.T, dir, store string) *single {
	t.Helper()
	told := filepath.Join(dir, ListeningFile)
	if err := os.RemoveAll(told); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, Config{
			ID: "c1", DataDir: dir, ObjectStore: store, Peers: []Peer{{"c1", "127.0.0.1:0", "127.0.0.1:0"}},
			RaftTimeout: 50 * time.Millisecond, MetricsListen: "127.0.0.1:0",
		})
	}()
	s := &single{t: t, stop: func() error { cancel(); err := <-done; done <- err; return err }}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	for {
		data, err := os.ReadFile(told)
		if err == nil {
			if err := json.Unmarshal(data, &s.listening); err != nil {
				t.Fatal(err)
			}
			return s
		}
		select {
		case err := <-done:
			t.Fatalf("controller ended: %v", err)
		default:
			if err := pause(t.Context(), time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// status asks until there is a leader, as a client would.
func (s *single) status() *wire.ClusterStatusResponse {
	s.t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+s.listening.API, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	for {
		r, err := wire.NewControlClient(conn).ClusterStatus(s.t.Context(), &wire.ClusterStatusRequest{})
		if err == nil {
			return r
		}
		if err := pause(s.t.Context(), 5*time.Millisecond); err != nil {
			s.t.Fatal(err)
		}
	}
}

func bucketFolder(t *testing.T) string {
	t.Helper()
	return "file://" + t.TempDir()
}

func TestRunKeepsItsClusterOverARestart(t *testing.T) {
	dir, store := t.TempDir(), bucketFolder(t)
	s := startSingle(t, dir, store)
	first := s.status()
	if first.Leader != "c1" || first.Cluster == "" || first.Controllers[0].ApiAddress != s.listening.API {
		t.Errorf("status %+v, listening %+v", first, s.listening)
	}
	response, err := http.Get("http://" + s.listening.Metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"cairn_is_leader 1", "cairn_workers 0", "cairn_raft_proposals_total", "cairn_checkpoint_duration_seconds"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	again := startSingle(t, dir, store).status()
	if again.Cluster != first.Cluster || again.Term <= first.Term {
		t.Errorf("cluster %s in term %d, before it was %s in term %d", again.Cluster, again.Term, first.Cluster, first.Term)
	}
}

func TestRunRefusesAForeignBucket(t *testing.T) {
	dir, store := t.TempDir(), bucketFolder(t)
	s := startSingle(t, dir, store)
	s.status()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	for name, folder := range map[string]string{"of a new cluster": t.TempDir(), "of an old one": oldCluster(t)} {
		t.Run(name, func(t *testing.T) {
			err := Run(t.Context(), Config{ID: "c1", DataDir: folder, ObjectStore: store, Peers: []Peer{{"c1", "127.0.0.1:0", "127.0.0.1:0"}}})
			if !errors.Is(err, claim.ErrClaimed) {
				t.Errorf("got %v, want ErrClaimed", err)
			}
		})
	}
}

// oldCluster is the data directory of a cluster with another bucket.
func oldCluster(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s := startSingle(t, dir, bucketFolder(t))
	s.status()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRunRefusesWhatIsMissing(t *testing.T) {
	err := Run(t.Context(), Config{
		ID: "c1", DataDir: t.TempDir(), ObjectStore: "file://" + filepath.Join(t.TempDir(), "nowhere"),
		Peers: []Peer{{"c1", "127.0.0.1:0", "127.0.0.1:0"}},
	})
	if !errors.Is(err, objectstore.ErrNoBucket) {
		t.Errorf("got %v, want ErrNoBucket", err)
	}
}
