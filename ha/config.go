package ha

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/hashicorp/raft"
)

// The defaults of a Config's fields.
const (
	// DefaultHeartbeatTimeout fails over in 0.4 s at the median and 0.6 s at
	// p99 (2 and 2.85 timeouts). A change of leader costs running jobs
	// nothing, so a false alarm is cheap and the timeout may be this low.
	DefaultHeartbeatTimeout = 200 * time.Millisecond
	// DefaultCommitTimeout bounds how far an idle follower's state machine
	// lags: an idle leader tells the commit index after 1 to 2 of these.
	DefaultCommitTimeout = 20 * time.Millisecond
	// DefaultSnapshotInterval and DefaultSnapshotThreshold suit a state of a
	// few megabytes: a restart replays at most some thousand entries.
	DefaultSnapshotInterval  = 30 * time.Second
	DefaultSnapshotThreshold = 2048
	// DefaultStallTimeout is long, because the other error is worse: a stall
	// stops only checkpoints, while a disk that three controllers on one
	// machine share could end all three of them at once.
	DefaultStallTimeout = 5 * time.Second
)

// Config says how a node is opened.
type Config struct {
	// Cluster names the group. Nodes of another name, or with other peers,
	// are strangers: neither their data nor their connections are taken.
	Cluster string
	// ID names this node within the cluster, for ever: a node whose disk was
	// lost forgot its vote and must come back under another ID.
	ID string
	// Peers are the members that the cluster begins with, this node among
	// them. Every node gives the same list; only a node without any data
	// uses it as Raft configuration. Addresses may change later, IDs not.
	Peers []Peer

	// DataDir holds the log, the snapshots and the node's identity. It is
	// created if it is missing. One process at a time.
	DataDir string
	// Listen is the address to accept Raft connections on. Default: this
	// node's RaftAddress in Peers.
	Listen string
	// Listener replaces Listen when it is set. The node closes it.
	Listener net.Listener
	// TLS, when set, is used for both ends of every Raft connection. It
	// should demand client certificates. Default: plain TCP.
	TLS *tls.Config

	// HeartbeatTimeout is how long a follower waits for its leader before it
	// calls an election. Every timer of Raft follows from it: election
	// timeout and the leader's lease are the same. Default 200 ms.
	HeartbeatTimeout time.Duration
	// CommitTimeout is how often an idle leader tells its followers what is
	// committed. It is no limit on commits. Default 20 ms.
	CommitTimeout time.Duration
	// SnapshotInterval is how often the node looks whether SnapshotThreshold
	// entries were added since the last snapshot. Defaults 30 s and 2,048.
	SnapshotInterval  time.Duration
	SnapshotThreshold uint64
	// StallTimeout is how long one operation of the log may take before the
	// node is given up. Raft alone would stay leader of a hung disk for ever.
	// Default 5 s.
	StallTimeout time.Duration

	// Fatal is called once, from any goroutine, when the node can't go on: its
	// disk failed or hangs, an entry can't be applied, Raft is stuck. It must
	// end the process. Required.
	Fatal func(error)
	// Log gets what happens to the node. Default: nothing is logged.
	Log *slog.Logger

	// Transport and Storage replace network and disk in tests.
	Transport raft.Transport
	Storage   *Storage
}

// Peer is a member that a cluster begins with.
type Peer struct {
	// ID as in the member's own Config.
	ID string
	// RaftAddress is the host:port that the other members dial; a name is
	// looked up anew for each connection.
	RaftAddress string
}

// Storage is where Raft keeps what must survive a restart.
type Storage struct {
	Log       raft.LogStore
	Stable    raft.StableStore
	Snapshots raft.SnapshotStore
}

// WithDefaults returns c with the defaults of the fields that are zero.
func (c Config) WithDefaults() Config {
	setDefault(&c.HeartbeatTimeout, DefaultHeartbeatTimeout)
	setDefault(&c.CommitTimeout, DefaultCommitTimeout)
	setDefault(&c.SnapshotInterval, DefaultSnapshotInterval)
	setDefault(&c.SnapshotThreshold, DefaultSnapshotThreshold)
	setDefault(&c.StallTimeout, DefaultStallTimeout)
	setDefault(&c.Listen, c.address(c.ID))
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate reports every problem at once.
func (c Config) Validate() error {
	c = c.WithDefaults()
	var problems []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	check(c.Cluster != "", "cluster: name is missing")
	check(c.ID != "", "id: missing")
	check(c.ID == "" || c.address(c.ID) != "", "id %q: not among the peers", c.ID)
	check(c.Storage != nil || c.DataDir != "", "data directory: missing")
	check(c.Fatal != nil, "fatal: no function to end the process")
	check(c.HeartbeatTimeout >= 20*time.Millisecond, "heartbeat timeout %v: below 20ms", c.HeartbeatTimeout)
	check(c.CommitTimeout >= time.Millisecond, "commit timeout %v: below 1ms", c.CommitTimeout)
	check(c.CommitTimeout <= c.HeartbeatTimeout, "commit timeout %v: above the heartbeat timeout %v", c.CommitTimeout, c.HeartbeatTimeout)
	check(c.SnapshotInterval >= 5*time.Millisecond, "snapshot interval %v: below 5ms", c.SnapshotInterval)
	check(c.StallTimeout > c.HeartbeatTimeout, "stall timeout %v: not above the heartbeat timeout %v", c.StallTimeout, c.HeartbeatTimeout)
	problems = append(problems, c.checkPeers()...)
	return errors.Join(problems...)
}

// checkPeers finds what is wrong with the list of peers.
func (c Config) checkPeers() (problems []error) {
	seenID, seenAddress := map[string]bool{}, map[string]bool{}
	for i, p := range c.Peers {
		if p.ID == "" || strings.ContainsAny(p.ID, " ,=\n") {
			problems = append(problems, fmt.Errorf("peer %d: id %q is empty or has spaces, commas or '='", i, p.ID))
		}
		if _, _, err := net.SplitHostPort(p.RaftAddress); err != nil && c.Transport == nil {
			problems = append(problems, fmt.Errorf("peer %q: address: %w", p.ID, err))
		}
		if seenID[p.ID] || seenAddress[p.RaftAddress] {
			problems = append(problems, fmt.Errorf("peer %q at %s: listed twice", p.ID, p.RaftAddress))
		}
		seenID[p.ID], seenAddress[p.RaftAddress] = true, true
	}
	return problems
}

// address is the Raft address of a peer, or "".
func (c Config) address(id string) string {
	for _, p := range c.Peers {
		if p.ID == id {
			return p.RaftAddress
		}
	}
	return ""
}

// raftConfig translates c for Raft.
func (c Config) raftConfig() *raft.Config {
	rc := raft.DefaultConfig()
	rc.LocalID = raft.ServerID(c.ID)
	rc.HeartbeatTimeout = c.HeartbeatTimeout
	rc.ElectionTimeout = c.HeartbeatTimeout
	rc.LeaderLeaseTimeout = c.HeartbeatTimeout // the longest allowed: see docs/design/0001-raft-group.md
	rc.CommitTimeout = c.CommitTimeout
	rc.SnapshotInterval = c.SnapshotInterval
	rc.SnapshotThreshold = c.SnapshotThreshold
	rc.TrailingLogs = trailingLogs
	rc.BatchApplyCh = true      // without it one proposer gets no group commit at all
	rc.ShutdownOnRemove = false // a removed node can still tell so
	rc.NoLegacyTelemetry = true
	rc.Logger = newRaftLog(c.Log)
	return rc
}

// trailingLogs is how many entries stay in the log below a snapshot. It must be
// far above proposalsMax: with less, a deposed leader's uncommitted tail can make
// the next one install snapshots on it for ever (raft#697), and one damaged
// snapshot could not be made up for.
const trailingLogs = 10240
