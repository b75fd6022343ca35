package controller

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/ha"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/open"
)

const (
	// raftGroup names the Raft group to its own members; what tells clusters
	// apart is the list of peers and, for the bucket, the cluster's id.
	raftGroup = "cairn"
	// drainTimeout bounds how long calls may still take when the server stops.
	drainTimeout = 2 * time.Second
)

// peerBackoff finds a peer that came back within half a second.
var peerBackoff = backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.5, Jitter: 0.2, MaxDelay: 500 * time.Millisecond}

// errStopped is the cause with which a stopping controller ends what it started.
var errStopped = errors.New("controller stops")

// Run runs a controller until ctx ends, which hands leadership over first, or
// until it can not go on: its disk fails, its bucket belongs to another
// cluster. It starts from the bottom up and stops from the top down.
func Run(ctx context.Context, cfg Config) error {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	bucket, err := open.Open(ctx, cfg.ObjectStore, open.Options{})
	if err != nil {
		return fmt.Errorf("object store %s: %w", cfg.ObjectStore, err)
	}
	err = runWith(ctx, cfg, bucket)
	return errors.Join(err, bucket.Close())
}

// runWith runs on an open bucket.
func runWith(ctx context.Context, cfg Config, bucket objectstore.Bucket) error {
	listeners, err := listen(&cfg)
	if err != nil {
		return err
	}
	defer listeners.close()
	ctx, fatal := context.WithCancelCause(ctx)
	defer fatal(nil)

	watchers := &watchers{}
	state := ledger.New(watchers.observe)
	node, err := openNode(cfg, listeners.raft, state, fatal)
	if err != nil {
		return err
	}
	w := world{
		cfg: cfg, replica: node, ledger: state, bucket: bucket,
		claimed: &atomic.Bool{}, metrics: newMetrics(), log: cfg.Log.With("controller", cfg.ID),
	}
	w.metrics.observe(&w)
	c := newController(w, watchers)
	c.status, c.applied = node.Status, node.Applied
	err = c.run(ctx, node, listeners)
	return errors.Join(err, node.Close())
}

// openNode opens the Raft node. A node that can not go on ends the process's
// Run with its reason.
func openNode(cfg Config, listener net.Listener, state *ledger.Ledger, fatal context.CancelCauseFunc) (*ha.Node, error) {
	nodeConfig := ha.Config{
		Cluster: raftGroup, ID: cfg.ID, DataDir: filepath.Join(cfg.DataDir, "raft"), Listener: listener,
		HeartbeatTimeout: cfg.RaftTimeout, Log: cfg.Log,
		Fatal: func(err error) { fatal(fmt.Errorf("raft node: %w", err)) },
	}
	for _, p := range cfg.Peers {
		nodeConfig.Peers = append(nodeConfig.Peers, ha.Peer{ID: p.ID, RaftAddress: p.Raft})
	}
	node, err := ha.Open(nodeConfig, state)
	if err != nil {
		return nil, fmt.Errorf("open raft node in %s: %w", nodeConfig.DataDir, err)
	}
	return node, nil
}

// run serves until ctx ends.
func (c *Controller) run(ctx context.Context, node *ha.Node, listeners *listeners) error {
	if err := c.checkBucket(ctx); err != nil {
		return err
	}
	peers, closePeers, err := dialPeers(c.cfg)
	if err != nil {
		return err
	}
	defer closePeers()
	c.peers = peers
	server := c.server()
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Serve(listeners.api) })
	group.Go(func() error { return c.announceForever(groupCtx) })
	if listeners.metrics != nil {
		group.Go(func() error { return c.metrics.serve(groupCtx, listeners.metrics) })
	}
	// Terms must outlive ctx: the leader works until its successor has taken
	// over, so its context is ended by the node's Close and not by ctx.
	group.Go(func() error { return c.terms(context.WithoutCancel(groupCtx), node) })
	group.Go(func() error {
		<-groupCtx.Done()
		return errors.Join(cause(groupCtx), c.stop(node, server))
	})
	group.Go(func() error { return c.tellListening(listeners) })
	if err := group.Wait(); !errors.Is(err, errStopped) {
		return err
	}
	return nil
}

// terms leads whenever this node is elected. An error is one that no other
// term would heal.
func (c *Controller) terms(ctx context.Context, node *ha.Node) error {
	ctx, fatal := context.WithCancelCause(ctx)
	defer fatal(nil)
	err := node.Terms(ctx, func(ctx context.Context, term uint64) error {
		err := c.lead(ctx, term)
		if err != nil && bucketIsWrong(err) {
			fatal(err)
		}
		return err
	})
	if reason := context.Cause(ctx); reason != nil {
		return reason
	}
	if errors.Is(err, ha.ErrClosed) {
		return nil
	}
	return err
}

// stop ends all from the top down: first leadership goes to a peer, so that
// nobody waits for an election, and agents whose session ends find the next
// leader at once; then calls in flight may end; then the server goes.
func (c *Controller) stop(node *ha.Node, server *grpc.Server) error {
	close(c.stopping) // watchers leave
	err := node.Close()
	drained := time.AfterFunc(drainTimeout, server.Stop)
	defer drained.Stop()
	server.GracefulStop()
	return err
}

// cause is why a controller stops; errStopped if it was asked to.
func cause(ctx context.Context) error {
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return errStopped
}
