package controller

import (
	"testing"
	"time"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// tellSources has an agent say how far its process's aligned sources have come.
func (a *agent) tellSources(id dataflow.JobID, attempt uint64, lowest int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.send(&wire.AgentMessage{Body: &wire.AgentMessage_SourceTimes{SourceTimes: &wire.SourceTimes{
		Job: string(id), Attempt: attempt,
		Times: []*wire.SourceTime{{Group: "shop", LowestMs: lowest, Subtasks: 1, Of: 3}},
	}}})
}

// heardSources is what an agent has heard of the others since mark: the newest, and how often.
func (c *cluster) heardSources(mark int, to string) (lowest int64, n int) {
	c.ordered(mark, func(o order) bool {
		if m := o.m.GetSourceTimes(); m != nil && o.to == to {
			lowest, n = m.Times[0].LowestMs, n+1
		}
		return false
	})
	return lowest, n
}

// TestSourceTimesGoAround: each process hears the lowest of all others, once all have spoken
// to this leader, and not when one has been silent for long.
func TestSourceTimesGoAround(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.graph = twoStep(3)
		agents := c.startAgents(3, 1)
		id := c.submit()
		c.awaitStatus(id, ledger.Running)
		mark := c.mark()
		answered := func(i int, want int64) {
			t.Helper()
			c.await("an answer", func() bool { _, n := c.heardSources(mark, agents[i].id); return n > 0 })
			if got, _ := c.heardSources(mark, agents[i].id); got != want {
				t.Errorf("agent %d hears %d, want %d", i, got, want)
			}
			mark = c.mark()
		}
		silence := func(why string) {
			t.Helper()
			c.pass(time.Second)
			for i, a := range agents {
				if lowest, n := c.heardSources(mark, a.id); n > 0 {
					t.Errorf("%s: agent %d hears %d", why, i, lowest)
				}
			}
		}
		agents[0].tellSources(id, 1, 100)
		agents[1].tellSources(id, 1, 200)
		silence("agent 2 has said nothing")
		agents[2].tellSources(id, 1, 300)
		answered(2, 100)
		agents[0].tellSources(id, 1, 250)
		answered(0, 200)
		agents[0].tellSources(id, 7, 999)
		silence("it speaks of another attempt")
		c.killLeader()
		c.leader()
		c.awaitCompleted(id, c.record(id).Completed+2) // then all agents have found it
		agents[1].tellSources(id, 1, 260)
		silence("the new leader has not heard of the others")
		agents[0].tellSources(id, 1, 280)
		silence("agent 2 has not spoken yet")
		agents[2].tellSources(id, 1, 290)
		answered(2, 260)
		c.pass(sourceNewsMax)
		agents[2].tellSources(id, 1, 310)
		silence("the others' word is old")
	})
}
