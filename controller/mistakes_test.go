package controller

import (
	"errors"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/claim"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/wire"
)

// TestAnEmptyBucketIsNotClaimedByAClusterWithJobs: its checkpoints are in another.
func TestAnEmptyBucketIsNotClaimedByAClusterWithJobs(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.startAgents(2, 1)
		c.awaitCompleted(c.submit(), 1)
		_, l := c.leader()
		w := l.world
		if err := w.claimOnce(t.Context()); err != nil {
			t.Fatalf("its own bucket: %v", err)
		}
		empty := mem.New()
		w.bucket = empty
		if err := w.claimOnce(t.Context()); !errors.Is(err, errNotOurs) || !bucketIsWrong(err) {
			t.Errorf("got %v, want errNotOurs", err)
		}
		if _, err := claim.Read(t.Context(), empty); !errors.Is(err, objectstore.ErrNotFound) {
			t.Errorf("the empty bucket: %v, want no claim", err)
		}
	})
}

// TestCancelWhileRestartingEndsEveryProcess that the failed attempt left.
func TestCancelWhileRestartingEndsEveryProcess(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		agents := c.startAgents(2, 1)
		id := c.submit()
		c.awaitCompleted(id, 1)
		agents[0].fail(id, "a bug")
		c.awaitStatus(id, ledger.Restarting)
		mark := c.mark()
		if _, err := c.api().CancelJob(t.Context(), &wire.CancelJobRequest{Job: string(id), Key: "k"}); err != nil {
			t.Fatal(err)
		}
		c.awaitStatus(id, ledger.Cancelled)
		for _, a := range agents {
			c.await("the end of the process on "+a.id, func() bool {
				return c.ordered(mark, func(o order) bool {
					return o.to == a.id && o.m.GetStop().GetEndProcess()
				}) > 0
			})
		}
	})
}

func TestStatusTextLeavesTheClassOut(t *testing.T) {
	err := statusOf(fmt.Errorf("the program said\nno: %w", errInvalid))
	if s := status.Convert(err); s.Code() != codes.InvalidArgument || s.Message() != "the program said\nno" {
		t.Errorf("got %v", err)
	}
	if got := status.Code(statusOf(fmt.Errorf("x: %w", errForeign))); got != codes.PermissionDenied {
		t.Errorf("a foreign agent gets %v", got)
	}
}
