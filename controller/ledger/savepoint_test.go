package ledger

import (
	"testing"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
)

// savepoint begins one.
func (w *world) savepoint(id dataflow.JobID, format string, change func(*BeginSavepoint)) dataflow.CheckpointID {
	w.t.Helper()
	c := &BeginSavepoint{Job: id, Attempt: w.job(id).attempt(), Format: format, Trigger: SavepointManual}
	if change != nil {
		change(c)
	}
	return w.ok(c).(dataflow.CheckpointID)
}

func (w *world) savepointIs(id dataflow.JobID, savepoint dataflow.CheckpointID, want SavepointStatus) Savepoint {
	w.t.Helper()
	s := w.job(id).Savepoint(savepoint)
	if s == nil || s.Status != want {
		w.t.Fatalf("savepoint %d: %+v, want it %s", savepoint, s, want)
	}
	return *s
}

func TestNativeSavepointIsNoRestorePoint(t *testing.T) {
	w := setup(t)
	w.submit("j")
	a := w.run("j")
	first := w.checkpoint("j", a, "periodic", false)
	id := w.savepoint("j", dataflow.Native, func(c *BeginSavepoint) { c.Header.Key = "k" })
	if again := w.savepoint("j", dataflow.Canonical, func(c *BeginSavepoint) { c.Header.Key = "k" }); again != id {
		t.Fatalf("the same wish began %d and %d", id, again)
	}
	w.savepointIs("j", id, SavepointTaking)
	w.refused(&DisposeSavepoint{Job: "j", ID: id}, ErrSavepointBusy)
	w.ok(completion("j", a, id, true))
	w.savepointIs("j", id, SavepointCompleted)
	if j := w.job("j"); j.Catalog.Owed() != nil || j.Catalog.Newest().ID != first || j.Status != Running || j.SavepointByKey("k") == nil {
		t.Fatalf("owed %v, newest %v", j.Catalog.Owed(), j.Catalog.Newest())
	}
	w.refused(&DeleteCheckpoint{Job: "j", ID: id}, ErrCheckpointNeeded)
	for range 4 {
		w.checkpoint("j", a, "periodic", false)
	}
	if j := w.job("j"); j.Catalog.Record(id) == nil || len(j.Catalog.Records()) != 3 {
		t.Fatalf("%d records", len(j.Catalog.Records()))
	}
	w.ok(&FinishSavepoint{Job: "j", ID: id, Reason: "late"}) // it is finished
	w.savepointIs("j", id, SavepointCompleted)
	w.ok(&DisposeSavepoint{Job: "j", ID: id})
	if j := w.job("j"); j.Catalog.Record(id) != nil || j.Savepoint(id) != nil {
		t.Fatal("disposed of, and still there")
	}
	w.refused(&DisposeSavepoint{Job: "j", ID: id}, ErrNoSavepoint)
	w.ok(&DisposeSavepoint{Job: "j", ID: id, Gone: true})
	w.refused(&FinishSavepoint{Job: "j", ID: id}, ErrNoSavepoint)
}

func TestCanonicalSavepoint(t *testing.T) {
	w := setup(t)
	w.submit("j")
	a := w.run("j")
	id := w.savepoint("j", dataflow.Canonical, nil)
	w.ok(completion("j", a, id, false))
	w.savepointIs("j", id, SavepointWriting)
	w.refused(&FinishSavepoint{Job: "j", ID: id}, ErrInvalid)
	folder := catalog.Object{Key: "f/_metadata", Size: 1, SHA256: "ff"}
	w.ok(&FinishSavepoint{Job: "j", ID: id, Location: "file:///x/f/", Metadata: folder, Bytes: 9, Rows: 2})
	if s := w.savepointIs("j", id, SavepointCompleted); s.Metadata != folder || s.Rows != 2 {
		t.Fatalf("savepoint %+v", s)
	}
	next := w.begin("j", a, "periodic")
	c := completion("j", a, next, false)
	c.Objects = w.job("j").Catalog.Record(id).Objects // what was uploaded for the savepoint
	w.ok(c)
	if w.job("j").Catalog.Record(id) != nil {
		t.Fatal("its record is still there")
	}
	w.ok(&DisposeSavepoint{Job: "j", ID: id})
	w.savepointIs("j", id, SavepointDisposing)
	w.ok(&DisposeSavepoint{Job: "j", ID: id})
	w.savepointIs("j", id, SavepointDisposing)
	w.ok(&DisposeSavepoint{Job: "j", ID: id, Gone: true})
	if w.job("j").Savepoint(id) != nil {
		t.Fatal("gone, and still there")
	}
	failed := w.savepoint("j", dataflow.Canonical, nil)
	w.ok(completion("j", a, failed, false))
	w.ok(&FinishSavepoint{Job: "j", ID: failed, Reason: "disk full"})
	w.savepointIs("j", failed, SavepointFailed)
	w.checkpoint("j", a, "periodic", false)
	if w.job("j").Catalog.Record(failed) != nil || w.job("j").Status != Running {
		t.Fatal("a failed savepoint left something")
	}
	w.restart()
}

// TestSavepointStopsTheJobWithItsCompletion: in the same entry, with what is owed.
func TestSavepointStopsTheJobWithItsCompletion(t *testing.T) {
	for _, c := range []struct {
		cancel, owed    bool
		between, finish Status
	}{
		{false, true, Finishing, Finished}, {true, true, Cancelling, Cancelled},
		{false, false, Finished, Finished}, {true, false, Cancelled, Cancelled},
	} {
		w := setup(t)
		w.submit("j")
		a := w.run("j")
		w.checkpoint("j", a, "periodic", c.owed)
		id := w.savepoint("j", dataflow.Canonical, func(b *BeginSavepoint) { b.Stop, b.Cancel = true, c.cancel })
		w.refused(&BeginSavepoint{Job: "j", Attempt: a, Format: dataflow.Native, Trigger: SavepointManual}, ErrStopping)
		w.ok(completion("j", a, id, c.owed))
		if j := w.job("j"); j.Status != c.between || c.owed && j.Catalog.Owed().ID != id || c.between == Finishing != j.current(a) {
			t.Fatalf("%+v: the job is %s", c, j.Status)
		}
		w.ok(&ConfirmCommits{Job: "j", ID: id})
		if j := w.job("j"); j.Status != c.finish || j.Catalog.Record(id) == nil {
			t.Fatalf("%+v: the job is %s", c, j.Status)
		}
		w.ok(&FinishSavepoint{Job: "j", ID: id, Reason: "disk full"}) // there is nothing else to start from
		if s := w.savepointIs("j", id, SavepointCompleted); s.Format != dataflow.Native || w.job("j").Catalog.Record(id) == nil {
			t.Fatalf("%+v: %+v", c, s)
		}
		w.ok(&DisposeSavepoint{Job: "j", ID: id})
	}
}

// TestCanonicalIsWrittenBeforeCommitsAreConfirmed: the record stays as long as it owes.
func TestCanonicalIsWrittenBeforeCommitsAreConfirmed(t *testing.T) {
	w := setup(t)
	w.submit("j")
	a := w.run("j")
	id := w.savepoint("j", dataflow.Canonical, func(b *BeginSavepoint) { b.Stop = true })
	w.ok(completion("j", a, id, true))
	w.ok(&FinishSavepoint{Job: "j", ID: id, Location: "l", Metadata: catalog.Object{Key: "f/_metadata"}})
	if w.job("j").Catalog.Owed().ID != id {
		t.Fatal("what is owed is forgotten")
	}
	w.ok(&ConfirmCommits{Job: "j", ID: id})
	if j := w.job("j"); j.Status != Finished || j.Catalog.Record(id) != nil {
		t.Fatalf("%s with record %v", j.Status, j.Catalog.Record(id))
	}
}

// TestSavepointFailsWithItsCheckpoint, and the job runs.
func TestSavepointFailsWithItsCheckpoint(t *testing.T) {
	w := setup(t)
	w.submit("j")
	a := w.run("j")
	for range failedSavepointsMax + 3 {
		id := w.savepoint("j", dataflow.Native, func(b *BeginSavepoint) { b.Stop, b.Drain = true, true })
		w.ok(&AbortCheckpoint{Job: "j", Attempt: a, ID: id, Reason: "expired"})
		if s := w.savepointIs("j", id, SavepointFailed); s.Reason != "expired" || w.job("j").Status != Running {
			t.Fatalf("%+v", s)
		}
	}
	if n := len(w.job("j").Savepoints); n != failedSavepointsMax {
		t.Fatalf("%d failed savepoints are remembered", n)
	}
	id := w.savepoint("j", dataflow.Native, nil)
	w.ok(&FailAttempt{Job: "j", Attempt: a, Reason: "killed"})
	w.savepointIs("j", id, SavepointFailed)
	w.ok(&DisposeSavepoint{Job: "j", ID: id})
	w.refused(&BeginSavepoint{Job: "j", Attempt: a, Format: dataflow.Native, Trigger: SavepointManual}, ErrStaleAttempt)
	for _, wrong := range []BeginSavepoint{
		{Format: "xml", Trigger: "manual"}, {Format: dataflow.Native}, {Format: dataflow.Native, Trigger: "stop", Drain: true},
		{Format: dataflow.Native, Trigger: "manual", Directory: "file:///x"},
		{Format: dataflow.Native, Trigger: "stop", Stop: true, Drain: true, Cancel: true},
	} {
		wrong.Job, wrong.Attempt = "j", a
		w.refused(&wrong, ErrInvalid)
	}
}

func TestSavepointsAreBounded(t *testing.T) {
	w := setup(t)
	w.submit("j")
	a := w.run("j")
	for range savepointsMax {
		w.ok(completion("j", a, w.savepoint("j", dataflow.Native, nil), false))
	}
	w.refused(&BeginSavepoint{Job: "j", Attempt: a, Format: dataflow.Native, Trigger: SavepointManual}, ErrTooManySavepoints)
}

// TestKeysAreOfOneJob: a caller's key tells the wishes for one job apart, and nobody's for
// another job is answered with its outcome.
func TestKeysAreOfOneJob(t *testing.T) {
	w := setup(t)
	for _, id := range []dataflow.JobID{"a", "b"} {
		w.submit(id)
		w.run(id)
	}
	w.checkpoint("b", 1, "periodic", false)
	key := func(c *BeginSavepoint) { c.Header.Key = "nightly" }
	w.savepoint("a", dataflow.Native, key)
	if id := w.savepoint("b", dataflow.Native, key); w.job("b").Savepoint(id) == nil {
		t.Fatalf("job b was promised savepoint %d and has %+v", id, w.job("b").Savepoints)
	}
	for _, id := range []dataflow.JobID{"a", "b"} {
		options := w.job(id).Options
		options.Retained = 7
		w.ok(&SetOptions{Header: Header{Key: "more"}, Job: id, Options: options})
		w.ok(&BeginUpgrade{Header: Header{Key: "next"}, Job: id, HealthyWithin: 1000, Program: Program{Artifact: "new", Graph: []byte("{}")}})
		if j := w.job(id); j.Upgrade == nil || j.Options.Retained != 7 {
			t.Fatalf("job %s: options %+v, upgrade %+v", id, j.Options, j.Upgrade)
		}
	}
}
