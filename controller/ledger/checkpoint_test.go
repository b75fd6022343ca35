package ledger

import (
	"slices"
	"testing"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

func TestCompletion(t *testing.T) {
	w := setup(t)
	w.submit("j")
	a := w.run("j")
	w.refused(completion("j", a, 1, false), ErrNotPending)
	one, two := w.begin("j", a, "periodic"), w.begin("j", a, "manual")
	done := w.ok(completion("j", a, two, false)).(*Completed)
	if !slices.Equal(done.Aborted, []dataflow.CheckpointID{one}) {
		t.Fatalf("aborted %v", done.Aborted)
	}
	w.refused(completion("j", a, one, false), ErrNotPending)
	if again := w.ok(completion("j", a, two, false)).(*Completed); again.ID != two {
		t.Fatalf("repeated completion: %+v", again)
	}
	other := completion("j", a, two, false)
	other.Metadata.SHA256 = "bb"
	w.refused(other, ErrNotPending)
	w.checkpoint("j", a, "periodic", false)
	four := w.begin("j", a, "periodic")
	done = w.ok(completion("j", a, four, false)).(*Completed)
	if !slices.Equal(done.Subsumed, []dataflow.CheckpointID{two}) {
		t.Fatalf("subsumed %v", done.Subsumed)
	}
	five := w.begin("j", a, "periodic")
	marked := completion("j", a, five, false)
	marked.Objects = []snapshot.Run{{Prefix: "p/", Lo: uint64(two), Hi: uint64(two)}}
	w.refused(marked, ErrMarkedObject)
	malformed := completion("j", a, five, false)
	malformed.Objects = []snapshot.Run{{Prefix: "p/"}}
	w.refused(malformed, ErrInvalid)
	if j := w.job("j"); j.Completed != 3 || j.FailedCount != 1 {
		t.Fatalf("counts %d %d", j.Completed, j.FailedCount)
	}
	g := w.job("j").Catalog.Garbage()
	w.ok(&ForgetGarbage{Job: "j", Runs: g.Runs, Single: g.Single})
	if !w.job("j").Catalog.Garbage().Empty() {
		t.Fatal("garbage is not forgotten")
	}
	w.refused(&ForgetGarbage{Job: "j", Runs: []snapshot.Run{{}}}, ErrInvalid)
}

func TestAbort(t *testing.T) {
	w := setup(t)
	w.submit("j")
	a := w.run("j")
	cp := w.begin("j", a, "periodic")
	abort := func() *AbortCheckpoint {
		return &AbortCheckpoint{Job: "j", Attempt: a, ID: cp, Reason: "expired", FailuresInRow: 2}
	}
	w.ok(abort())
	w.ok(abort())
	w.ok(&AbortCheckpoint{Job: "j", Attempt: a, ID: 99})
	if j := w.job("j"); j.CheckpointFails != 2 || j.FailedCount != 1 || len(j.Pending) != 0 {
		t.Fatalf("aborted: %+v", j)
	}
	w.refused(completion("j", a, cp, false), ErrNotPending)
	w.checkpoint("j", a, "periodic", false)
	if n := w.job("j").CheckpointFails; n != 0 {
		t.Fatalf("%d failures in a row after a success", n)
	}
	w.ok(abort()) // completed later ones: nothing
	for range pendingMax {
		w.begin("j", a, "periodic")
	}
	w.refused(&BeginCheckpoint{Job: "j", Attempt: a}, ErrTooManyPending)
}

func TestDelete(t *testing.T) {
	w := setup(t)
	w.submit("j")
	a := w.run("j")
	one := w.checkpoint("j", a, "periodic", true)
	two := w.checkpoint("j", a, "periodic", false)
	w.refused(&DeleteCheckpoint{Job: "j", ID: two}, ErrCheckpointNeeded)
	w.refused(&DeleteCheckpoint{Job: "j", ID: one}, ErrCheckpointNeeded)
	w.refused(&DeleteCheckpoint{Job: "j", ID: 9}, ErrNoCheckpoint)
	w.refused(&ConfirmCommits{Job: "j", ID: 9}, ErrNoCheckpoint)
	w.ok(&ConfirmCommits{Job: "j", ID: one})
	w.ok(&ConfirmCommits{Job: "j", ID: one})
	w.ok(&DeleteCheckpoint{Job: "j", ID: one})
	w.ok(&CancelJob{Job: "j"})
	if use := w.ledger.state.ArtifactsInUse(); !use["sha-j"] {
		t.Fatal("the artifact of a retained checkpoint is not in use")
	}
	w.ok(&DeleteCheckpoint{Job: "j", ID: two})
	if use := w.ledger.state.ArtifactsInUse(); use["sha-j"] {
		t.Fatal("the artifact is still in use")
	}
}
