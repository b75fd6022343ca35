package controller

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/wire"
)

// TestLeaderDiesAtEachStepOfADeletion: of a running job's checkpoint, and of one that has
// ended: its record and all of its objects go, and nothing else.
func TestLeaderDiesAtEachStepOfADeletion(t *testing.T) {
	for _, step := range stepsOf(t) {
		if step == StepDeleteGarbage {
			t.Run(step, dieInCollection)
			continue
		}
		for _, how := range []string{"running", "cancelled"} {
			t.Run(step+", "+how, func(t *testing.T) { dieInDeletion(t, step, how == "cancelled") })
		}
		if step != StepDeleteDropped {
			t.Run(step+", on cancel", func(t *testing.T) { dieInDeletionOnCancel(t, step) })
		}
	}
}

// dieInDeletionOnCancel: the cancellation's entry drops all checkpoints.
func dieInDeletionOnCancel(t *testing.T, step string) {
	striking(t, step, func(t *testing.T, c *cluster, s *strike) {
		c.storing(c.startAgents(2, 1))
		id := c.running(func(o *dataflow.Options) { o.Checkpoint.Retention = dataflow.DeleteOnCancel })
		c.awaitCompleted(id, 4)
		c.quiet(id)
		all := c.record(id).Catalog.Records()
		s.arm(c)
		c.await("the job to be cancelled", func() bool {
			_, err := c.api().CancelJob(t.Context(), &wire.CancelJobRequest{Job: string(id)})
			return err == nil || c.record(id).Status.Terminal()
		})
		s.await(c)
		c.awaitStatus(id, ledger.Cancelled)
		for _, r := range all {
			for _, key := range keysOf(r) {
				c.await(key+" to go", func() bool { return !c.exists(key) })
			}
		}
		if n := c.record(id).Catalog.Len(); n != 0 {
			t.Errorf("%d checkpoints are left", n)
		}
	})
}

// dieInCollection: a person has garbage collected, does not hear what became of it, and asks again.
func dieInCollection(t *testing.T) {
	striking(t, StepDeleteGarbage, func(t *testing.T, c *cluster, s *strike) {
		agents := c.startAgents(2, 1)
		c.storing(agents)
		id := c.submit()
		c.awaitCompleted(id, 2)
		agents[0].fail(id, "killed")
		c.await("the second attempt", func() bool { return c.record(id).EndedAttempts() >= 1 && c.record(id).Status == ledger.Running })
		c.awaitCompleted(id, c.record(id).Completed+4)
		left := c.leftovers(id)
		s.arm(c)
		c.await("the garbage to be collected", func() bool {
			_, err := c.api().CollectGarbage(t.Context(), &wire.CollectGarbageRequest{})
			return err == nil
		})
		s.await(c)
		for key, garbage := range left {
			if c.exists(key) == garbage {
				t.Errorf("%s: there %v, garbage %v", key, c.exists(key), garbage)
			}
		}
		completed := c.record(id).Completed
		c.awaitCompleted(id, completed+2)
	})
}

func dieInDeletion(t *testing.T, step string, cancelled bool) {
	striking(t, step, func(t *testing.T, c *cluster, s *strike) {
		c.storing(c.startAgents(2, 1))
		id := c.running(func(o *dataflow.Options) { o.Retained = 4 })
		c.awaitCompleted(id, 4)
		if cancelled {
			c.cancelled(id)
		}
		c.quiet(id)
		all := c.record(id).Catalog.Records()
		victim := all[len(all)-2]
		s.arm(c)
		c.await("the checkpoint to be deleted", func() bool {
			_, err := c.api().DeleteCheckpoint(t.Context(), &wire.DeleteCheckpointRequest{Job: string(id), Checkpoint: uint64(victim.ID)})
			return err == nil || status.Code(err) == codes.NotFound // the answer to the first was lost
		})
		s.await(c)
		for _, key := range keysOf(victim) {
			c.await(key+" to go", func() bool { return !c.exists(key) })
		}
		record := c.record(id)
		if record.Catalog.Record(victim.ID) != nil {
			t.Error("its record is still there")
		}
		if cancelled && record.Catalog.Len() != len(all)-1 {
			t.Errorf("%d checkpoints are left, want %d", record.Catalog.Len(), len(all)-1)
		}
		if !cancelled {
			c.goesOn(id)
		}
	})
}

// quiet waits until the collector has nothing of the job to delete.
func (c *cluster) quiet(id dataflow.JobID) {
	c.t.Helper()
	c.await("the collector to be done", func() bool { return c.record(id).Catalog.Garbage().Empty() })
}

// goesOn checks that a job runs as if nothing had happened.
func (c *cluster) goesOn(id dataflow.JobID) {
	c.t.Helper()
	record := c.record(id)
	if record.Status != ledger.Running || record.Restarts != 0 || len(record.Failures) != 0 {
		c.t.Errorf("job %s is %s after %d restarts: %v", id, record.Status, record.Restarts, record.Failures)
	}
	c.awaitCompleted(id, record.Completed+2)
}

// TestLeaderDiesAtEachStepOfAPin: a pin holds and an unpin lets go, whoever leads then.
func TestLeaderDiesAtEachStepOfAPin(t *testing.T) {
	for _, step := range stepsOf(t) {
		t.Run("pin, "+step, func(t *testing.T) { dieInPin(t, step, true) })
		t.Run("unpin, "+step, func(t *testing.T) { dieInPin(t, step, false) })
	}
}

func dieInPin(t *testing.T, step string, pinning bool) {
	striking(t, step, func(t *testing.T, c *cluster, s *strike) {
		c.storing(c.startAgents(2, 1))
		id := c.running()
		c.awaitCompleted(id, 2)
		kept := c.record(id).Catalog.Newest()
		pin := func(unpin bool) {
			c.await("the pin to be changed", func() bool {
				_, err := c.api().PinCheckpoint(t.Context(), &wire.PinCheckpointRequest{Job: string(id), Checkpoint: uint64(kept.ID), Unpin: unpin})
				return err == nil || unpin && status.Code(err) == codes.NotFound // it went with the first
			})
		}
		if pinning {
			s.arm(c)
		}
		pin(false)
		c.awaitCompleted(id, c.record(id).Completed+4)
		if r := c.record(id).Catalog.Record(kept.ID); r == nil || !r.Holds[catalog.PinHold] {
			t.Fatalf("it is not kept: %+v", r)
		}
		c.checkCatalogs()
		if !pinning {
			s.arm(c)
		}
		pin(true)
		s.await(c)
		c.await("it to go", func() bool { return c.record(id).Catalog.Record(kept.ID) == nil })
		c.goesOn(id)
	})
}

// TestLeaderDiesAtEachStepOfAFork: the child restores the parent's checkpoint by reference,
// names its objects for a while, and lets go; the parent does not notice.
func TestLeaderDiesAtEachStepOfAFork(t *testing.T) {
	for _, step := range stepsOf(t) {
		t.Run(step, func(t *testing.T) { dieInFork(t, step) })
	}
}

func dieInFork(t *testing.T, step string) {
	striking(t, step, func(t *testing.T, c *cluster, s *strike) {
		agents := c.startAgents(2, 4)
		c.storing(agents)
		parent := c.running(func(o *dataflow.Options) { o.Retained = 1 })
		c.awaitCompleted(parent, 3)
		from := c.record(parent).Catalog.Newest()
		for _, a := range agents {
			a.set(func() {
				a.writer = func(p *fakeProcess, t *wire.Trigger) snapshot.Process {
					part := a.storedPart(p, t)
					if t.Job != string(parent) && t.Checkpoint <= 3 {
						part.Objects = append(part.Objects, from.Objects...)
					}
					return part
				}
			})
		}
		s.arm(c)
		request := &wire.ForkJobRequest{Job: string(parent), Checkpoint: uint64(from.ID), Name: "copy", Key: "k"}
		var child dataflow.JobID
		c.await("the fork to be taken", func() bool {
			r, err := c.api().ForkJob(t.Context(), request)
			child = dataflow.JobID(r.GetJob())
			return err == nil
		})
		c.awaitCompleted(child, 1)
		s.await(c)
		if point, _ := c.deployedFrom(child); point.GetKey() != from.Metadata.Key || point.GetCopy() {
			t.Errorf("deployed from %v", point)
		}
		if n := len(c.jobs()); n != 2 {
			t.Errorf("%d jobs, want the two", n)
		}
		c.await("the child to let go", func() bool { return c.record(child).Origin.Released })
		if c.record(parent).Catalog.Record(from.ID) != nil {
			t.Error("the parent keeps it for nobody")
		}
		c.goesOn(parent)
		c.goesOn(child)
	})
}

// TestLeaderDiesAtEachStepOfAClaimHere: what a child claims of a job of this cluster goes
// when the child has a checkpoint of its own: the savepoint's line, its record, its objects.
func TestLeaderDiesAtEachStepOfAClaimHere(t *testing.T) {
	for _, step := range stepsOf(t) {
		for _, format := range []string{dataflow.Canonical, dataflow.Native} {
			t.Run(step+", "+format, func(t *testing.T) { dieInClaimHere(t, step, format) })
		}
	}
}

func dieInClaimHere(t *testing.T, step, format string) {
	striking(t, step, func(t *testing.T, c *cluster, s *strike) {
		c.storing(c.startAgents(2, 4))
		parent := c.running()
		c.awaitCompleted(parent, 2)
		taken := c.awaitSavepoint(parent, c.stopJob(parent, format, false).Id, ledger.SavepointCompleted)
		c.awaitStatus(parent, ledger.Finished)
		s.arm(c)
		child := c.submitted(&wire.Origin{Job: string(parent), Checkpoint: uint64(taken.ID), Claim: true})
		c.awaitCompleted(child, 2)
		s.await(c)
		c.await("the savepoint to go", func() bool {
			return c.record(parent).Savepoint(taken.ID) == nil && c.record(parent).Catalog.Record(taken.ID) == nil && !c.exists(taken.Metadata.Key)
		})
		c.await("the claim to be done with", func() bool {
			o := c.record(child).Origin
			return o.Released && o.Release == ""
		})
		if n := len(c.jobs()); n != 2 {
			t.Errorf("%d jobs, want the two", n)
		}
		c.goesOn(child)
	})
}
