package controller

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
)

// TestIsolatedLeaderIsReplacedAndNothingRestarts: two leaders may think that
// they lead for a moment; only one of them is obeyed.
func TestIsolatedLeaderIsReplacedAndNothingRestarts(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.startAgents(2, 1)
		id := c.submit()
		c.awaitCompleted(id, 1)
		mark := c.mark()
		for range 5 {
			old, _ := c.leader()
			c.raft.Isolate(old)
			c.leader(old)
			c.raft.Heal()
			before := c.record(id).Completed
			c.awaitCompleted(id, before+1)
		}
		if n := c.ordered(mark, isDeployOrStop); n != 0 {
			t.Errorf("%d orders to deploy or stop", n)
		}
		if got := c.record(id); got.Execution.Attempt != 1 || got.FailedCount != 0 {
			t.Errorf("attempt %d, %d checkpoints failed", got.Execution.Attempt, got.FailedCount)
		}
	})
}

// TestRandomFaults lets random faults strike, several at once, and then heals
// all: the job runs, its history has lost nothing, and no subtask started
// twice in an attempt.
func TestRandomFaults(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			inBubble(t, func(t *testing.T, c *cluster) { randomFaults(t, c, rand.New(rand.NewPCG(seed, 0))) })
		})
	}
}

func randomFaults(t *testing.T, c *cluster, random *rand.Rand) {
	agents := c.startAgents(3, 1)
	id := c.submit(func(o *dataflow.Options) { o.TolerableFailures = -1 })
	c.awaitStatus(id, ledger.Running)
	down, completed := -1, map[dataflow.CheckpointID]bool{}
	for range 25 {
		i := random.IntN(len(agents))
		a := agents[i]
		switch random.IntN(7) {
		case 0: // kill the leader, and bring back who was down before
			if down >= 0 {
				c.raft.Restart(down)
				c.start(down, c.machines[down], c.watching[down])
			}
			down = c.killLeader()
		case 1:
			a.kill()
			agents[i] = c.startAgent(a.id, 1)
		case 2:
			a.freeze()
		case 3:
			a.thaw()
		case 4:
			if record := c.record(id); record.Execution != nil && a.hosts(id, record.Execution.Attempt) {
				a.fail(id, "chance")
			}
		case 5:
			a.set(func() { a.holdAcks = true })
		case 6:
			a.releaseAcks()
		}
		c.pass(time.Duration(random.IntN(2500)) * time.Millisecond)
		remember(t, c.record(id), completed)
	}
	for _, a := range agents {
		a.thaw()
		a.releaseAcks()
	}
	c.await("the job to run again", func() bool { return c.record(id).Status == ledger.Running })
	before := c.record(id).Completed
	c.awaitCompleted(id, before+3)
	remember(t, c.record(id), completed)
	c.noDoubleStarts()
}

// remember checks that what was ever complete is still in the history, as such.
func remember(t *testing.T, record *ledger.Job, completed map[dataflow.CheckpointID]bool) {
	t.Helper()
	now := map[dataflow.CheckpointID]bool{}
	for _, h := range record.History {
		if now[h.ID] {
			t.Errorf("checkpoint %d is in the history twice", h.ID)
		}
		now[h.ID] = true
		if h.Status == ledger.CheckpointCompleted {
			completed[h.ID] = true
		} else if completed[h.ID] {
			t.Errorf("checkpoint %d was complete and is %s now", h.ID, h.Status)
		}
	}
	for id := range completed {
		if !now[id] {
			t.Errorf("checkpoint %d was complete and is gone from the history", id)
		}
	}
}

// noDoubleStarts checks I3: an agent's process starts at most once in an attempt.
func (c *cluster) noDoubleStarts() {
	c.t.Helper()
	for _, a := range c.agents {
		seen := map[string]bool{}
		for _, start := range a.started {
			if seen[start] {
				c.t.Errorf("%s started %s twice", a.id, start)
			}
			seen[start] = true
		}
	}
}

// TestEndOfDataMeetsAChangeOfLeader: whenever the leader dies around the end of
// the data, the final checkpoint completes once and the job finishes.
func TestEndOfDataMeetsAChangeOfLeader(t *testing.T) {
	for seed := range uint64(20) {
		inBubble(t, func(t *testing.T, c *cluster) {
			random := rand.New(rand.NewPCG(seed, 1))
			agents := c.startAgents(2, 1)
			id := c.submit()
			c.awaitCompleted(id, 1)
			kill := random.IntN(3)
			for i := range 3 {
				c.pass(time.Duration(random.IntN(700)) * time.Millisecond)
				switch {
				case i == kill:
					c.killLeader()
				case agents[0].ended():
					agents[1].endOfData(id)
				default:
					agents[0].endOfData(id)
				}
			}
			record := c.awaitStatus(id, ledger.Finished)
			if record.Execution.Attempt != 1 || record.FailedCount > 0 {
				t.Errorf("seed %d: attempt %d, %d checkpoints failed", seed, record.Execution.Attempt, record.FailedCount)
			}
		})
	}
}
