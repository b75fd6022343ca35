package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/cairnstream/cairn/wire"
)

const (
	// forwardedHeader marks a call that was passed on once; it is not passed on again.
	forwardedHeader = "cairn-forwarded-by"
	// readyWait is how long a call waits for a leader that is just taking over.
	readyWait = time.Second
	// leaderPoll is how often a call in flight looks whether its leader still leads.
	leaderPoll = 100 * time.Millisecond
)

// leading is this controller's term of leadership, ready to serve. A leader
// that is just taking over is waited for.
func (c *Controller) leading(ctx context.Context) (*leader, error) {
	l := c.current.Load()
	if l == nil {
		return nil, errNoLeader
	}
	timer := time.NewTimer(readyWait)
	defer timer.Stop()
	select {
	case <-l.ready:
		return l, nil
	case <-l.over:
		return nil, errLeaderGone
	case <-timer.C:
		return nil, fmt.Errorf("controller %s is taking over as leader: %w", c.cfg.ID, errNotReady)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// passToLeader is the interceptor that lets any controller answer for the
// leader: a unary call of Control goes to the leader's address, once.
func (c *Controller) passToLeader(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if !strings.HasPrefix(info.FullMethod, "/"+wire.Control_ServiceDesc.ServiceName+"/") || c.current.Load() != nil {
		return handle(ctx, req)
	}
	leader := c.replica.Leader()
	if leader == c.cfg.ID { // elected, and not at work yet
		return nil, statusOf(fmt.Errorf("controller %s is taking over as leader: %w", c.cfg.ID, errNotReady))
	}
	conn := c.peers[leader]
	if conn == nil {
		return nil, statusOf(errNoLeader)
	}
	if by := metadata.ValueFromIncomingContext(ctx, forwardedHeader); len(by) > 0 {
		return nil, statusOf(fmt.Errorf("%s took %s for the leader, which it is not any more: %w", by[0], c.cfg.ID, errNoLeader))
	}
	return c.pass(ctx, leader, conn, info.FullMethod, req)
}

// pass makes the call at the leader. It is given up when another leads.
func (c *Controller) pass(ctx context.Context, leader string, conn grpc.ClientConnInterface, method string, req any) (any, error) {
	reply, err := emptyReply(method)
	if err != nil {
		return nil, statusOf(err)
	}
	ctx, cancel := context.WithCancelCause(metadata.AppendToOutgoingContext(ctx, forwardedHeader, c.cfg.ID))
	defer cancel(nil)
	done := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		c.watchLeader(leader, done, cancel)
	}()
	err = conn.Invoke(ctx, method, req, reply)
	close(done)
	<-watched
	if err != nil && errors.Is(context.Cause(ctx), errLeaderGone) {
		return nil, statusOf(fmt.Errorf("controller %s led until just now: %w", leader, errNoLeader))
	}
	return reply, err
}

// watchLeader cancels when leader does not lead any more, as far as we know.
func (c *Controller) watchLeader(leader string, done <-chan struct{}, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(leaderPoll)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
			if c.replica.Leader() != leader {
				cancel(errLeaderGone)
				return
			}
		}
	}
}

// emptyReply makes the message that a method answers with.
func emptyReply(method string) (proto.Message, error) {
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return nil, fmt.Errorf("method %s: %w", method, err)
	}
	described, ok := found.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, fmt.Errorf("method %s: no method", method)
	}
	reply, err := protoregistry.GlobalTypes.FindMessageByName(described.Output().FullName())
	if err != nil {
		return nil, fmt.Errorf("reply of %s: %w", method, err)
	}
	return reply.New().Interface(), nil
}
