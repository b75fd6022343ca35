package worker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/wire"
)

const (
	// retryMin and retryMax bound the pause between two tries to find the
	// leader: it doubles from one to the other, with jitter, as long as nobody
	// leads. An election takes about half a second, so that 200 ms adds little
	// and a hundred agents ask a controller 500 times a second at most.
	retryMin = 20 * time.Millisecond
	retryMax = 200 * time.Millisecond
	// refusedMax bounds the pause of an agent whose name another live one has: a
	// person must end one of them, and until then they must not fight.
	refusedMax = 5 * time.Second
	// deadAfter is how long bytes that we sent may stay unacknowledged until
	// the connection counts as dead: for machines that vanish without a word.
	deadAfter = 2 * time.Second
)

// finder knows whom to ask for the leader next: the controller that the last
// one named, and else one after the other.
type finder struct {
	controllers []string
	next        int
	hint        string
	pause       time.Duration
}

// address is whom to ask now.
func (f *finder) address() string {
	if hint := f.hint; hint != "" {
		f.hint = ""
		return hint
	}
	f.next++
	return f.controllers[(f.next-1)%len(f.controllers)]
}

// failed takes note of why the last one was of no use, and returns how long to
// wait: not at all if it named another.
func (f *finder) failed(err error) time.Duration {
	if f.hint = leaderHint(err); f.hint != "" && f.pause == 0 {
		f.pause = retryMin
		return 0
	}
	longest := retryMax
	if status.Code(err) == codes.FailedPrecondition {
		longest = refusedMax
	}
	f.pause = min(longest, max(retryMin, 2*f.pause))
	return f.pause/2 + rand.N(f.pause/2+1)
}

// found takes note of a session: the next search begins without a pause.
func (f *finder) found() { f.pause = 0 }

// leaderHint is the address that a follower's refusal names, or "".
func leaderHint(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if hint, ok := detail.(*wire.LeaderHint); ok {
			return hint.ApiAddress
		}
	}
	return ""
}

// plain is err's text without gRPC's own words.
func plain(err error) string {
	if s, ok := status.FromError(err); ok {
		return s.Message()
	}
	return err.Error()
}

// wasEnded tells whether a leader refused us because Raft has ended our
// incarnation.
func wasEnded(err error) bool {
	return slices.ContainsFunc(status.Convert(err).Details(), func(detail any) bool {
		_, ended := detail.(*wire.IncarnationEnded)
		return ended
	})
}

// dialController prepares a connection. gRPC's keepalive is not used: it can
// not be quicker than ten seconds on this side, and the heartbeats that the
// session sends anyway find a dead connection through the operating system.
func dialController(address string) (*grpc.ClientConn, error) {
	c, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return (&net.Dialer{Timeout: welcomeWait, Control: limitSilence}).DialContext(ctx, "tcp", address)
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageBytesMax), grpc.MaxCallSendMsgSize(messageBytesMax)))
	if err != nil {
		return nil, fmt.Errorf("connect to controller %s: %w", address, err)
	}
	return c, nil
}
