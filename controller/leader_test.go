package controller

import (
	"testing"
	"time"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

func TestJobRunsAndItsCheckpointsComplete(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.startAgents(2, 1)
		id := c.submit()
		c.awaitStatus(id, ledger.Running)
		record := c.awaitCompleted(id, 5)
		if record.FailedCount != 0 || record.Execution.Attempt != 1 || record.Restarts != 0 {
			t.Errorf("failed %d, attempt %d, restarts %d: want none, 1, none", record.FailedCount, record.Execution.Attempt, record.Restarts)
		}
		c.await("the commits to be confirmed", func() bool { return c.record(id).Committed >= 4 })
		if kept := c.record(id).Catalog.Len(); kept > 4 {
			t.Errorf("%d checkpoints kept, want 3 and at most one owed", kept)
		}
	})
}

// TestLeaderDiesBetweenBeginAndComplete is I4: nothing restarts, and the
// checkpoint in flight completes under the new leader.
func TestLeaderDiesBetweenBeginAndComplete(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		agents := c.startAgents(2, 1)
		id := c.submit()
		c.awaitCompleted(id, 1)
		agents[1].set(func() { agents[1].holdAcks = true })
		c.await("a checkpoint in flight", func() bool { return len(c.record(id).Pending) == 1 })
		pending, mark := c.record(id).Pending[0], c.mark()

		c.killLeader()
		agents[1].set(func() { agents[1].holdAcks = false })
		c.leader()
		c.await("the checkpoint to end", func() bool { return len(c.record(id).Pending) == 0 })
		record := c.record(id)
		line := record.History[len(record.History)-1]
		if line.ID != pending.ID || line.Status != ledger.CheckpointCompleted {
			t.Fatalf("checkpoint %d: history ends with %+v", pending.ID, line)
		}
		if line.BegunTerm >= line.EndedTerm {
			t.Errorf("begun in term %d and ended in term %d: want a later one", line.BegunTerm, line.EndedTerm)
		}
		c.awaitCompleted(id, 4)
		if n := c.ordered(mark, isDeployOrStop); n != 0 {
			t.Errorf("%d orders to deploy or stop after the change of leader", n)
		}
		if got := c.record(id); got.Execution.Attempt != 1 || got.FailedCount != 0 {
			t.Errorf("attempt %d, %d checkpoints failed", got.Execution.Attempt, got.FailedCount)
		}
	})
}

func TestLostWorkerMeansNewAttemptFromNewestCheckpoint(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		agents := c.startAgents(3, 1)
		id := c.submit()
		c.awaitCompleted(id, 2)
		var lost *agent
		for _, a := range agents {
			if a.hosts(id, 1) {
				lost = a
			}
		}
		began := time.Now()
		lost.kill()
		c.await("attempt 2", func() bool { return c.record(id).Execution.Attempt == 2 && c.record(id).Status == ledger.Running })
		took := time.Since(began)
		record := c.record(id)
		if record.Execution.Restore < 2 {
			t.Errorf("restored from %d, want the newest complete one, at least 2", record.Execution.Restore)
		}
		if took > 3*time.Second {
			t.Errorf("recovered after %v, want less than 3 s", took)
		}
		for _, p := range record.Execution.Placement {
			if string(p.Worker) == lost.id {
				t.Errorf("task %s is placed on %s, which is lost", p.Task, p.Worker)
			}
		}
		c.awaitCompleted(id, 4)
	})
}

func TestLeaderAndWorkerDieAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		agents := c.startAgents(3, 2)
		id := c.submit()
		c.awaitCompleted(id, 2)
		for _, a := range agents {
			if a.hosts(id, 1) {
				a.kill()
				break
			}
		}
		c.killLeader()
		c.await("attempt 2 to run", func() bool { return c.record(id).Execution.Attempt == 2 && c.record(id).Status == ledger.Running })
		before := c.record(id).Completed
		c.awaitCompleted(id, before+2)
	})
}

// TestStaleAttemptChangesNothing is I3: what an agent that was cut off says of
// its old attempt has no effect, and it is told to stop.
func TestStaleAttemptChangesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		agents := c.startAgents(3, 1)
		id := c.submit()
		c.awaitCompleted(id, 1)
		var zombie *agent
		for _, a := range agents {
			if a.hosts(id, 1) {
				zombie = a
			}
		}
		zombie.set(func() { zombie.holdAcks = true })
		c.await("a checkpoint in flight", func() bool { return len(c.record(id).Pending) == 1 })
		void := c.record(id).Pending[0].ID
		zombie.set(func() { zombie.clings = true })
		zombie.freeze()
		c.await("attempt 2 to run", func() bool { return c.record(id).Execution.Attempt == 2 && c.record(id).Status == ledger.Running })
		if !zombie.hosts(id, 1) {
			t.Fatal("the zombie stopped by itself: nothing is tested")
		}
		mark := c.mark()
		zombie.thaw()
		c.await("the zombie to be stopped", func() bool { return !zombie.hosts(id, 1) })
		stops := c.ordered(mark, func(o order) bool {
			s := o.m.GetStop()
			return s != nil && o.to == zombie.id && s.Attempt == 1 && s.Job == string(id)
		})
		if stops == 0 {
			t.Error("no order to stop attempt 1")
		}
		c.awaitCompleted(id, 3)
		for _, h := range c.record(id).History {
			if h.ID == void && h.Status == ledger.CheckpointCompleted {
				t.Errorf("checkpoint %d of the old attempt completed", void)
			}
		}
		if got := c.record(id).Execution.Attempt; got != 2 {
			t.Errorf("attempt %d: the zombie disturbed attempt 2", got)
		}
	})
}

func TestFailedProcessRestartsAfterTheDelay(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		agents := c.startAgents(2, 1)
		id := c.submit()
		c.awaitCompleted(id, 1)
		failed := time.Now()
		agents[0].fail(id, "operator out: it broke")
		c.await("attempt 2", func() bool { return c.record(id).Execution.Attempt == 2 })
		if waited := time.Since(failed); waited < 900*time.Millisecond || waited > 1200*time.Millisecond {
			t.Errorf("restarted after %v, want about 1 s (with a jitter of a tenth)", waited)
		}
		failures := c.record(id).Failures
		if len(failures) != 1 || failures[0].Stack == "" || failures[0].Reason != "worker w1: operator out: it broke" {
			t.Errorf("failures: %+v", failures)
		}
	})
}

func TestNoRestartsMeansFailedWithReason(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		agents := c.startAgents(2, 1)
		id := c.submit(func(o *dataflow.Options) { o.Restart.Attempts = -1 })
		c.awaitStatus(id, ledger.Running)
		agents[0].fail(id, "it broke")
		record := c.awaitStatus(id, ledger.Failed)
		if record.Reason == "" {
			t.Error("no reason")
		}
		c.await("both processes to end", func() bool { return !agents[0].hosts(id, 1) && !agents[1].hosts(id, 1) })
	})
}

func TestJobWaitsForSlotsVisibly(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.startAgents(1, 1)
		id := c.submit()
		c.await("slots to be missing", func() bool {
			job, err := c.api().GetJob(t.Context(), &wire.GetJobRequest{Job: string(id)})
			return err == nil && job.SlotsMissing == 1
		})
		if got := c.record(id).Status; got != ledger.Created {
			t.Errorf("status %s while waiting", got)
		}
		c.startAgent("w2", 1)
		c.awaitStatus(id, ledger.Running)
	})
}

func TestCancelDuringRestart(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		agents := c.startAgents(2, 1)
		id := c.submit()
		c.awaitStatus(id, ledger.Running)
		agents[0].fail(id, "it broke")
		c.awaitStatus(id, ledger.Restarting)
		mark := c.mark()
		if _, err := c.api().CancelJob(t.Context(), &wire.CancelJobRequest{Job: string(id)}); err != nil {
			t.Fatal(err)
		}
		c.awaitStatus(id, ledger.Cancelled)
		c.pass(10 * time.Second)
		if n := c.ordered(mark, func(o order) bool { return o.m.GetDeploy() != nil }); n != 0 {
			t.Errorf("%d deployments of a cancelled job", n)
		}
		if agents[1].hosts(id, 1) {
			t.Error("the survivor's process was not ended")
		}
	})
}

// TestOwedCommitsOfACancelledJobAreFinished is I5: the terminal entry waits for
// the commits, which any worker finishes; also when the first try fails.
func TestOwedCommitsOfACancelledJobAreFinished(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		agents := c.startAgents(2, 1)
		for _, a := range agents {
			a.set(func() { a.holdCommits, a.failFinish = true, 1 })
		}
		id := c.submit()
		c.awaitCompleted(id, 2)
		if _, err := c.api().CancelJob(t.Context(), &wire.CancelJobRequest{Job: string(id)}); err != nil {
			t.Fatal(err)
		}
		if got := c.record(id).Status; got != ledger.Cancelling {
			t.Fatalf("status %s with commits owed", got)
		}
		record := c.awaitStatus(id, ledger.Cancelled)
		if record.Catalog.Owed() != nil {
			t.Error("cancelled with commits owed")
		}
		finishes := c.ordered(0, func(o order) bool { return o.m.GetFinishCommits() != nil })
		if finishes < 2 {
			t.Errorf("%d orders to finish commits, want a failed one and another", finishes)
		}
	})
}

func TestBoundedJobFinishes(t *testing.T) {
	for _, killLeader := range []bool{false, true} {
		inBubble(t, func(t *testing.T, c *cluster) {
			agents := c.startAgents(2, 1)
			id := c.submit()
			c.awaitCompleted(id, 1)
			for _, a := range agents {
				a.set(func() { a.holdCommits = killLeader })
				a.endOfData(id)
			}
			if killLeader {
				c.awaitStatus(id, ledger.Finishing)
				c.killLeader()
				for _, a := range agents {
					a.set(func() { a.holdCommits = false })
				}
			}
			record := c.awaitStatus(id, ledger.Finished)
			last := record.History[len(record.History)-1]
			if last.Trigger != ledger.TriggerFinal || last.Status != ledger.CheckpointCompleted {
				t.Errorf("the last checkpoint is %+v", last)
			}
			c.await("the processes to end", func() bool { return !agents[0].hosts(id, 1) && !agents[1].hosts(id, 1) })
		})
	}
}

func TestFinishingJobThatLosesAWorkerStillFinishes(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		agents := c.startAgents(2, 1)
		id := c.submit()
		c.awaitCompleted(id, 1)
		for _, a := range agents {
			a.set(func() { a.holdCommits = true })
			a.endOfData(id)
		}
		c.awaitStatus(id, ledger.Finishing)
		agents[0].kill()
		c.awaitStatus(id, ledger.Finished)
	})
}

func TestAllControllersDieTheJobGoesOn(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.startAgents(2, 1)
		id := c.submit()
		before := c.awaitCompleted(id, 2)
		mark := c.mark()
		c.restartAll()
		c.await("more checkpoints", func() bool { return c.record(id).Completed >= before.Completed+2 })
		if n := c.ordered(mark, isDeployOrStop); n != 0 {
			t.Errorf("%d orders to deploy or stop", n)
		}
		if got := c.record(id); got.Execution.Attempt != 1 || len(got.History) < len(before.History) {
			t.Errorf("attempt %d, %d lines of history", got.Execution.Attempt, len(got.History))
		}
	})
}

func TestCheckpointOnDemand(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.startAgents(2, 1)
		id := c.submit(func(o *dataflow.Options) { o.CheckpointInterval = -1 })
		c.awaitStatus(id, ledger.Running)
		r, err := c.api().TriggerCheckpoint(t.Context(), &wire.TriggerCheckpointRequest{Job: string(id)})
		if err != nil {
			t.Fatal(err)
		}
		c.awaitCompleted(id, 1)
		got, err := c.api().GetCheckpoint(t.Context(), &wire.GetCheckpointRequest{Job: string(id), Checkpoint: r.Checkpoint})
		if err != nil {
			t.Fatal(err)
		}
		if got.Checkpoint.Status != "completed" || len(got.Metadata) == 0 || got.Checkpoint.Trigger != "manual" {
			t.Errorf("checkpoint %+v with %d bytes of metadata", got.Checkpoint, len(got.Metadata))
		}
	})
}

func TestRestartByHand(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.startAgents(2, 1)
		id := c.submit()
		c.awaitCompleted(id, 1)
		r, err := c.api().RestartJob(t.Context(), &wire.RestartJobRequest{Job: string(id)})
		if err != nil || r.Attempt != 2 {
			t.Fatalf("attempt %d, %v", r.GetAttempt(), err)
		}
		c.await("attempt 2 to run", func() bool { return c.record(id).Execution.Attempt == 2 && c.record(id).Status == ledger.Running })
	})
}
