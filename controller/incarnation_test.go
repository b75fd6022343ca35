package controller

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// TestEndedWorkerComesBackAndIsUsed: a worker that was cut off for longer than
// the grace comes back as another incarnation, and takes part in the next
// attempt.
func TestEndedWorkerComesBackAndIsUsed(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		agents := c.startAgents(3, 1)
		id := c.submit()
		c.awaitCompleted(id, 1)
		zombie := hosting(agents, id, 1)
		first := zombie.incarnation
		zombie.freeze()
		c.await("attempt 2 to run", func() bool { return c.record(id).Execution.Attempt == 2 && c.record(id).Status == ledger.Running })
		zombie.thaw()
		c.await("another incarnation", func() bool { return c.attached(zombie.id) != "" && c.attached(zombie.id) != first })
		if zombie.hosts(id, 1) {
			t.Error("attempt 1 runs on in the next incarnation")
		}
		hosting(agents, id, 2).kill()
		c.await("attempt 3 to run", func() bool { return c.record(id).Execution.Attempt == 3 && c.record(id).Status == ledger.Running })
		if !placedOn(c.record(id), zombie.id, c.attached(zombie.id)) {
			t.Errorf("attempt 3 is placed on %+v, not on %s", c.record(id).Execution.Placement, zombie.id)
		}
		before := c.record(id).Completed
		c.awaitCompleted(id, before+2)
		c.noDoubleStarts()
	})
}

// hosting is an agent that hosts a share of the attempt.
func hosting(agents []*agent, id dataflow.JobID, attempt dataflow.Attempt) *agent {
	for _, a := range agents {
		if a.hosts(id, attempt) {
			return a
		}
	}
	return nil
}

// attached is the incarnation in which the worker is attached to the leader, or "".
func (c *cluster) attached(id string) string {
	c.t.Helper()
	_, l := c.leader()
	incarnation, err := inLoop(c.t.Context(), l, func() (dataflow.Incarnation, error) {
		if w := l.workers[dataflow.WorkerID(id)]; w != nil && w.attached() {
			return w.incarnation, nil
		}
		return "", nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return string(incarnation)
}

func placedOn(record *ledger.Job, worker, incarnation string) bool {
	for _, p := range record.Execution.Placement {
		if string(p.Worker) == worker && string(p.Incarnation) == incarnation {
			return true
		}
	}
	return false
}

// TestTwoAgentsOfOneNameDoNotEndEachOther: the one that came last has the name.
// If the first came back as another incarnation it would end the second, and
// so on for ever.
func TestTwoAgentsOfOneNameDoNotEndEachOther(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		first := c.startAgents(1, 1)[0]
		incarnation := first.incarnation
		second := c.startAgent(first.id, 1)
		c.await("the second to have the name", func() bool { return c.attached(first.id) == second.incarnation })
		c.pass(20 * time.Second)
		if got := c.attached(first.id); got != second.incarnation || first.incarnation != incarnation {
			t.Errorf("%s has the name; the first is %s, the second %s", got, first.incarnation, second.incarnation)
		}
		second.kill()
		c.await("the first to get the name back", func() bool { got := c.attached(first.id); return got != "" && got != second.incarnation })
	})
}

func TestOnlyADismissalTellsAnAgentToComeBackAsAnother(t *testing.T) {
	ended := fmt.Errorf("worker w1: %w", ledger.ErrEndedIncarnation)
	for err, want := range map[error]bool{ended: false, errors.Join(ended, errDismissed): true} {
		s := status.Convert(endOfSession(err))
		told := false
		for _, detail := range s.Details() {
			_, told = detail.(*wire.IncarnationEnded)
		}
		if told != want || s.Code() != codes.FailedPrecondition {
			t.Errorf("%v: %v with details %v", err, s, s.Details())
		}
	}
}
