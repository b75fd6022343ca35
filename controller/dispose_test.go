package controller

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore/claim"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/wire"
)

// TestSavepointThatAJobStartsFromIsNotDisposedOf: not before that job has a checkpoint of its
// own, however the savepoint was named and whichever kind it is; who needs it is listed.
func TestSavepointThatAJobStartsFromIsNotDisposedOf(t *testing.T) {
	for _, how := range []string{"canonical by number", "canonical by location", "canonical by another spelling", "native by number"} {
		t.Run(how, func(t *testing.T) { disposeOfNeeded(t, how) })
	}
}

func disposeOfNeeded(t *testing.T, how string) {
	bucket := mem.Open("disposed-" + strings.ReplaceAll(how, " ", "-"))
	inBubbleOn(t, bucket, func(t *testing.T, c *cluster) {
		_, l := c.leader()
		if err := claim.Claim(t.Context(), bucket, claim.Fingerprint{Cluster: l.cluster()}, claim.Options{}); err != nil {
			t.Fatal(err)
		}
		agents := c.startAgents(2, 4)
		format, _, _ := strings.Cut(how, " ")
		parent := c.running(func(o *dataflow.Options) { o.CheckpointInterval = time.Hour })
		taken := c.awaitSavepoint(parent, c.savepoint(parent, format, "").Id, ledger.SavepointCompleted)
		for _, a := range agents {
			a.set(func() { a.holdAcks = true }) // the child gets no checkpoint of its own
		}
		origin := &wire.Origin{Job: string(parent), Checkpoint: uint64(taken.ID)}
		switch {
		case strings.HasSuffix(how, "location"):
			origin = &wire.Origin{Path: taken.Location}
		case strings.HasSuffix(how, "spelling"):
			origin = &wire.Origin{Path: strings.TrimSuffix(taken.Location, "/") + "//_metadata?region=elsewhere"}
		}
		child := c.child(origin)
		c.awaitStatus(child, ledger.Running)
		dispose := func() error {
			_, err := c.api().DisposeSavepoint(t.Context(), &wire.DisposeSavepointRequest{Job: string(parent), Savepoint: uint64(taken.ID)})
			return err
		}
		if err := dispose(); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), string(child)) {
			t.Fatalf("disposed of while %s restores from it: %v", child, err)
		}
		if needed := c.neededBy(parent, taken.ID); !slices.Equal(needed, []string{string(child)}) {
			t.Errorf("listed as needed by %v, want %s", needed, child)
		}
		for _, a := range agents {
			a.releaseAcks()
		}
		c.awaitCompleted(child, 1)
		if needed := c.neededBy(parent, taken.ID); len(needed) != 0 {
			t.Errorf("listed as needed by %v after the child's first checkpoint", needed)
		}
		if err := dispose(); err != nil {
			t.Fatal(err)
		}
		c.await("it to go", func() bool { return c.record(parent).Savepoint(taken.ID) == nil })
	})
}

// neededBy are the jobs that the list says need a savepoint.
func (c *cluster) neededBy(job dataflow.JobID, id dataflow.CheckpointID) []string {
	c.t.Helper()
	r, err := c.api().ListSavepoints(c.t.Context(), &wire.ListSavepointsRequest{Job: string(job)})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, s := range r.Savepoints {
		if s.Id == uint64(id) {
			return s.NeededBy
		}
	}
	c.t.Fatalf("savepoint %d of %s is not listed", id, job)
	return nil
}
