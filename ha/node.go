package ha

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// Node is a running member of the group. Its methods may be called from any
// goroutine.
type Node struct {
	cfg   Config
	log   *slog.Logger
	raft  *raft.Raft
	fsm   *fsm
	peers *trackedTransport
	store *openStorage

	roles    roles
	slots    chan struct{} // one per proposal in flight
	barriers barriers
	transfer stuckTransfer

	life lifecycle
}

var _ Replica = (*Node)(nil)

// Open starts a node on its data directory, which it creates and whose identity
// it writes when it is new. It returns before a leader is known.
//
// Errors: ErrForeignCluster, ErrInUse, ErrCorrupt, or what the disk or the
// network said.
func Open(cfg Config, sm StateMachine) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("open node: %w", err)
	}
	cfg = cfg.WithDefaults()
	n := &Node{
		cfg:   cfg,
		log:   cfg.Log.With("controller", cfg.ID),
		slots: make(chan struct{}, proposalsMax),
	}
	n.life.init(n.log, cfg.Fatal)
	n.roles.init()
	n.barriers.pass = n.passBarrier
	n.transfer = stuckTransfer{limit: 3 * cfg.HeartbeatTimeout, fail: n.life.fail}
	n.fsm = &fsm{sm: sm, fail: n.life.fail}
	if err := n.open(); err != nil {
		return nil, fmt.Errorf("open node %s: %w", cfg.ID, err)
	}
	return n, nil
}

// open brings up storage, network and Raft, in this order: nothing may answer a
// peer before the disk is known to be sound and ours.
func (n *Node) open() (err error) {
	if n.store, err = openStores(n.cfg, n.life.fail); err != nil {
		return err
	}
	if n.peers, err = openTransport(n.cfg); err != nil {
		return errors.Join(err, n.store.Close())
	}
	if err = n.start(); err != nil {
		return errors.Join(err, n.peers.Close(), n.store.Close())
	}
	n.life.group.Go(n.watchRole)
	return nil
}

// start bootstraps an empty node and starts Raft.
func (n *Node) start() error {
	rc := n.cfg.raftConfig()
	if err := n.bootstrap(rc); err != nil {
		return err
	}
	r, err := raft.NewRaft(rc, n.fsm, n.store.log, n.store.stable, n.store.snapshots, n.peers)
	if refused := n.fsm.restoreError(); refused != nil {
		err = errors.Join(refused, err)
		if r != nil { // with an older snapshot instead, silently; we don't
			err = errors.Join(err, r.Shutdown().Error())
		}
	}
	if err != nil {
		return fmt.Errorf("start raft: %w", err)
	}
	n.raft = r
	n.store.arm()
	return nil
}

// bootstrap writes the initial configuration to a node without any state. That
// every node does so is safe because the configurations are identical: the
// identity file and the connections' hello both carry its fingerprint.
func (n *Node) bootstrap(rc *raft.Config) error {
	if err := n.store.undoBootstrap(); err != nil {
		return fmt.Errorf("begin bootstrap again: %w", err)
	}
	has, err := raft.HasExistingState(n.store.log, n.store.stable, n.store.snapshots)
	if err != nil {
		return fmt.Errorf("look for raft state: %w", err)
	}
	if has {
		return nil
	}
	var members raft.Configuration
	for _, p := range n.cfg.Peers {
		members.Servers = append(members.Servers, raft.Server{
			ID: raft.ServerID(p.ID), Address: raft.ServerAddress(p.RaftAddress),
		})
	}
	err = raft.BootstrapCluster(rc, n.store.log, n.store.stable, n.store.snapshots, n.peers, members)
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	return nil
}

// Close stops the node. A leader hands its role to a peer that has everything,
// if there is one; the node stays a member in any case. Close is idempotent and
// waits for what the node started.
func (n *Node) Close() error {
	if !n.life.beginClose() {
		<-n.life.closed
		return nil
	}
	defer close(n.life.closed)
	if n.leads() && n.fine() {
		if err := n.handOver(n.cfg.HeartbeatTimeout); err != nil {
			n.log.Info("leadership not handed over", "err", err)
		}
	}
	n.awaitProposals()
	n.store.disarm()
	err := n.raft.Shutdown().Error() // closes the transport too
	n.life.stop()
	return errors.Join(err, n.store.Close())
}

// fine tells whether the node has not failed.
func (n *Node) fine() bool {
	select {
	case <-n.life.failed:
		return false
	default:
		return true
	}
}

// awaitProposals waits until no proposal is in flight, so that no goroutine is
// left with a future that Raft will never answer (raft#498). It takes at most the
// lease of a leader without a quorum; the limit is for a Raft that is stuck.
func (n *Node) awaitProposals() {
	done := make(chan struct{})
	go func() { n.life.calls.Wait(); close(done) }()
	limit := time.NewTimer(10*n.cfg.HeartbeatTimeout + time.Second)
	defer limit.Stop()
	select {
	case <-done:
	case <-n.life.failed:
	case <-limit.C:
		n.log.Warn("proposals left without an answer")
	}
}

// lifecycle knows whether the node runs, closes or has failed.
type lifecycle struct {
	log   *slog.Logger
	fatal func(error)

	failed chan struct{} // closed by the first failure
	err    error         // why; set before failed is closed
	once   sync.Once

	closing chan struct{} // closed when Close begins
	stopped chan struct{} // closed when Raft has ended
	closed  chan struct{} // closed when Close has ended

	group sync.WaitGroup // the node's own goroutines; they end with stopped

	mu    sync.Mutex     // orders calls.Add before calls.Wait
	shut  bool           // no further calls
	calls sync.WaitGroup // goroutines that wait for an answer of Raft's
}

func (l *lifecycle) init(log *slog.Logger, fatal func(error)) {
	l.log, l.fatal = log, fatal
	l.failed = make(chan struct{})
	l.closing, l.stopped, l.closed = make(chan struct{}), make(chan struct{}), make(chan struct{})
}

// fail gives the node up. Only the first failure counts: what follows is its
// consequence.
func (l *lifecycle) fail(err error) {
	l.once.Do(func() {
		l.err = err
		close(l.failed)
		l.log.Error("controller can't go on", "err", err)
		l.fatal(err)
	})
}

// call runs f, which waits for an answer of Raft's, in a goroutine of its own;
// false if the node closes.
func (l *lifecycle) call(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut {
		return false
	}
	l.calls.Go(f)
	return true
}

// beginClose refuses further calls; false if that was done before.
func (l *lifecycle) beginClose() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut {
		return false
	}
	l.shut = true
	close(l.closing)
	return true
}

// stop ends the node's own goroutines.
func (l *lifecycle) stop() {
	close(l.stopped)
	l.group.Wait()
}
