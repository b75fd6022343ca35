package controller

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Config is what a controller needs to run. The zero value of an optional
// field chooses the default that its comment names.
type Config struct {
	// ID names this controller among its peers, for ever: 1 to 32 of a-z, 0-9, '-'.
	ID string
	// Listen is the API's address, host:port. Default: this controller's own
	// address among the peers. Port 0 picks a free one; only a single
	// controller can do that, since its peers would not know it.
	Listen string
	// Advertise is the API address that others are told, when it is not the
	// one in Peers. Default: the own address in Peers, with the port that was picked.
	Advertise string
	// DataDir holds the Raft log, snapshots and listening.json. It is made if
	// it does not exist, and belongs to one controller of one cluster for ever.
	DataDir string
	// Peers are all controllers of the cluster, this one included.
	Peers []Peer
	// ObjectStore is the URL of the cluster's bucket, without credentials:
	// file:///path or s3://bucket/prefix?endpoint=...
	ObjectStore string
	// RaftTimeout is the heartbeat and election timeout. A leader's death is
	// healed after about two of them. Default 200 ms; at least 20 ms.
	RaftTimeout time.Duration
	// MetricsListen is where /metrics and /debug/pprof are served. Default: nowhere.
	MetricsListen string
	// AssumeExclusive says that no other cluster uses the bucket prefix. It is
	// needed only where the store can not create an object exclusively.
	AssumeExclusive bool
	// NoSweep leaves in the bucket what ended attempts wrote and no checkpoint
	// names, for somebody who wants to look at it. The bucket grows with each failure.
	NoSweep bool
	// Build is the version that people are shown. Default "devel".
	Build string
	// Heartbeat is how often an agent and its leader speak to each other.
	// Default 250 ms. An agent silent for twelve of them has lost its session.
	Heartbeat time.Duration
	// WorkerGrace is how long a broken session may take to come back before
	// its worker is lost. Default 1 s.
	WorkerGrace time.Duration
	// RegisterGrace is how long a new leader waits for agents to report before
	// it takes the missing ones for lost. Default 3 s.
	RegisterGrace time.Duration
	// Passed, if not nil, is called by the leader after each of the Steps, on the
	// goroutine that did it: a test that ends the term there sees what a crash leaves.
	Passed func(step string)
	// Log takes what happens. Default: nothing is logged.
	Log *slog.Logger
}

// Peer is a controller's place in the cluster.
type Peer struct {
	ID   string `json:"id"`
	API  string `json:"api"`  // host:port of the gRPC API
	Raft string `json:"raft"` // host:port of Raft
}

const (
	defaultRaftTimeout = 200 * time.Millisecond // fails over in about 450 ms, and costs no job anything
	raftTimeoutMin     = 20 * time.Millisecond  // below it pauses of the machine look like deaths
	defaultHeartbeat   = 250 * time.Millisecond
	// heartbeatsMissed are 3 s, after which a connection that only looks alive
	// is given up. A killed agent is noticed at once, by its closed socket;
	// this is for machines that vanish. One second was too little: an agent on
	// two cores with six busy processes falls silent for longer.
	heartbeatsMissed = 12
	// defaultWorkerGrace costs a recovery next to nothing: the delay before a
	// restart, 1 s at first, counts from the break and not from its end.
	defaultWorkerGrace = time.Second
	// defaultRegisterGrace is longer than an agent takes to give up a leader
	// that hangs (2 s, which began before the election) and to find the next.
	defaultRegisterGrace = 3 * time.Second
)

var controllerID = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// ParsePeers reads id=host:port,... where each address is the API's. Raft
// listens on the port after it, unless the entry names its own address:
// id=host:port/host:port or id=host:port/port.
func ParsePeers(s string) ([]Peer, error) {
	var peers []Peer
	var problems []error
	for entry := range strings.SplitSeq(s, ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		p, err := parsePeer(entry)
		if err != nil {
			problems = append(problems, fmt.Errorf("peer %q: %w", entry, err))
			continue
		}
		peers = append(peers, p)
	}
	return peers, errors.Join(problems...)
}

func parsePeer(entry string) (Peer, error) {
	id, addresses, ok := strings.Cut(entry, "=")
	if !ok {
		return Peer{}, errors.New("want id=host:port")
	}
	api, raft, own := strings.Cut(addresses, "/")
	host, port, err := splitAddress(api)
	if err != nil {
		return Peer{}, err
	}
	switch {
	case !own && port == 0:
		raft = net.JoinHostPort(host, "0")
	case !own:
		raft = net.JoinHostPort(host, strconv.Itoa(port+1))
	case !strings.Contains(raft, ":"):
		raft = net.JoinHostPort(host, raft)
	}
	if _, _, err := splitAddress(raft); err != nil {
		return Peer{}, err
	}
	return Peer{ID: id, API: api, Raft: raft}, nil
}

func splitAddress(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("address %q: want host:port", address)
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("address %q: port must be 0 to 65535", address)
	}
	return host, port, nil
}

// WithDefaults fills in what is not given. It does not check.
func (c Config) WithDefaults() Config {
	if own, ok := c.self(); ok && c.Listen == "" {
		c.Listen = own.API
	}
	setDefault(&c.RaftTimeout, defaultRaftTimeout)
	setDefault(&c.Heartbeat, defaultHeartbeat)
	setDefault(&c.WorkerGrace, defaultWorkerGrace)
	setDefault(&c.RegisterGrace, defaultRegisterGrace)
	setDefault(&c.Build, "devel")
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

// Validate reports every problem of c at once.
func (c Config) Validate() error {
	var problems []error
	complain := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf(format, args...))
	}
	if !controllerID.MatchString(c.ID) {
		complain("--id %q: use 1 to 32 of a-z, 0-9 and '-'", c.ID)
	}
	if c.DataDir == "" {
		complain("--data-dir is missing: a folder that belongs to this controller alone")
	}
	if c.ObjectStore == "" {
		complain("--object-store is missing: the cluster's bucket, such as file:///var/lib/cairn/bucket or s3://bucket/prefix")
	}
	if c.RaftTimeout != 0 && c.RaftTimeout < raftTimeoutMin {
		complain("--raft-timeout %v: at least %v", c.RaftTimeout, raftTimeoutMin)
	}
	for _, d := range []time.Duration{c.Heartbeat, c.WorkerGrace, c.RegisterGrace} {
		if d < 0 {
			complain("a duration of %v is negative", d)
		}
	}
	c.checkAddresses(complain)
	c.checkPeers(complain)
	return errors.Join(problems...)
}

func (c Config) checkAddresses(complain func(string, ...any)) {
	for _, given := range []struct{ flag, address string }{
		{"--listen", c.Listen}, {"--advertise", c.Advertise}, {"--metrics-listen", c.MetricsListen},
	} {
		if given.address == "" {
			continue
		}
		if _, port, err := splitAddress(given.address); err != nil {
			complain("%s: %w", given.flag, err)
		} else if given.flag == "--listen" && port == 0 && len(c.Peers) > 1 {
			complain("--listen %q: port 0 is for a single controller; its peers would not find it", given.address)
		}
	}
}

func (c Config) checkPeers(complain func(string, ...any)) {
	if _, ok := c.self(); !ok {
		complain("--peers does not name this controller %q; it lists %s", c.ID, peerIDs(c.Peers))
	}
	seen := map[string]string{}
	for _, p := range c.Peers {
		if !controllerID.MatchString(p.ID) {
			complain("--peers: id %q: use 1 to 32 of a-z, 0-9 and '-'", p.ID)
		}
		for _, name := range []string{"id " + p.ID, "address " + p.API, "address " + p.Raft} {
			_, port, _ := splitAddress(strings.TrimPrefix(name, "address "))
			if strings.HasPrefix(name, "address ") && port == 0 {
				if len(c.Peers) > 1 {
					complain("--peers: %s of %s: port 0 is for a single controller", name, p.ID)
				}
				continue
			}
			if other, ok := seen[name]; ok {
				complain("--peers: %s is given to both %s and %s", name, other, p.ID)
			}
			seen[name] = p.ID
		}
	}
}

func (c Config) self() (Peer, bool) { return findPeer(c.Peers, c.ID) }

func findPeer(peers []Peer, id string) (Peer, bool) {
	for _, p := range peers {
		if p.ID == id {
			return p, true
		}
	}
	return Peer{}, false
}

func peerIDs(peers []Peer) string {
	if len(peers) == 0 {
		return "nobody"
	}
	ids := make([]string, len(peers))
	for i, p := range peers {
		ids[i] = p.ID
	}
	return strings.Join(ids, ", ")
}
