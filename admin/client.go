package admin

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/wire"
)

// Client is a connection to a cluster: to whichever controller answers. It is
// for one goroutine.
//
// Invariant: a call that got no answer is repeated as the same request. It may
// have been carried out, and the idempotency key in it makes that harmless.
type Client struct {
	// Timeout bounds how long a call is tried in vain, elections included.
	// Zero: only the call's context does.
	Timeout time.Duration

	addresses []string
	conns     []*grpc.ClientConn
	preferred int // the controller that answered last
}

const (
	// connectTimeout is for a controller's host that swallows packets: the
	// others answer in milliseconds.
	connectTimeout = 2 * time.Second
	// callTimeout bounds one try of a call that a leader answers from memory or
	// with one Raft entry, so that a controller that hangs does not use up the
	// time for the others.
	callTimeout = 5 * time.Second
	// pauseMax bounds the pause before all controllers are asked again, and
	// before a connection is tried again: about one election.
	pauseMax = 500 * time.Millisecond
	// answerBytesMax is above any answer: a checkpoint's metadata object is the largest.
	answerBytesMax = 64 << 20
)

// Dial prepares connections to all controllers; it does not wait for any.
func Dial(addresses []string) (*Client, error) {
	c := &Client{addresses: addresses}
	for _, a := range addresses {
		conn, err := grpc.NewClient("passthrough:///"+a,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 2, Jitter: 0.2, MaxDelay: pauseMax},
				MinConnectTimeout: connectTimeout,
			}),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 2 * time.Second}),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(answerBytesMax)))
		if err != nil {
			c.Close()
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

// Do calls f with a controller, and again with the next one while none can
// answer, until the client's Timeout or ctx ends. The error's path begins with
// what; its gRPC code is UNAVAILABLE if no controller answered.
func (c *Client) Do(ctx context.Context, what string, f func(context.Context, wire.ControlClient) error) error {
	return c.do(ctx, callTimeout, what, f)
}

// DoSlow is Do for a call whose answer itself may take up to limit. The
// client's Timeout does not cut a try: it bounds only how long tries fail.
func (c *Client) DoSlow(ctx context.Context, limit time.Duration, what string, f func(context.Context, wire.ControlClient) error) error {
	return c.do(ctx, max(limit, callTimeout), what, f)
}

func (c *Client) do(ctx context.Context, limit time.Duration, what string, f func(context.Context, wire.ControlClient) error) error {
	patience, cancel := c.patience(ctx)
	defer cancel()
	trying := patience
	if limit > callTimeout {
		trying = ctx
	}
	answers := make([]error, len(c.conns)) // the last one of each controller
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, pauseMax) {
		for range c.conns {
			err := c.try(trying, limit, f)
			if err == nil {
				return nil
			}
			if !again(err) {
				return fmt.Errorf("%s: %w", what, err)
			}
			if answers[c.preferred] == nil || patience.Err() == nil { // what ended for lack of time tells less
				answers[c.preferred] = err
			}
			c.preferred = (c.preferred + 1) % len(c.conns)
			if patience.Err() != nil {
				break
			}
		}
		select {
		case <-patience.Done():
			return c.unavailable(what, context.Cause(patience), answers)
		case <-time.After(pause):
		}
	}
}

// patience is ctx, cut where tries in vain end.
func (c *Client) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.Timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("no answer within %v (--timeout)", c.Timeout))
}

func (c *Client) try(ctx context.Context, limit time.Duration, f func(context.Context, wire.ControlClient) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return f(ctx, wire.NewControlClient(c.conns[c.preferred]))
}

// again tells whether an error says nothing about the request, but only that
// this controller could not answer it.
func again(err error) bool {
	code := status.Code(err)
	return code == codes.Unavailable || code == codes.DeadlineExceeded
}

// unavailable says what each controller answered, and what to do.
func (c *Client) unavailable(what string, cause error, answers []error) error {
	hint := "are the controllers up, and are these the right --controllers?"
	var told []string
	for i, err := range answers {
		if err == nil {
			continue
		}
		text := Message(err)
		if status.Code(err) == codes.Unavailable && !strings.Contains(err.Error(), "connection error") {
			hint = "is a majority of the controllers up?"
		}
		told = append(told, c.addresses[i]+": "+text)
	}
	return status.Errorf(codes.Unavailable, "%s: %v; %s; %s", what, cause, strings.Join(told, "; "), hint)
}

// call makes a call that is answered at once: see Client.Do.
func call[Req, Res any](ctx context.Context, c *Client, what string, rpc func(wire.ControlClient, context.Context, *Req, ...grpc.CallOption) (*Res, error), req *Req) (*Res, error) {
	return slowCall(ctx, c, callTimeout, what, rpc, req)
}

// slowCall makes a call whose answer may take up to limit: see Client.DoSlow.
func slowCall[Req, Res any](ctx context.Context, c *Client, limit time.Duration, what string, rpc func(wire.ControlClient, context.Context, *Req, ...grpc.CallOption) (*Res, error), req *Req) (*Res, error) {
	var res *Res
	err := c.DoSlow(ctx, limit, what, func(ctx context.Context, cc wire.ControlClient) (err error) {
		res, err = rpc(cc, ctx, req)
		return err
	})
	return res, err
}
