package ledger

import (
	"testing"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

// savepointOver takes a canonical savepoint that refers to the runs, and ends it with a reason, or
// without one as complete.
func (w *world) savepointOver(id dataflow.JobID, reason string, objects ...snapshot.Run) dataflow.CheckpointID {
	w.t.Helper()
	cp, a := w.savepoint(id, dataflow.Canonical, nil), w.job(id).attempt()
	w.ok(&CompleteCheckpoint{Job: id, Attempt: a, ID: cp, Metadata: ownMetadata(id, cp), Objects: objects})
	w.ok(&FinishSavepoint{Job: id, ID: cp, Reason: reason, Location: "file:///s/", Metadata: catalog.Object{Key: "s/_metadata", Size: 1, SHA256: "cc"}})
	return cp
}

// TestClaimIsNotTakenOverByASavepointThatIsGone: a child whose only completion was a savepoint's, of
// which nothing is left, has nothing to show for what it claimed.
func TestClaimIsNotTakenOverByASavepointThatIsGone(t *testing.T) {
	for name, c := range map[string]struct {
		reason        string
		dispose, kept bool
	}{
		"not written":       {reason: "the store is full", kept: true},
		"disposed of":       {dispose: true, kept: true},
		"completed, stands": {kept: false},
	} {
		t.Run(name, func(t *testing.T) {
			w := family(t)
			w.ok(&CancelJob{Job: "parent"})
			claim := from("child", "parent", 2)
			claim.Origin.Claim = true
			w.ok(claim)
			w.run("child")
			cp := w.savepointOver("child", c.reason, run("parent", 2, 2))
			if c.dispose {
				w.ok(&DisposeSavepoint{Job: "child", ID: cp})
				w.ok(&DisposeSavepoint{Job: "child", ID: cp, Gone: true})
			}
			w.ok(&CancelJob{Job: "child"})
			if o := w.job("child").Origin; !o.Released {
				t.Fatalf("the child has ended and refers to nothing: %+v", o)
			}
			if kept := w.job("parent").Catalog.Record(2) != nil; kept != c.kept {
				t.Fatalf("the parent's checkpoint is kept: %t, want %t", kept, c.kept)
			}
		})
	}
}

// TestClaimThatWasTakenOverGoesWithItsJobsRecords: what the child has replaced by checkpoints of its
// own is not the last copy, also when those are dropped in the entry that lets go.
func TestClaimThatWasTakenOverGoesWithItsJobsRecords(t *testing.T) {
	w := family(t)
	w.ok(&CancelJob{Job: "parent"})
	claim := from("child", "parent", 2)
	claim.Origin.Claim = true
	claim.Options.Checkpoint.Retention = dataflow.DeleteOnCancel
	w.ok(claim)
	w.run("child")
	w.complete("child", false, run("parent", 2, 2))
	w.ok(&CancelJob{Job: "child"})
	if w.job("child").Catalog.Len() != 0 || w.job("parent").Catalog.Record(2) != nil {
		t.Fatal("the job was to leave nothing behind")
	}
}

// TestOneClaimOfAPath: a folder that a job claims is deleted when that needs it no more, so no other job
// may start from it, and what another job starts from can't be claimed.
func TestOneClaimOfAPath(t *testing.T) {
	submit := func(id dataflow.JobID, claim bool) *SubmitJob {
		return &SubmitJob{Job: id, Origin: &Origin{
			Checkpoint: 7, Store: "file:///other", Object: catalog.Object{Key: "x/_metadata", Size: 1, SHA256: "aa"},
			Copy: true, Claim: claim, OwnTransactions: claim, Savepoint: dataflow.Canonical, Own: own(id),
		}}
	}
	w := setup(t)
	w.ok(submit("reader", false))
	w.ok(submit("another", false))
	w.refused(submit("owner", true), ErrCheckpointNeeded)
	for _, id := range []dataflow.JobID{"reader", "another"} {
		w.run(id)
		w.complete(id, false)
	}
	w.ok(submit("owner", true))
	w.refused(submit("late", false), ErrCheckpointNeeded)
	rival := submit("rival", true)
	rival.Origin.Store = "file:///other/../other"
	w.refused(rival, ErrCheckpointNeeded)
	w.run("owner")
	w.complete("owner", false)
	w.refused(submit("late", false), ErrCheckpointNeeded) // it is being deleted
	w.ok(&ReleaseOrigin{Job: "owner"})
	w.ok(submit("late", false)) // whoever has put it there anew
}

// TestChildThatLetsGoLeavesNothingOfAParentThatEnded: what only the child's hold kept goes with it.
func TestChildThatLetsGoLeavesNothingOfAParentThatEnded(t *testing.T) {
	t.Run("cancelled", func(t *testing.T) {
		w := setup(t)
		w.ok(&SubmitJob{Job: "parent", Options: dataflow.Options{Retained: 1, Checkpoint: dataflow.CheckpointOptions{Retention: dataflow.DeleteOnCancel}}})
		w.run("parent")
		w.complete("parent", false, run("parent", 1, 1))
		w.ok(from("child", "parent", 1))
		w.ok(&CancelJob{Job: "parent"})
		w.holders("parent", 1)
		w.run("child")
		w.complete("child", false, run("child", 1, 1))
		if w.job("parent").Catalog.Len() != 0 {
			t.Fatal("the parent was to leave nothing behind when it was cancelled")
		}
	})
	t.Run("savepoint disposed of", func(t *testing.T) {
		w := family(t)
		cp := w.savepoint("parent", dataflow.Native, nil)
		w.ok(&CompleteCheckpoint{Job: "parent", Attempt: 1, ID: cp, Metadata: ownMetadata("parent", cp), Objects: []snapshot.Run{run("parent", 3, 3)}})
		w.ok(from("child", "parent", cp))
		w.ok(&CancelJob{Job: "parent"})
		w.refused(&DisposeSavepoint{Job: "parent", ID: cp}, ErrCheckpointNeeded) // the child reads it
		w.run("child")
		w.complete("child", false, run("child", 1, 1))
		w.ok(&DisposeSavepoint{Job: "parent", ID: cp})
		if w.job("parent").Catalog.Record(cp) != nil {
			t.Fatal("nobody needs the savepoint, and no process of the parent runs")
		}
	})
}

// TestClaimIsTakenOverByTheSavepointThatStopsTheJob, also while its folder is being written: if it
// can't be, the savepoint stays as a native one.
func TestClaimIsTakenOverByTheSavepointThatStopsTheJob(t *testing.T) {
	w := setup(t)
	w.ok(&SubmitJob{Job: "child", Origin: &Origin{
		Checkpoint: 7, Store: "file:///other", Object: catalog.Object{Key: "x/_metadata"},
		Copy: true, Claim: true, Savepoint: dataflow.Canonical, Own: own("child"),
	}})
	w.run("child")
	cp := w.savepoint("child", dataflow.Canonical, func(c *BeginSavepoint) { c.Stop = true })
	w.ok(&CompleteCheckpoint{Job: "child", Attempt: 1, ID: cp, Metadata: ownMetadata("child", cp), Objects: []snapshot.Run{run("child", 1, 1)}})
	w.status("child", Finished)
	if o := w.job("child").Origin; !o.Released || o.Release != "x/" {
		t.Fatalf("%+v", o)
	}
}
