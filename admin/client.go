package admin

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/wire"
)

// Client is a connection to a cluster: to whichever controller answers.
//
// Invariant: a call is repeated only after UNAVAILABLE, which a controller
// answers when it did nothing, and with the same request, whose idempotency
// key makes even a lost answer harmless.
type Client struct {
	addresses []string
	conns     []*grpc.ClientConn
	preferred int // the controller that answered last
}

// callTimeout bounds one try at one controller, so that one that hangs does
// not use up the time for the others.
const callTimeout = 5 * time.Second

// Dial prepares connections to all controllers; it does not wait for any.
func Dial(addresses []string) (*Client, error) {
	c := &Client{addresses: addresses}
	for _, a := range addresses {
		conn, err := grpc.NewClient("passthrough:///"+a,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 2 * time.Second}),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
		if err != nil {
			return nil, usagef("controller address %q: %w", a, err)
		}
		c.conns = append(c.conns, conn)
	}
	if len(c.conns) == 0 {
		return nil, usagef("no controller: give --controllers host:port[,host:port...] or set $%s", ControllersEnv)
	}
	return c, nil
}

// Close closes the connections.
func (c *Client) Close() {
	for _, conn := range c.conns {
		conn.Close()
	}
}

// Do calls f with a controller, and again with the next one while the answer
// is that none is available, until ctx ends.
func (c *Client) Do(ctx context.Context, what string, f func(context.Context, wire.ControlClient) error) error {
	var last error
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		for range c.conns {
			err := c.try(ctx, f)
			if !again(err) {
				if err != nil {
					return fmt.Errorf("%s: %w", what, err)
				}
				return nil
			}
			last = fmt.Errorf("%s: %w", c.addresses[c.preferred], err)
			c.preferred = (c.preferred + 1) % len(c.conns)
		}
		select {
		case <-ctx.Done():
			return status.Errorf(codes.Unavailable, "%s: %v; asked %s, last answer: %s; are the controllers up, and is this the right --controllers?",
				what, context.Cause(ctx), strings.Join(c.addresses, ", "), Message(last))
		case <-time.After(pause):
		}
	}
}

func (c *Client) try(ctx context.Context, f func(context.Context, wire.ControlClient) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return f(ctx, wire.NewControlClient(c.conns[c.preferred]))
}

func again(err error) bool {
	code := status.Code(err)
	return err != nil && (code == codes.Unavailable || code == codes.DeadlineExceeded)
}

// Stream gives f the controller that answered last, without the bound of a
// single call: for uploads and watches.
func (c *Client) Stream(ctx context.Context, what string, f func(wire.ControlClient) error) error {
	if err := c.Do(ctx, what, func(ctx context.Context, cc wire.ControlClient) error {
		_, err := cc.ClusterStatus(ctx, &wire.ClusterStatusRequest{})
		return err
	}); err != nil {
		return err
	}
	if err := f(wire.NewControlClient(c.conns[c.preferred])); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
