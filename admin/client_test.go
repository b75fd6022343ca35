package admin

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/wire"
)

func dial(t *testing.T, timeout time.Duration, addresses ...string) *Client {
	t.Helper()
	c, err := Dial(addresses)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	c.Timeout = timeout
	return c
}

// TestTriesAreBounded: an ordinary try ends with the client's patience, a slow
// one has the time it needs.
func TestTriesAreBounded(t *testing.T) {
	c := dial(t, 100*time.Millisecond, "a:1")
	var left time.Duration
	look := func(ctx context.Context, _ wire.ControlClient) error {
		deadline, _ := ctx.Deadline()
		left = time.Until(deadline)
		return nil
	}
	if err := c.Do(t.Context(), "look", look); err != nil || left > 100*time.Millisecond {
		t.Errorf("an ordinary try may last %v (%v)", left, err)
	}
	if err := c.DoSlow(t.Context(), time.Minute, "look", look); err != nil || left < 50*time.Second {
		t.Errorf("a slow try may last %v (%v)", left, err)
	}
	c.Timeout = 0
	if err := c.Do(t.Context(), "look", look); err != nil || left > callTimeout || left < callTimeout/2 {
		t.Errorf("a try of a client without a timeout may last %v (%v)", left, err)
	}
}

// TestNextControllerIsAsked: what says nothing about the request is asked of
// the next controller; the one that answered is asked first the next time.
func TestNextControllerIsAsked(t *testing.T) {
	c := dial(t, time.Minute, "a:1", "b:1", "c:1")
	var asked []string
	answer := func(errs ...error) func(context.Context, wire.ControlClient) error {
		return func(context.Context, wire.ControlClient) error {
			asked = append(asked, c.addresses[c.preferred])
			err := errs[0]
			errs = errs[1:]
			return err
		}
	}
	unavailable, late := status.Error(codes.Unavailable, "no leader yet"), status.Error(codes.DeadlineExceeded, "late")
	if err := c.Do(t.Context(), "ask", answer(unavailable, late, unavailable, late, nil)); err != nil {
		t.Error(err)
	}
	if err := c.Do(t.Context(), "ask", answer(status.Error(codes.NotFound, "no such job"))); status.Code(err) != codes.NotFound || Message(err) != "ask: no such job" {
		t.Error(err)
	}
	if got := strings.Join(asked, " "); got != "a:1 b:1 c:1 a:1 b:1 b:1" {
		t.Errorf("asked %s", got)
	}
}

func TestGivingUpTellsEveryAnswer(t *testing.T) {
	c := dial(t, 30*time.Millisecond, "a:1", "b:1")
	err := c.Do(t.Context(), "ask", func(context.Context, wire.ControlClient) error {
		if c.preferred == 0 {
			return status.Error(codes.Unavailable, `connection error: desc = "transport: Error while dialing: dial tcp: no route"`)
		}
		return status.Error(codes.Unavailable, "no leader yet, retry")
	})
	want := "ask: no answer within 30ms (--timeout); a:1: dial tcp: no route; b:1: no leader yet, retry; is a majority of the controllers up?"
	if Message(err) != want || ExitCode(err) != ExitUnavailable {
		t.Errorf("exit %d: %s", ExitCode(err), Message(err))
	}
}

func TestCancelledCallEnds(t *testing.T) {
	c := dial(t, time.Hour, "a:1")
	ctx, cancel := context.WithCancel(t.Context())
	err := c.Do(ctx, "ask", func(ctx context.Context, _ wire.ControlClient) error {
		cancel()
		<-ctx.Done()
		return status.FromContextError(ctx.Err()).Err()
	})
	if status.Code(err) != codes.Canceled {
		t.Error(err)
	}
}

func TestExitCodes(t *testing.T) {
	for want, err := range map[int]error{
		0: nil, ExitFailed: errors.New("x"), ExitUsage: usagef("x"), ExitNotFound: status.Error(codes.NotFound, "x"),
		ExitUnavailable: status.Error(codes.Unavailable, "x"), ExitInterrupted: ErrInterrupted,
	} {
		if got := ExitCode(err); got != want {
			t.Errorf("exit code of %v is %d, want %d", err, got, want)
		}
	}
}
