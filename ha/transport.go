package ha

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// rpcTimeout bounds one message between members, and a dial. It is how long
	// replication to a peer can hang after a cut that sends no reset.
	rpcTimeout = 2 * time.Second
	// connectionsKept per peer: replication and heartbeats, one to spare.
	connectionsKept = 3
)

// A connection between members begins with a hello: 8 bytes of magic and
// format, then the 32 bytes of the cluster's fingerprint. A member of another
// cluster, which a mistyped address can bring, is cut off before Raft sees a
// byte of it.
const helloMagic = "CAIRNRF1"

// hello is what this node says and expects to hear.
type hello [len(helloMagic) + sha256.Size]byte

func (c Config) hello() (h hello) {
	sum := c.fingerprint()
	copy(h[copy(h[:], helloMagic):], sum[:])
	return h
}

// openTransport opens the connection to the other members.
func openTransport(cfg Config) (*trackedTransport, error) {
	if cfg.Transport != nil {
		return trackTransport(cfg.Transport)
	}
	listener := cfg.Listener
	if listener == nil {
		var err error
		if listener, err = net.Listen("tcp", cfg.Listen); err != nil {
			return nil, fmt.Errorf("listen for peers: %w", err)
		}
	}
	network := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		ServerAddressProvider:   addressBook(cfg.Peers),
		Logger:                  newRaftLog(cfg.Log),
		Stream:                  newStream(listener, cfg),
		MaxPool:                 connectionsKept,
		MaxRPCsInFlight:         1, // pipelining can wedge a follower for good (raft#612) and gains nothing
		Timeout:                 rpcTimeout,
		MsgpackUseNewTimeFormat: true,
	})
	return trackTransport(network)
}

// addressBook lets the configured address of a peer override the one in Raft's
// configuration, so that a controller can move to another address.
type addressBook []Peer

// ServerAddr implements raft.ServerAddressProvider. An error means that Raft's
// own address is used.
func (b addressBook) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	for _, p := range b {
		if p.ID == string(id) {
			return raft.ServerAddress(p.RaftAddress), nil
		}
	}
	return "", fmt.Errorf("peer %q is not configured", id)
}

// stream carries Raft's messages over TCP, or TLS.
type stream struct {
	net.Listener
	advertise address
	tls       *tls.Config // nil: plain TCP
	hello     hello
}

var _ raft.StreamLayer = (*stream)(nil)

func newStream(l net.Listener, cfg Config) *stream {
	if cfg.TLS != nil {
		l = tls.NewListener(l, cfg.TLS)
	}
	return &stream{Listener: l, advertise: address(cfg.address(cfg.ID)), tls: cfg.TLS, hello: cfg.hello()}
}

// Addr is what the other members dial, as opposed to what we listen on.
func (s *stream) Addr() net.Addr { return s.advertise }

// Dial connects to a peer and says hello.
func (s *stream) Dial(target raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := s.dial(ctx, string(target))
	if err != nil {
		return nil, err
	}
	err = conn.SetWriteDeadline(time.Now().Add(timeout))
	if err == nil {
		_, err = conn.Write(s.hello[:])
	}
	if err == nil {
		err = conn.SetWriteDeadline(time.Time{})
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

func (s *stream) dial(ctx context.Context, target string) (net.Conn, error) {
	if s.tls != nil {
		return (&tls.Dialer{Config: s.tls}).DialContext(ctx, "tcp", target)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", target)
}

// Accept takes a connection. Its hello is checked by the first Read, so that a
// peer that says nothing holds up nobody.
func (s *stream) Accept() (net.Conn, error) {
	conn, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &greetedConn{Conn: conn, expect: s.hello}, nil
}

// greetedConn is an accepted connection that must begin with a hello.
type greetedConn struct {
	net.Conn
	expect hello
	once   sync.Once
	err    error
}

func (c *greetedConn) Read(p []byte) (int, error) {
	c.once.Do(func() { c.err = c.greet() })
	if c.err != nil {
		return 0, c.err
	}
	return c.Conn.Read(p)
}

// greet reads the hello, within a limit: strangers don't hold connections open.
func (c *greetedConn) greet() error {
	var heard hello
	err := c.SetReadDeadline(time.Now().Add(rpcTimeout))
	if err == nil {
		_, err = io.ReadFull(c.Conn, heard[:])
	}
	if err == nil && heard != c.expect {
		err = fmt.Errorf("connection from %v: %w", c.RemoteAddr(), ErrForeignCluster)
	}
	if err == nil {
		err = c.SetReadDeadline(time.Time{})
	}
	return err
}

// address is a host:port as it was given, with its name.
type address string

// Network implements net.Addr.
func (a address) Network() string { return "tcp" }

func (a address) String() string { return string(a) }
