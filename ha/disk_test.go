package ha_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/cairnstream/cairn/ha"
)

// realNode is a node on a real disk and the loopback network.
type realNode struct {
	*ha.Node
	machine *machine
	failed  chan error
}

// eventually calls ok until it is true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	limit := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited 30s for %s", what)
		}
	}
}

// alone is the configuration of a cluster of one in dir.
func alone(t testing.TB, dir string) ha.Config {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ha.Config{
		Cluster: "test", ID: "a", DataDir: dir, Listener: listener,
		Peers:            []ha.Peer{{ID: "a", RaftAddress: listener.Addr().String()}},
		HeartbeatTimeout: 50 * time.Millisecond,
	}
}

// start opens a node and closes it when the test ends.
func start(t testing.TB, cfg ha.Config) *realNode {
	t.Helper()
	n := &realNode{machine: &machine{}, failed: make(chan error, 1)}
	cfg.Fatal = func(err error) { n.failed <- err }
	var err error
	if n.Node, err = ha.Open(cfg, n.machine); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.stop(t) })
	return n
}

func (n *realNode) stop(t testing.TB) {
	t.Helper()
	if err := n.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// mustFail opens a node that must be refused, and returns why.
func mustFail(t *testing.T, cfg ha.Config) error {
	t.Helper()
	cfg.Fatal = func(err error) { t.Errorf("fatal: %v", err) }
	n, err := ha.Open(cfg, &machine{})
	if err == nil {
		t.Fatal(errors.Join(errors.New("the node was opened"), n.Close()))
	}
	if cfg.Listener != nil {
		_ = cfg.Listener.Close() // open may have refused before it used it
	}
	return err
}

// propose proposes a key, once the node leads.
func (n *realNode) propose(t testing.TB, key string) {
	t.Helper()
	eventually(t, "the proposal of "+key, func() bool {
		_, err := n.Propose(t.Context(), command{Key: key}.encode())
		return err == nil
	})
}

func TestForeignDirectory(t *testing.T) {
	dir := t.TempDir()
	start(t, alone(t, dir)).stop(t)

	other := alone(t, dir)
	other.Cluster = "elsewhere"
	err := mustFail(t, other)
	if !errors.Is(err, ha.ErrForeignCluster) || !strings.Contains(err.Error(), `"test"`) || !strings.Contains(err.Error(), `"elsewhere"`) {
		t.Errorf("another cluster's directory: %v", err)
	}
	other = alone(t, dir)
	other.ID, other.Peers[0].ID = "b", "b"
	if err := mustFail(t, other); !errors.Is(err, ha.ErrForeignCluster) {
		t.Errorf("another node's directory: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "identity.json")); err != nil {
		t.Fatal(err)
	}
	if err := mustFail(t, alone(t, dir)); !errors.Is(err, ha.ErrForeignCluster) {
		t.Errorf("a directory with a log and without an identity: %v", err)
	}
}

func TestDirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	start(t, alone(t, dir))
	if err := mustFail(t, alone(t, dir)); !errors.Is(err, ha.ErrInUse) {
		t.Errorf("a directory that another node has: %v", err)
	}
}

func TestRestartKeepsData(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		cfg := alone(t, dir)
		often(0, &cfg)
		n := start(t, cfg)
		for i := range 20 {
			n.propose(t, fmt.Sprintf("%d-%d", round, i))
		}
		eventually(t, "all keys", func() bool { return len(n.machine.all()) == 20*(round+1) })
		n.stop(t)
	}
}

// TestDamagedSnapshot: Raft would take an older snapshot; the node refuses.
func TestDamagedSnapshot(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, dir string){
		"flipped bit": func(t *testing.T, dir string) { flip(t, filepath.Join(dir, "state.bin")) },
		"cut short":   func(t *testing.T, dir string) { truncate(t, filepath.Join(dir, "state.bin")) },
		"meta cut":    func(t *testing.T, dir string) { truncate(t, filepath.Join(dir, "meta.json")) },
		"state gone":  func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "state.bin")) },
		"meta gone":   func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "meta.json")) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			newest := withSnapshot(t, dir)
			damage(t, newest)
			err := mustFail(t, alone(t, dir))
			if !errors.Is(err, ha.ErrCorrupt) || !strings.Contains(err.Error(), filepath.Base(newest)) {
				t.Errorf("open: %v", err)
			}
		})
	}
}

// withSnapshot runs a node in dir until it took a snapshot, and returns its path.
func withSnapshot(t *testing.T, dir string) string {
	cfg := alone(t, dir)
	often(0, &cfg)
	n := start(t, cfg)
	for i := range 20 {
		n.propose(t, fmt.Sprint(i))
	}
	store, err := raft.NewFileSnapshotStore(dir, 1, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	taken := func() []*raft.SnapshotMeta {
		all, err := store.List()
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	eventually(t, "a snapshot", func() bool { return len(taken()) > 0 })
	n.stop(t) // it may have taken another one meanwhile
	return filepath.Join(dir, "snapshots", taken()[0].ID)
}

// TestLogWithoutBeginning: a log that was cut needs its snapshot.
func TestLogWithoutBeginning(t *testing.T) {
	store := raft.NewInmemStore()
	if err := store.StoreLog(&raft.Log{Index: 100, Term: 3}); err != nil {
		t.Fatal(err)
	}
	cfg := alone(t, "")
	cfg.Storage = &ha.Storage{Log: store, Stable: store, Snapshots: raft.NewInmemSnapshotStore()}
	if err := mustFail(t, cfg); !errors.Is(err, ha.ErrCorrupt) {
		t.Errorf("open: %v", err)
	}
}

// choosy is a machine that can't restore.
type choosy struct{ machine }

var errChoosy = errors.New("of a newer version")

func (*choosy) Restore(io.Reader) error { return errChoosy }

// TestRefusedSnapshot: a state that the state machine refuses is no reason to
// start from an older one, or from none.
func TestRefusedSnapshot(t *testing.T) {
	dir := t.TempDir()
	withSnapshot(t, dir)
	cfg := alone(t, dir)
	cfg.Fatal = func(err error) { t.Errorf("fatal: %v", err) }
	n, err := ha.Open(cfg, &choosy{})
	if err == nil {
		err = errors.Join(errors.New("the node was opened"), n.Close())
	}
	if !errors.Is(err, errChoosy) {
		t.Errorf("open: %v", err)
	}
	start(t, alone(t, dir)) // nothing was lost by the attempt
}

func flip(t *testing.T, path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 4
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, path string) {
	if err := os.Truncate(path, 40); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedEntry: bbolt returns what the disk gives it; the entry's checksum
// finds the damage before the state machine sees it.
func TestDamagedEntry(t *testing.T) {
	dir := t.TempDir()
	n := start(t, alone(t, dir))
	n.propose(t, "needle")
	n.stop(t)

	path := filepath.Join(dir, "raft.db")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte("needle")) {
		t.Fatal("the entry is not in the log file as it is")
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(data, []byte("needle"), []byte("noodle")), 0o600); err != nil {
		t.Fatal(err)
	}
	n = start(t, alone(t, dir))
	if err := <-n.failed; !errors.Is(err, ha.ErrCorrupt) || !strings.Contains(err.Error(), "apply entry") {
		t.Errorf("the node gave up with: %v", err)
	}
	if keys := n.machine.all(); len(keys) != 0 {
		t.Errorf("applied: %v", keys)
	}
}

// trio starts three nodes on loopback.
func trio(t testing.TB, dirs [3]string, secure *tls.Config) (nodes [3]*realNode) {
	t.Helper()
	var peers []ha.Peer
	var configs [3]ha.Config
	for i := range configs {
		configs[i] = alone(t, dirs[i])
		configs[i].ID = string(rune('a' + i))
		peers = append(peers, ha.Peer{ID: configs[i].ID, RaftAddress: configs[i].Peers[0].RaftAddress})
	}
	for i, cfg := range configs {
		cfg.Peers, cfg.TLS, cfg.HeartbeatTimeout = peers, secure, 200*time.Millisecond
		nodes[i] = start(t, cfg)
	}
	return nodes
}

// leader waits for the trio's leader.
func leader(t testing.TB, nodes [3]*realNode) (leader *realNode) {
	t.Helper()
	eventually(t, "a leader", func() bool {
		for _, n := range nodes {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			err := n.Barrier(ctx)
			cancel()
			if err == nil {
				leader = n
				return true
			}
		}
		return false
	})
	return leader
}

// TestTrioOnDisk stops and starts a trio, whose addresses change in between.
func TestTrioOnDisk(t *testing.T) {
	dirs := [3]string{t.TempDir(), t.TempDir(), t.TempDir()}
	for round := range 2 {
		nodes := trio(t, dirs, nil)
		leader(t, nodes).propose(t, fmt.Sprint("round-", round))
		for _, n := range nodes {
			eventually(t, "the keys on every node", func() bool { return len(n.machine.all()) == round+1 })
		}
		for _, n := range nodes {
			n.stop(t)
		}
	}
}

func TestTrioWithTLS(t *testing.T) {
	nodes := trio(t, [3]string{t.TempDir(), t.TempDir(), t.TempDir()}, mutualTLS(t))
	leader(t, nodes).propose(t, "secret")
	for _, n := range nodes {
		eventually(t, "the key on every node", func() bool { return len(n.machine.all()) == 1 })
	}
}

// mutualTLS is one certificate for all, which each demands of the other.
func mutualTLS(t *testing.T) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		RootCAs:      pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}
}

// BenchmarkPropose measures proposals by many clients at once, which share the
// cost of an entry (group commit), on real disks and loopback.
func BenchmarkPropose(b *testing.B) {
	for _, clients := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			nodes := trio(b, [3]string{b.TempDir(), b.TempDir(), b.TempDir()}, nil)
			n := leader(b, nodes)
			payload := command{Key: strings.Repeat("x", 200)}.encode()
			b.SetParallelism(clients)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := n.Propose(b.Context(), payload); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "proposals/s")
		})
	}
}
