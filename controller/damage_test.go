package controller

import (
	"context"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// announceAll has Raft hold that every controller applies this build's commands.
func (c *cluster) announceAll() {
	c.t.Helper()
	_, l := c.leader()
	for _, p := range l.cfg.Peers {
		if err := l.announce(c.t.Context(), ledger.AnnounceController{Controller: p.ID, MaxVersion: ledger.Version}); err != nil {
			c.t.Fatal(err)
		}
	}
}

// anyLeader is the leader, for agents, which may not fail a test.
func (c *cluster) anyLeader() (int, *leader) {
	for i, ctl := range c.snapshot() {
		if l := ctl.current.Load(); l != nil && !isClosed(l.over) {
			return i, l
		}
	}
	return 0, c.controllers[0].current.Load()
}

// damage makes the object that only the job's newest checkpoint names unreadable,
// and returns its key and the newest checkpoint.
func (c *cluster) damage(id dataflow.JobID, agents []*agent) (string, dataflow.CheckpointID) {
	c.t.Helper()
	for _, a := range agents {
		a.set(func() { a.holdAcks = true }) // no other completes meanwhile
	}
	newest := c.record(id).Catalog.Newest()
	key := checkpointstore.ObjectKey(newest.Objects[0], newest.Objects[0].Hi)
	for _, a := range agents {
		a.set(func() { a.damaged, a.holdAcks = key, false })
	}
	return key, newest.ID
}

func TestADamagedRestorePointSuspendsTheJob(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.announceAll()
		agents := c.startAgents(2, 1)
		id := c.submit(func(o *dataflow.Options) { o.Retained = 5 })
		c.awaitCompleted(id, 3)
		key, newest := c.damage(id, agents)
		agents[0].fail(id, "out of memory")
		record := c.awaitStatus(id, ledger.Suspended)
		attempt := record.Execution.Attempt
		c.killLeader()
		c.pass(5e9) // no leader starts it again
		if record = c.record(id); record.Status != ledger.Suspended || record.Execution.Attempt != attempt {
			t.Fatalf("left alone it is %s at attempt %d", record.Status, record.Execution.Attempt)
		}

		view, err := c.api().GetJob(t.Context(), &wire.GetJobRequest{Job: string(id)})
		if err != nil {
			t.Fatal(err)
		}
		d := view.Damage
		if d == nil || len(d.Objects) != 1 || d.Objects[0].Key != key || !slices.Equal(d.Objects[0].Checkpoints, []uint64{uint64(newest)}) {
			t.Fatalf("damage: %v", d)
		}
		if d.NewestWhole != uint64(newest)-1 || len(d.Published) != 1 || d.Published[0].Uid != "out" || d.Published[0].UpTo != uint64(newest) {
			t.Fatalf("a way out: %v", d)
		}
		if !strings.Contains(view.Summary.Reason, key) {
			t.Errorf("reason %q does not name %s", view.Summary.Reason, key)
		}

		_, err = c.restartFrom(id, uint64(newest))
		if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "cairn job show") {
			t.Errorf("going on from what is damaged: %v", err)
		}
		request := &wire.RestartJobRequest{Job: string(id), Key: freshKey(), FromCheckpoint: d.NewestWhole}
		r, err := c.api().RestartJob(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := c.api().RestartJob(t.Context(), request); err != nil || again.Checkpoint != r.Checkpoint {
			t.Errorf("the same request again: %v, %v", again, err)
		}
		if r.Checkpoint != d.NewestWhole || !slices.Equal(r.Dropped, []uint64{uint64(newest)}) || len(r.Again) != 1 {
			t.Errorf("restart: %v", r)
		}
		record = c.awaitStatus(id, ledger.Running)
		if uint64(record.Execution.Restore) != d.NewestWhole {
			t.Errorf("restored from %d, want %d", record.Execution.Restore, d.NewestWhole)
		}
		c.awaitCompleted(id, record.Completed+2)
	})
}

func (c *cluster) restartFrom(id dataflow.JobID, checkpoint uint64) (*wire.RestartJobResponse, error) {
	return c.api().RestartJob(context.Background(), &wire.RestartJobRequest{Job: string(id), Key: freshKey(), FromCheckpoint: checkpoint})
}

// TestASuspendedJobIsTriedAgain from its newest checkpoint: the object came back.
func TestASuspendedJobIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.announceAll()
		agents := c.startAgents(2, 1)
		id := c.submit()
		c.awaitCompleted(id, 3)
		_, newest := c.damage(id, agents)
		agents[0].fail(id, "out of memory")
		c.awaitStatus(id, ledger.Suspended)
		for _, a := range agents {
			a.set(func() { a.damaged = "" })
		}
		if _, err := c.restartFrom(id, 0); err != nil {
			t.Fatal(err)
		}
		if record := c.awaitStatus(id, ledger.Running); record.Execution.Restore != newest {
			t.Errorf("restored from %d, want %d", record.Execution.Restore, newest)
		}
	})
}

// TestAnOlderCheckpointIsRefusedWhileTheNewestWillDo: it would repeat output.
func TestAnOlderCheckpointIsRefusedWhileTheNewestWillDo(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.announceAll()
		c.startAgents(2, 1)
		id := c.submit()
		c.awaitCompleted(id, 2)
		_, err := c.restartFrom(id, 1)
		if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "suspended") {
			t.Errorf("got %v", err)
		}
	})
}

// TestAProgramThatDoesNotFitIsNotStartedAgain.
func TestAProgramThatDoesNotFitIsNotStartedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		agents := c.startAgents(2, 1)
		id := c.submit()
		c.awaitStatus(id, ledger.Running)
		agents[0].failAs(id, wire.FailureClass_FAILURE_CLASS_PROGRAM, "operator sum: field Price: int64 can't become string")
		if record := c.awaitStatus(id, ledger.Failed); !strings.Contains(record.Reason, "field Price") || record.Restarts != 0 {
			t.Errorf("failed: %+v", record)
		}
	})
}

// TestTheStoreIsAway: whatever is tolerable, checkpoints that the store fails
// restart nothing, say why, and come back with it.
func TestTheStoreIsAway(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		agents := c.startAgents(2, 1)
		id := c.submit(func(o *dataflow.Options) { o.TolerableFailures = 0 })
		before := c.awaitCompleted(id, 2)
		mark := c.mark()
		agents[0].set(func() { agents[0].store = true })
		c.await("some failed checkpoints", func() bool { return c.record(id).FailedCount >= before.FailedCount+20 })
		record := c.record(id)
		if record.Status != ledger.Running || record.CheckpointFails != 0 {
			t.Errorf("%s after %d failures that count", record.Status, record.CheckpointFails)
		}
		if last := record.History[len(record.History)-1]; !strings.Contains(last.Reason, "object store") || !strings.Contains(last.Reason, "put 7: timeout") {
			t.Errorf("reason %q", last.Reason)
		}
		agents[0].set(func() { agents[0].store = false })
		c.awaitCompleted(id, record.Completed+2)
		if n := c.ordered(mark, isDeployOrStop); n != 0 || c.record(id).Execution.Attempt != before.Execution.Attempt {
			t.Errorf("%d orders to deploy or stop", n)
		}
	})
}

// failAs is a process whose attempt failed for a reason of a class.
func (a *agent) failAs(job dataflow.JobID, class wire.FailureClass, reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.processes[string(job)]
	delete(a.processes, string(job))
	a.tell(&wire.ProcessStatus{
		Job: string(job), Attempt: p.status.Attempt, Process: p.status.Process, Subtasks: p.status.Subtasks,
		State: wire.ProcessState_PROCESS_STATE_FAILED, Reason: reason, Class: class,
	})
}
