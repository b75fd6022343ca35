package enginetest

import (
	"context"
	"fmt"
	"sync"

	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/exchange"
)

// Network connects attempts in one process as if they were in different ones:
// frames are bytes and batches need credit.
type Network struct {
	mu       sync.Mutex
	channels map[exchange.ChannelID]*channel
}

// NewNetwork returns a network without channels.
func NewNetwork() *Network { return &Network{channels: map[exchange.ChannelID]*channel{}} }

// channel is one channel; it is its own sender and granter.
type channel struct {
	to exchange.Receiver

	mu     sync.Mutex
	credit int
	more   chan struct{} // one token: credit came
	wake   func()        // as Notify says
}

// Accept implements engine.Network.
func (n *Network) Accept(id exchange.ChannelID, credit int, r exchange.Receiver) (exchange.Granter, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.channels[id] != nil {
		return nil, fmt.Errorf("channel %v is accepted twice", id)
	}
	c := &channel{to: r, credit: credit, more: make(chan struct{}, 1)}
	n.channels[id] = c
	return c, nil
}

// Open implements engine.Network. The receiver has accepted before.
func (n *Network) Open(_ context.Context, id exchange.ChannelID) (exchange.Sender, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.channels[id]
	if c == nil {
		return nil, fmt.Errorf("nobody accepts channel %v", id)
	}
	return c, nil
}

// Grant implements exchange.Granter.
func (c *channel) Grant(batches int) {
	c.mu.Lock()
	c.credit += batches
	c.mu.Unlock()
	select {
	case c.more <- struct{}{}:
	default:
	}
	c.mu.Lock()
	wake := c.wake
	c.mu.Unlock()
	if wake != nil {
		wake()
	}
}

// Send implements exchange.Sender.
func (c *channel) Send(ctx context.Context, f exchange.Frame) error {
	for f.Kind == exchange.Batch && !c.take() {
		select {
		case <-c.more:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	c.to.Receive(f)
	return nil
}

// TrySend implements exchange.Sender.
func (c *channel) TrySend(_ context.Context, f exchange.Frame) (bool, error) {
	if f.Kind == exchange.Batch && !c.take() {
		return false, nil
	}
	c.to.Receive(f)
	return true, nil
}

// Notify implements exchange.Sender.
func (c *channel) Notify(wake func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wake = wake
}

func (c *channel) take() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.credit == 0 {
		return false
	}
	c.credit--
	return true
}

// Close implements exchange.Sender.
func (c *channel) Close() error { return nil }

var _ engine.Network = (*Network)(nil)
