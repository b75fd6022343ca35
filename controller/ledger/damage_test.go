package ledger

import (
	"slices"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

// damaged is a job with checkpoints 1 to 3 whose newest can not be restored,
// because object p/4 is gone. Nothing of 3 is confirmed.
func damaged(t *testing.T) (*world, dataflow.Attempt) {
	w := setup(t)
	w.submit("j")
	a := w.run("j")
	for range 2 {
		w.checkpoint("j", a, "periodic", true)
	}
	w.ok(&ConfirmCommits{Job: "j", ID: 2})
	w.checkpoint("j", a, "periodic", true)
	w.ok(&SuspendJob{Job: "j", Attempt: a, Object: "p/000000000004.0", Reason: "object p/000000000004.0: not found"})
	return w, a
}

func TestASuspendedJobWaitsForAnOperator(t *testing.T) {
	w, a := damaged(t)
	j := w.job("j")
	if j.Status != Suspended || !j.Execution.Ended || len(j.Failures) != 1 || !strings.Contains(j.Reason, "not found") {
		t.Fatalf("suspended: %+v", j)
	}
	if r := j.NewestWhole(); r == nil || r.ID != 2 {
		t.Fatalf("newest whole: %+v", r)
	}
	if ids := j.Needing("p/000000000004.0"); !slices.Equal(ids, []dataflow.CheckpointID{3}) {
		t.Fatalf("needing: %v", ids)
	}
	w.ok(&SuspendJob{Job: "j", Attempt: a, Object: "p/000000000004.0"}) // again
	w.refused(&StartAttempt{Job: "j", After: a, Placement: placement()}, ErrJobEnded)
	w.refused(&FinishJob{Job: "j", Attempt: a}, ErrJobEnded)
	w.refused(&ResumeJob{Job: "j", ID: 3}, ErrDamaged)
	w.refused(&ResumeJob{Job: "j", ID: 9}, ErrNoCheckpoint)
	w.restart()
	if !slices.Equal(w.job("j").Damaged, []string{"p/000000000004.0"}) {
		t.Fatalf("after a snapshot: %v", w.job("j").Damaged)
	}
}

func TestResumeFromAnOlderCheckpointDropsTheNewer(t *testing.T) {
	w, a := damaged(t)
	resumed := w.ok(&ResumeJob{Job: "j", ID: 2}).(*Resumed)
	if resumed.From != 2 || !slices.Equal(resumed.Dropped, []dataflow.CheckpointID{3}) {
		t.Fatalf("resumed: %+v", resumed)
	}
	j := w.job("j")
	if j.Status != Restarting || j.Catalog.Owed() != nil || j.Catalog.Refers("p/", 4) {
		t.Fatalf("after the decision: %+v", j)
	}
	w.refused(&ResumeJob{Job: "j", ID: 2}, ErrNotSuspended)
	e := w.ok(&StartAttempt{Job: "j", After: a, Placement: placement()}).(*Execution)
	if e.Restore != 2 {
		t.Fatalf("restores checkpoint %d", e.Restore)
	}
	w.ok(&AttemptRunning{Job: "j", Attempt: e.Attempt})
	id := w.begin("j", e.Attempt, "periodic")
	own := completion("j", e.Attempt, id, false)
	own.Objects = append(j.Catalog.Record(2).Objects, snapshot.Run{Prefix: "next/", Lo: 1, Hi: 1})
	if w.ok(own); id != 4 {
		t.Fatalf("the next checkpoint is %d", id)
	}
	if len(w.job("j").Damaged) != 0 {
		t.Fatal("what was damaged is needed no more, and still remembered")
	}
}

func TestResumeTriesTheNewestAgain(t *testing.T) {
	w, a := damaged(t)
	if resumed := w.ok(&ResumeJob{Job: "j"}).(*Resumed); resumed.From != 3 || len(resumed.Dropped) != 0 {
		t.Fatalf("resumed: %+v", resumed)
	}
	if e := w.ok(&StartAttempt{Job: "j", After: a, Placement: placement()}).(*Execution); e.Restore != 3 {
		t.Fatalf("restores checkpoint %d", e.Restore)
	}
}

func TestASuspendedJobCanBeCancelled(t *testing.T) {
	w, _ := damaged(t)
	w.ok(&CancelJob{Job: "j"})
	if s := w.job("j").Status; s != Cancelling {
		t.Fatalf("%s with owed commits", s)
	}
	w.ok(&ConfirmCommits{Job: "j", ID: 3})
	if s := w.job("j").Status; s != Cancelled {
		t.Fatalf("%s in the end", s)
	}
	w.refused(&ResumeJob{Job: "j"}, ErrNotSuspended)
}

// TestOldBuildsCanBeLed: what an older build can apply is written in its version.
func TestOldBuildsCanBeLed(t *testing.T) {
	chosen := &SubmitJob{Job: "j", Options: dataflow.Options{State: dataflow.StateOptions{Backend: dataflow.BackendLSM}}}
	for _, c := range []struct {
		command Command
		version int
	}{
		{&SubmitJob{Job: "j", Options: dataflow.Options{Retained: 3}}, 1},
		{chosen, 2},
		{&CancelJob{Job: "j"}, 1},
		{&SuspendJob{Job: "j"}, 2},
		{&ResumeJob{Job: "j"}, 2},
	} {
		if got := int(Encode(c.command)[2]); got != c.version || VersionOf(c.command) != got {
			t.Errorf("%T: version %d, want %d", c.command, got, c.version)
		}
	}
}
