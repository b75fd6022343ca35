package demo

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/cairnstream/cairn/wire"
)

// rewatch is the pause before a Watch stream that broke is opened again: a
// controller that was killed needs longer than that to come back.
const rewatch = 25 * time.Millisecond

// watch feeds the timeline from one controller until ctx ends, through its deaths.
func watch(ctx context.Context, name, address string, t *timeline) {
	for ctx.Err() == nil {
		watchOnce(ctx, name, address, t)
		t.update(func(t *timeline) { t.connected[name] = false })
		select {
		case <-ctx.Done():
		case <-time.After(rewatch):
		}
	}
}

func watchOnce(ctx context.Context, name, address string, t *timeline) {
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 2 * time.Second}))
	if err != nil {
		return
	}
	defer conn.Close()
	stream, err := wire.NewControlClient(conn).Watch(ctx, &wire.WatchRequest{})
	if err != nil {
		return
	}
	if _, err := stream.Header(); err != nil { // the server sends it when it watches
		return
	}
	t.update(func(t *timeline) { t.connected[name] = true })
	for {
		e, err := stream.Recv()
		if err != nil {
			return
		}
		t.add(sighting{Event: e, from: name, at: time.Now()})
	}
}
