package ledger

import (
	"strings"
	"testing"
)

func TestLifeOfABoundedJob(t *testing.T) {
	w := setup(t)
	w.submit("j")
	w.status("j", Created)
	e := w.ok(&StartAttempt{Job: "j", Placement: placement()}).(*Execution)
	w.status("j", Deploying)
	if e.Attempt != 1 || e.Restore != 0 {
		t.Fatalf("first attempt: %+v", e)
	}
	w.refused(&BeginCheckpoint{Job: "j", Attempt: 1}, ErrNotRunning)
	w.ok(&AttemptRunning{Job: "j", Attempt: 1})
	w.ok(&AttemptRunning{Job: "j", Attempt: 1})
	w.status("j", Running)
	w.checkpoint("j", 1, "periodic", true)
	w.refused(&FinishJob{Job: "j", Attempt: 1}, ErrNoCheckpoint)
	final := w.checkpoint("j", 1, "final", true)
	w.ok(&FinishJob{Job: "j", Attempt: 1})
	w.status("j", Finishing)
	w.ok(&FinishJob{Job: "j", Attempt: 1})
	w.refused(&BeginCheckpoint{Job: "j", Attempt: 1}, ErrNotRunning)
	w.refused(&StartAttempt{Job: "j", After: 1, Placement: placement()}, ErrJobEnded)
	w.ok(&ConfirmCommits{Job: "j", ID: final - 1})
	w.status("j", Finishing)
	w.ok(&ConfirmCommits{Job: "j", ID: final})
	w.status("j", Finished)
	j := w.job("j")
	if !j.Execution.Ended || j.Committed != final || len(j.Catalog.Records()) != 2 {
		t.Fatalf("finished job: %+v", j)
	}
	w.ok(&CancelJob{Job: "j"})
	w.status("j", Finished)
}

func TestFinishWithoutOwedCommitsIsTheEnd(t *testing.T) {
	w := setup(t)
	w.submit("j")
	a := w.run("j")
	w.checkpoint("j", a, "final", false)
	w.ok(&FinishJob{Job: "j", Attempt: a})
	w.status("j", Finished)
}

func TestAFinishingJobThatLosesItsProcessesStillFinishes(t *testing.T) {
	w := setup(t)
	w.submit("j")
	a := w.run("j")
	final := w.checkpoint("j", a, "final", true)
	w.ok(&FinishJob{Job: "j", Attempt: a})
	w.ok(&FailAttempt{Job: "j", Attempt: a, Reason: "worker lost"})
	w.status("j", Finishing)
	w.ok(&ConfirmCommits{Job: "j", ID: final})
	w.status("j", Finished)
}

func TestCancel(t *testing.T) {
	w := setup(t)
	w.submit("new")
	w.ok(&CancelJob{Job: "new"})
	w.status("new", Cancelled)

	w.submit("j")
	a := w.run("j")
	cp := w.checkpoint("j", a, "periodic", true)
	pending := w.begin("j", a, "periodic")
	w.ok(&CancelJob{Job: "j"})
	w.status("j", Cancelling)
	w.refused(completion("j", a, pending, false), ErrStaleAttempt)
	w.ok(&FailAttempt{Job: "j", Attempt: a, Reason: "stopped", Final: true})
	w.status("j", Cancelling)
	w.ok(&ConfirmCommits{Job: "j", ID: cp})
	w.status("j", Cancelled)
	if h := w.job("j").History; h[len(h)-1].Reason != "the job was cancelled" {
		t.Fatalf("history: %+v", h)
	}
	if w.job("j").Catalog.Newest() == nil {
		t.Fatal("the checkpoints of a cancelled job are retained")
	}
}

func TestGivingUpWithOwedCommitsIsFailingFirst(t *testing.T) {
	w := setup(t)
	w.submit("j")
	a := w.run("j")
	cp := w.checkpoint("j", a, "periodic", true)
	w.ok(&FailAttempt{Job: "j", Attempt: a, Reason: "panic", Final: true})
	w.status("j", Failing)
	w.ok(&CancelJob{Job: "j"})
	w.status("j", Failing)
	w.ok(&ConfirmCommits{Job: "j", ID: cp})
	w.status("j", Failed)
	if w.job("j").Reason != "panic" {
		t.Fatalf("reason %q", w.job("j").Reason)
	}
	w.submit("k") // it can not even start
	w.ok(&FailAttempt{Job: "k", Reason: "no such artifact", Final: true})
	w.status("k", Failed)
}

func TestRestart(t *testing.T) {
	w := setup(t)
	w.submit("j")
	a := w.run("j")
	cp := w.checkpoint("j", a, "periodic", false)
	pending := w.begin("j", a, "periodic")
	w.ok(&FailAttempt{Job: "j", Attempt: a, Reason: "worker lost", Stack: strings.Repeat("é", stackMax), NotBefore: 77, FailuresInRow: 1})
	w.status("j", Restarting)
	j := w.job("j")
	if len(j.Pending) != 0 || j.NotBefore != 77 || j.FailuresInRow != 1 || len(j.Failures[0].Stack) != stackMax || j.FailedCount != 1 {
		t.Fatalf("failed: %+v", j)
	}
	w.ok(&FailAttempt{Job: "j", Attempt: a, Reason: "again", NotBefore: 99, FailuresInRow: 2})
	if j := w.job("j"); j.NotBefore != 77 || len(j.Failures) != 1 {
		t.Fatalf("a repeated failure counts: %+v", j)
	}
	w.refused(completion("j", a, pending, false), ErrStaleAttempt)
	w.refused(&StartAttempt{Job: "j", After: 0, Placement: placement()}, ErrStaleAttempt)
	e := w.ok(&StartAttempt{Job: "j", After: a, Placement: placement()}).(*Execution)
	if e.Attempt != 2 || e.Restore != cp || e.Metadata != metadata(cp) {
		t.Fatalf("execution %+v", e)
	}
	w.ok(&FailAttempt{Job: "j", Attempt: a, Reason: "late"})
	w.status("j", Deploying)
	if !w.job("j").Catalog.Record(cp).Holds["attempt-2"] {
		t.Fatal("the restore point is not held")
	}
	w.ok(&AttemptRunning{Job: "j", Attempt: 2})
	first := w.checkpoint("j", 2, "periodic", false)
	if first != pending+1 {
		t.Fatalf("checkpoint %d after %d: an id is used again or left out", first, pending)
	}
	if r := w.job("j").Catalog.Record(cp); len(r.Holds) != 0 {
		t.Fatalf("still held after the attempt's own first completion: %v", r.Holds)
	}
	if j := w.job("j"); j.Restarts != 1 || j.NotBefore != 0 {
		t.Fatalf("restarted: %+v", j)
	}
}

func TestAnAttemptTakesAnothersPlace(t *testing.T) {
	w := setup(t)
	w.submit("j")
	a := w.run("j")
	pending := w.begin("j", a, "periodic")
	w.ok(&StartAttempt{Job: "j", After: a, Placement: placement()})
	w.refused(completion("j", a, pending, false), ErrStaleAttempt)
	w.refused(&BeginCheckpoint{Job: "j", Attempt: a}, ErrStaleAttempt)
	w.refused(&AttemptRunning{Job: "j", Attempt: a}, ErrStaleAttempt)
	h := w.job("j").History[0]
	if h.ID != pending || h.Status != CheckpointFailed || h.Reason != "attempt 2 took its place" {
		t.Fatalf("history %+v", h)
	}
}

func TestPlacementMustBeLive(t *testing.T) {
	w := setup(t)
	w.submit("j")
	w.refused(&StartAttempt{Job: "j"}, ErrInvalid)
	w.refused(&StartAttempt{Job: "j", Placement: append(placement(), placement()[0])}, ErrInvalid)
	w.ok(&EndWorker{Worker: "b", Incarnation: "b1", Reason: "lost"})
	w.ok(&EndWorker{Worker: "b", Incarnation: "b1", Reason: "lost"})
	w.refused(&StartAttempt{Job: "j", Placement: placement()}, ErrEndedIncarnation)
	w.refused(&RegisterWorker{Worker: "b", Incarnation: "b1"}, ErrEndedIncarnation)
	w.ok(&RegisterWorker{Worker: "b", Incarnation: "b2"})
	w.refused(&StartAttempt{Job: "j", Placement: placement()}, ErrEndedIncarnation)
	w.ok(&RegisterWorker{Worker: "b", Incarnation: "b3"}) // ends b2
	w.refused(&RegisterWorker{Worker: "b", Incarnation: "b2"}, ErrEndedIncarnation)
	w.ok(&EndWorker{Worker: "z", Incarnation: "z1"}) // it never registered
	w.refused(&RegisterWorker{Worker: "z", Incarnation: "z1"}, ErrEndedIncarnation)
}
