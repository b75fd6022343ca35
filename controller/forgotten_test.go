package controller

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// What is in the ledger happens, also when nobody is left who would tell the loop.

// TestSubmitWhoseClientLeftRuns: the entry was committed after the client of
// the call, and with it the call, had gone.
func TestSubmitWhoseClientLeftRuns(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.startAgents(2, 1)
		graph, err := json.Marshal(c.graph)
		if err != nil {
			t.Fatal(err)
		}
		_, l := c.leader()
		c.announceAll() // options of state need version 2
		cmd := &ledger.SubmitJob{
			Header: l.header("key"), Job: "count-1", Name: "count", Artifact: c.sha, Graph: graph, Platform: "linux/amd64",
			Options: dataflow.Options{CheckpointInterval: time.Second}.WithDefaults(),
		}
		if _, err := l.commit(t.Context(), cmd); err != nil {
			t.Fatal(err)
		}
		c.awaitCompleted("count-1", 1)
	})
}

func TestCancelWhoseClientLeftStopsTheJob(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		agents := c.startAgents(2, 1)
		id := c.submit()
		c.awaitStatus(id, ledger.Running)
		_, l := c.leader()
		if _, err := l.commit(t.Context(), &ledger.CancelJob{Header: l.header(""), Job: id}); err != nil {
			t.Fatal(err)
		}
		c.await("both processes to end", func() bool { return !agents[0].hosts(id, 1) && !agents[1].hosts(id, 1) })
	})
}

func TestRestartWhoseClientLeftStartsAnAttempt(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.startAgents(2, 1)
		id := c.submit()
		c.awaitCompleted(id, 1)
		_, l := c.leader()
		if _, err := l.commit(t.Context(), &ledger.FailAttempt{Header: l.header(""), Job: id, Attempt: 1, Reason: "restart"}); err != nil {
			t.Fatal(err)
		}
		c.await("attempt 2 to run", func() bool { return c.record(id).Execution.Attempt == 2 && c.record(id).Status == ledger.Running })
	})
}

// TestAttemptWhoseStartWasNotHeardOfIsDeployed: the entry that starts it is in
// Raft, and the loop that proposed it was told otherwise.
func TestAttemptWhoseStartWasNotHeardOfIsDeployed(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.startAgents(2, 1)
		id := c.submit()
		before := c.awaitCompleted(id, 1)
		_, l := c.leader()
		cmd := &ledger.StartAttempt{Header: l.header(""), Job: id, After: 1, Placement: before.Execution.Placement}
		if _, err := l.commit(t.Context(), cmd); err != nil {
			t.Fatal(err)
		}
		c.await("attempt 2 to run", func() bool { return c.record(id).Execution.Attempt == 2 && c.record(id).Status == ledger.Running })
		c.awaitCompleted(id, before.Completed+2)
		if got := c.record(id).Execution.Attempt; got != 2 {
			t.Errorf("attempt %d", got)
		}
	})
}

// TestRestartThatCameLateStopsNothing: the loop has started the next attempt
// before the call tells it to.
func TestRestartThatCameLateStopsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		agents := c.startAgents(2, 1)
		id := c.submit()
		c.awaitCompleted(id, 1)
		agents[0].fail(id, "it broke")
		c.await("attempt 2 to run", func() bool { return c.record(id).Execution.Attempt == 2 && c.record(id).Status == ledger.Running })
		mark := c.mark()
		_, l := c.leader()
		l.post(t.Context(), func() { l.restartNow(id, 1) })
		before := c.record(id).Completed
		c.awaitCompleted(id, before+2)
		if n := c.ordered(mark, isDeployOrStop); n != 0 {
			t.Errorf("%d orders to deploy or stop", n)
		}
	})
}

// TestStopIsOrderedOnce: an agent answers an order to stop what it does not
// have, and that answer is no reason to give the order again.
func TestStopIsOrderedOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		agents := c.startAgents(2, 1)
		id := c.submit()
		c.awaitStatus(id, ledger.Running)
		if _, err := c.api().CancelJob(t.Context(), &wire.CancelJobRequest{Job: string(id)}); err != nil {
			t.Fatal(err)
		}
		c.await("both processes to end", func() bool { return !agents[0].hosts(id, 1) && !agents[1].hosts(id, 1) })
		mark := c.mark()
		c.pass(10 * time.Second)
		if n := c.ordered(mark, isDeployOrStop); n != 0 {
			t.Errorf("%d orders after the end", n)
		}
	})
}

// TestLeaderAndWorkerDieAtOnceAndTheDelayIsNotAdded: who never comes to a new
// leader was lost before it, so the delay before the restart runs beside the grace.
func TestLeaderAndWorkerDieAtOnceAndTheDelayIsNotAdded(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		agents := c.startAgents(3, 1)
		id := c.submit()
		c.awaitCompleted(id, 2)
		for _, a := range agents {
			if a.hosts(id, 1) {
				a.kill()
				break
			}
		}
		began := time.Now()
		c.killLeader()
		c.await("attempt 2 to run", func() bool { return c.record(id).Execution.Attempt == 2 && c.record(id).Status == ledger.Running })
		if took := time.Since(began); took > defaultRegisterGrace+time.Second {
			t.Errorf("recovered after %v, want the election and the grace of %v", took, defaultRegisterGrace)
		}
	})
}

// TestAgentThatPausesRestartsNothing: nearly three seconds are a pause on a
// machine that has too much to do.
func TestAgentThatPausesRestartsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		agents := c.startAgents(2, 1)
		id := c.submit()
		c.awaitCompleted(id, 1)
		agents[0].freeze()
		c.pass(2800 * time.Millisecond)
		agents[0].thaw()
		before := c.record(id).Completed
		c.awaitCompleted(id, before+2)
		if got := c.record(id); got.Execution.Attempt != 1 || got.FailedCount != 0 {
			t.Errorf("attempt %d, %d checkpoints failed", got.Execution.Attempt, got.FailedCount)
		}
	})
}

// TestANewClusterWaitsForItsMembers: a submit right after the first election
// needs what the others have not yet said to apply. That is no reason to tell
// anybody to upgrade; it is one a little later.
func TestANewClusterWaitsForItsMembers(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		_, l := c.leader()
		cmd := &ledger.SubmitJob{Job: "count-1", Options: dataflow.Options{State: dataflow.StateOptions{Backend: dataflow.BackendLSM}}}
		if _, err := l.commit(t.Context(), cmd); !errors.Is(err, errNotReady) {
			t.Errorf("at once: %v, want it to be tried again", err)
		}
		c.pass(announceGrace)
		if _, err := l.commit(t.Context(), cmd); !errors.Is(err, errPrecondition) {
			t.Errorf("later: %v, want it refused", err)
		}
	})
}
