package exchange

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cairnstream/cairn/dataflow"
)

// Network is one attempt's channels to other processes. It implements
// engine.Network: the receiving ends are announced with Accept before the
// attempt runs, the sending ends opened while it does. All methods may be
// called at once.
type Network struct {
	server  *Server
	attempt dataflow.Attempt
	resolve func(ChannelID) (Peer, error)

	mu          sync.Mutex
	closed      bool
	inbounds    []*inbound
	connections map[string]*connection // by address
}

// NewNetwork makes attempt the one that runs behind server; channels of earlier
// ones are refused from now on. resolve names the process that holds the
// receiving end of a channel; it is asked by Open only, so peers may become
// known after the network is made.
func NewNetwork(server *Server, attempt dataflow.Attempt, resolve func(ChannelID) (Peer, error)) (*Network, error) {
	if err := server.begin(attempt); err != nil {
		return nil, err
	}
	return &Network{server: server, attempt: attempt, resolve: resolve, connections: map[string]*connection{}}, nil
}

// Accept announces a channel whose receiving end is here. A sender that comes
// earlier waits for it.
func (n *Network) Accept(id ChannelID, credit int, r Receiver) (Granter, error) {
	if err := n.check(id); err != nil {
		return nil, fmt.Errorf("accept channel %s: %w", id, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, fmt.Errorf("accept channel %s: %w", id, ErrClosed)
	}
	in := newInbound(id, credit, r)
	if err := n.server.register(in); err != nil {
		return nil, err
	}
	n.inbounds = append(n.inbounds, in)
	return in, nil
}

// Open connects a channel whose sending end is here and waits until the
// receiving process has taken it. Errors: ErrRefused, ErrBroken.
func (n *Network) Open(ctx context.Context, id ChannelID) (Sender, error) {
	if err := n.check(id); err != nil {
		return nil, fmt.Errorf("open channel %s: %w", id, err)
	}
	peer, err := n.resolve(id)
	if err != nil {
		return nil, fmt.Errorf("open channel %s: %w", id, err)
	}
	c, err := n.connection(ctx, peer)
	if err != nil {
		return nil, fmt.Errorf("open channel %s: %w", id, err)
	}
	o, err := c.open(ctx, id)
	if err != nil {
		return nil, err
	}
	return o, nil
}

func (n *Network) check(id ChannelID) error {
	if id.Attempt != n.attempt || id.Job != n.server.job {
		return fmt.Errorf("this is attempt %d of job %s", n.attempt, n.server.job)
	}
	return nil
}

func (n *Network) connection(ctx context.Context, peer Peer) (*connection, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, ErrClosed
	}
	if c := n.connections[peer.Address]; c != nil {
		return c, nil
	}
	c, err := dial(ctx, peer, silenceMax)
	if err != nil {
		return nil, err
	}
	n.connections[peer.Address] = c
	return c, nil
}

// Close ends all channels of the attempt, at both ends, and returns when no
// frame will be received any more. The attempt can not begin again.
func (n *Network) Close() error {
	n.mu.Lock()
	already := n.closed
	n.closed = true
	n.mu.Unlock()
	if already {
		return nil
	}
	n.server.end(n.attempt)
	for _, in := range n.inbounds {
		close(in.over)
	}
	var problems []error
	for _, c := range n.connections {
		problems = append(problems, c.close())
	}
	for _, in := range n.inbounds {
		if n.server.wasClaimed(in) {
			<-in.finished
		}
	}
	return errors.Join(problems...)
}
