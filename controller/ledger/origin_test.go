package ledger

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

// own is what names of a job's objects begin with in these tests.
func own(id dataflow.JobID) string { return "cluster/jobs/" + string(id) + "/" }

func ownMetadata(id dataflow.JobID, cp dataflow.CheckpointID) catalog.Object {
	return catalog.Object{Key: fmt.Sprintf("%smetadata/%012d", own(id), cp), Size: 1, SHA256: "aa"}
}

// from is the submit of a child that starts from a checkpoint by reference.
func from(child, parent dataflow.JobID, cp dataflow.CheckpointID) *SubmitJob {
	return &SubmitJob{Job: child, Name: "flights", Artifact: "sha", Options: dataflow.Options{Retained: 1}, Origin: &Origin{
		Job: parent, Checkpoint: cp, Object: ownMetadata(parent, cp), Own: own(child),
	}}
}

// complete completes a checkpoint of the current attempt that refers to the runs.
func (w *world) complete(id dataflow.JobID, owed bool, objects ...snapshot.Run) dataflow.CheckpointID {
	w.t.Helper()
	a := w.job(id).attempt()
	cp := w.begin(id, a, "periodic")
	w.ok(&CompleteCheckpoint{Job: id, Attempt: a, ID: cp, Metadata: ownMetadata(id, cp), Objects: objects, Owed: owed})
	return cp
}

func run(id dataflow.JobID, lo, hi uint64) snapshot.Run {
	return snapshot.Run{Prefix: own(id) + "1/p/", Lo: lo, Hi: hi}
}

// family sets up a running parent with two checkpoints of one object each.
func family(t *testing.T) *world {
	w := setup(t)
	w.submit("parent")
	w.run("parent")
	w.complete("parent", false, run("parent", 1, 1))
	w.complete("parent", false, run("parent", 2, 2))
	return w
}

func (w *world) holders(id dataflow.JobID, cp dataflow.CheckpointID) []dataflow.JobID {
	w.t.Helper()
	r := w.job(id).Catalog.Record(cp)
	if r == nil {
		w.t.Fatalf("job %s has no checkpoint %d", id, cp)
	}
	return HoldingJobs(r)
}

func TestChildHoldsItsParentsCheckpointUntilItNamesNoObjectOfIt(t *testing.T) {
	w := family(t)
	w.ok(from("child", "parent", 1))
	if got := w.holders("parent", 1); !slices.Equal(got, []dataflow.JobID{"child"}) {
		t.Fatalf("held by %v", got)
	}
	w.refused(&DeleteCheckpoint{Job: "parent", ID: 1}, ErrCheckpointNeeded)
	w.complete("parent", false, run("parent", 3, 3)) // retention would drop 1
	w.complete("parent", false, run("parent", 4, 4))
	w.run("child")
	if e := w.job("child").Execution; !e.Origin || e.Restore != 0 || e.Metadata != ownMetadata("parent", 1) {
		t.Fatalf("execution %+v", e)
	}
	w.complete("child", false, run("parent", 1, 1), run("child", 1, 1))
	if j := w.job("child"); j.Restoring() || j.Origin.Released {
		t.Fatalf("with a checkpoint of its own: %+v", j.Origin)
	}
	w.holders("parent", 1)
	w.complete("child", false, run("child", 1, 2))
	if j := w.job("child"); !j.Origin.Released {
		t.Fatal("no record names an object of the parent")
	}
	if r := w.job("parent").Catalog.Record(1); r != nil {
		t.Fatal("the parent keeps a checkpoint that retention has let go")
	}
	if g := w.job("child").Catalog.Garbage(); slices.ContainsFunc(g.Runs, func(r snapshot.Run) bool { return r.Prefix == run("parent", 1, 1).Prefix }) {
		t.Fatalf("the child marked its parent's object: %v", g.Runs)
	}
	if g := w.job("parent").Catalog.Garbage(); !slices.Contains(g.Runs, run("parent", 1, 2)) {
		t.Fatalf("the parent's garbage: %v", g.Runs)
	}
	w.run("child")
	if e := w.job("child").Execution; e.Origin || e.Restore != 2 {
		t.Fatalf("the next attempt: %+v", e)
	}
}

func TestChildNamesOnlyWhatItsParentKeepsForIt(t *testing.T) {
	w := family(t)
	w.ok(from("child", "parent", 1))
	w.ok(&SubmitJob{Job: "copy", Origin: &Origin{Checkpoint: 7, Object: ownMetadata("x", 7), Copy: true, Own: own("copy")}})
	for id, objects := range map[dataflow.JobID][]snapshot.Run{
		"child": {run("parent", 2, 2)},
		"copy":  {run("parent", 1, 1)},
	} {
		w.run(id)
		cp := w.begin(id, 1, "periodic")
		w.refused(&CompleteCheckpoint{Job: id, Attempt: 1, ID: cp, Metadata: ownMetadata(id, cp), Objects: objects}, ErrInvalid)
	}
	w.complete("child", false)
	cp := w.begin("child", 1, "periodic")
	late := &CompleteCheckpoint{Job: "child", Attempt: 1, ID: cp, Metadata: ownMetadata("child", cp), Objects: []snapshot.Run{run("parent", 1, 1)}}
	w.refused(late, ErrInvalid) // it has let go
}

func TestChildThatEndsLetsGo(t *testing.T) {
	w := family(t)
	w.ok(from("early", "parent", 1))
	w.run("early")
	w.ok(&CancelJob{Job: "early"})
	if !w.job("early").Origin.Released || len(w.holders("parent", 1)) != 0 {
		t.Fatal("it ended before a checkpoint of its own")
	}
	w.ok(from("late", "parent", 1))
	w.run("late")
	w.complete("late", true, run("parent", 1, 1))
	w.ok(&CancelJob{Job: "late"})
	w.status("late", Cancelling)
	w.ok(&ConfirmCommits{Job: "late", ID: 1})
	w.status("late", Cancelled)
	if len(w.holders("parent", 1)) != 1 {
		t.Fatal("its retained checkpoint names the parent's object")
	}
	w.ok(&DeleteCheckpoint{Job: "late", ID: 1})
	if len(w.holders("parent", 1)) != 0 {
		t.Fatal("it has no checkpoint any more")
	}
}

func TestGrandchildKeepsItsGrandparent(t *testing.T) {
	w := family(t)
	w.ok(from("child", "parent", 2))
	w.run("child")
	w.complete("child", false, run("parent", 2, 2))
	w.ok(from("grandchild", "child", 1))
	w.complete("child", false, run("child", 1, 1))
	w.ok(&CancelJob{Job: "child"})
	if len(w.holders("parent", 2)) != 1 {
		t.Fatal("the child's record, held by the grandchild, names the parent's object")
	}
	w.run("grandchild")
	w.complete("grandchild", false, run("grandchild", 1, 1))
	if len(w.holders("parent", 2)) != 0 || w.job("child").Catalog.Record(1) != nil {
		t.Fatal("one entry lets go of the whole line")
	}
}

func TestClaim(t *testing.T) {
	w := family(t)
	claim := func(child dataflow.JobID) *SubmitJob {
		c := from(child, "parent", 2)
		c.Origin.Claim = true
		return c
	}
	w.refused(claim("child"), ErrNotEnded)
	w.ok(&CancelJob{Job: "parent"})
	w.ok(from("other", "parent", 2))
	w.refused(claim("child"), ErrCheckpointNeeded)
	w.ok(&CancelJob{Job: "other"})
	w.ok(claim("void"))
	w.refused(from("third", "parent", 2), ErrCheckpointNeeded)
	w.ok(&CancelJob{Job: "void"})
	if w.job("parent").Catalog.Record(2) == nil {
		t.Fatal("a job that came to nothing took its origin along")
	}
	w.ok(claim("child"))
	w.run("child")
	w.complete("child", false, run("child", 1, 1))
	if w.job("parent").Catalog.Record(2) != nil || w.job("child").Origin.Release != "" {
		t.Fatal("the record went with the hold, and nothing else is to do")
	}
}

// TestSavepointIsNotDisposedOfWhileAChildReadsIt: nor, if it is native, while the child names
// its objects.
func TestSavepointIsNotDisposedOfWhileAChildReadsIt(t *testing.T) {
	w := family(t)
	id := w.savepoint("parent", dataflow.Native, nil)
	named := run("parent", 3, 3)
	w.ok(&CompleteCheckpoint{
		Job: "parent", Attempt: w.job("parent").attempt(), ID: id, Metadata: ownMetadata("parent", id), Objects: []snapshot.Run{named},
	})
	dispose := &DisposeSavepoint{Job: "parent", ID: id}
	child := from("child", "parent", id)
	child.Origin.Savepoint = dataflow.Native
	w.ok(child)
	w.refused(dispose, ErrCheckpointNeeded)
	w.run("child")
	w.complete("child", false, named)
	w.refused(dispose, ErrCheckpointNeeded)
	w.complete("child", false, run("child", 1, 1))
	w.ok(dispose)
	w.complete("parent", false, run("parent", 4, 4))
	if s := w.job("parent").Savepoint(id); s != nil || w.job("parent").Catalog.Record(id) != nil {
		t.Fatalf("it is still there: %+v", s)
	}
}

func TestClaimedFolderIsReleasedOnce(t *testing.T) {
	w := setup(t)
	w.ok(&SubmitJob{Job: "child", Origin: &Origin{
		Checkpoint: 7, Store: "file:///other", Object: catalog.Object{Key: "savepoints/x/_metadata"},
		Copy: true, Claim: true, OwnTransactions: true, Savepoint: dataflow.Canonical, Own: own("child"),
	}})
	w.run("child")
	if o := w.job("child").Origin; o.Released || o.Release != "" {
		t.Fatalf("it is still needed: %+v", o)
	}
	w.complete("child", false)
	if o := w.job("child").Origin; !o.Released || o.Release != "savepoints/x/" {
		t.Fatalf("it is needed no more: %+v", o)
	}
	for range 2 {
		w.ok(&ReleaseOrigin{Job: "child"})
		if o := w.job("child").Origin; o.Release != "" {
			t.Fatalf("it is gone: %+v", o)
		}
	}
	w.submit("plain")
	w.refused(&ReleaseOrigin{Job: "plain"}, ErrInvalid)
}

func TestOriginsThatAreNot(t *testing.T) {
	w := family(t)
	w.refused(from("child", "nobody", 1), ErrNoJob)
	w.refused(from("child", "parent", 9), ErrNoCheckpoint)
	other := from("child", "parent", 1)
	other.Origin.Object.SHA256 = "bb"
	w.refused(other, ErrNoCheckpoint)
	for _, broken := range []func(o *Origin){
		func(o *Origin) { o.Own = "" }, func(o *Origin) { o.Job = "" }, func(o *Origin) { o.Checkpoint = 0 },
		func(o *Origin) { o.Object.Key = "" }, func(o *Origin) { o.Released = true }, func(o *Origin) { o.Release = "x" },
	} {
		c := from("child", "parent", 1)
		broken(c.Origin)
		w.refused(c, ErrInvalid)
	}
}

func TestOriginComesBackFromASnapshot(t *testing.T) {
	w := family(t)
	w.ok(from("child", "parent", 1))
	w.run("child")
	want := *w.job("child").Origin
	w.restart()
	if got := *w.job("child").Origin; !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	w.complete("child", false, run("parent", 1, 1))
	w.complete("child", false)
	if !w.job("child").Origin.Released {
		t.Fatal("it let go of nothing")
	}
}
