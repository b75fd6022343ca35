package ledger

import (
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

// TestRandomHistories applies commands that a leader may propose, and some that
// it should not, and checks after each one what must hold for ever. At the end
// a second replica applies the same log, with restarts from snapshots in
// between, and must be the same.
func TestRandomHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := setup(t)
		w.submit("j")
		w.submit("k")
		watch := newWatch(w.ledger.state)
		for range rapid.IntRange(30, 120).Draw(t, "commands") {
			c := w.command(t)
			switch rapid.SampledFrom(dice).Draw(t, "accident") {
			case 1:
				w.term++
			case 2:
				c.header().Term = dataflow.Term(w.term - 1)
			case 3:
				w.restart()
			}
			c.header().At = rapid.Int64Range(0, 1000).Draw(t, "at")
			c.header().Key = someKey.Draw(t, "key")
			w.apply(c)
			watch.check(t, w.ledger.state)
		}
		w.replay(t)
	})
}

// dice has twenty sides, since rapid's integers prefer the small ones.
var dice = []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}

// someKey is most often none: a key that was used gives the first result.
var someKey = rapid.SampledFrom([]string{"", "", "", "", "", "", "", "", "x", "y"})

// replay applies the log to a second ledger that is restored half way, and
// compares.
func (w *world) replay(t *rapid.T) {
	other := &world{t: t, ledger: New(nil)}
	half := rapid.IntRange(0, len(w.log)).Draw(t, "half")
	for i, e := range w.log {
		if i == half {
			other.restart()
		}
		if _, err := other.ledger.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	a, errA := w.ledger.Hash()
	b, errB := other.ledger.Hash()
	if errA != nil || errB != nil || a != b {
		t.Fatalf("replicas differ: %x and %x (%v, %v)", a, b, errA, errB)
	}
}

// command draws what a leader would propose next, or something else.
func (w *world) command(t *rapid.T) Command {
	j := w.job(rapid.SampledFrom([]dataflow.JobID{"j", "j", "j", "k"}).Draw(t, "job"))
	if rapid.SampledFrom([]bool{true, true, false}).Draw(t, "sensible") {
		return w.sensible(t, j)
	}
	return w.anything(t, j)
}

// sensible takes the job a step further.
func (w *world) sensible(t *rapid.T, j *Job) Command {
	switch {
	case j.Status == Created || j.Status == Restarting:
		for _, id := range []dataflow.WorkerID{"a", "b"} {
			if k := w.ledger.state.Workers[id]; k == nil || k.Ended {
				return &RegisterWorker{Worker: id, Incarnation: dataflow.Incarnation(fmt.Sprintf("%s-%d", id, len(w.log)))}
			}
		}
		return &StartAttempt{Job: j.ID, After: j.attempt(), Placement: w.somewhere(t)}
	case j.Status == Deploying:
		return &AttemptRunning{Job: j.ID, Attempt: j.attempt()}
	case j.Status == Running && j.FinalCompleted():
		return &FinishJob{Job: j.ID, Attempt: j.attempt()}
	case j.Status == Running && len(j.Pending) == 0 && rapid.SampledFrom([]bool{true, false, false, false}).Draw(t, "savepoint"):
		format := rapid.SampledFrom([]string{dataflow.Canonical, dataflow.Native}).Draw(t, "format")
		return &BeginSavepoint{Job: j.ID, Attempt: j.attempt(), Format: format, Trigger: SavepointManual}
	case j.Status == Running && len(j.Pending) == 0:
		trigger := rapid.SampledFrom([]string{"periodic", "periodic", "periodic", "periodic", "periodic", "periodic", "final"}).Draw(t, "trigger")
		return &BeginCheckpoint{Job: j.ID, Attempt: j.attempt(), Trigger: trigger}
	case j.Status == Running:
		return w.completion(t, j.ID, j.attempt(), j.Pending[len(j.Pending)-1].ID)
	case j.Status == Suspended:
		return w.resume(t, j)
	case j.Catalog.Owed() != nil:
		return &ConfirmCommits{Job: j.ID, ID: j.Catalog.Owed().ID}
	}
	g := j.Catalog.Garbage()
	return &ForgetGarbage{Job: j.ID, Runs: g.Runs, Single: g.Single}
}

// resume goes on from the newest whole checkpoint, or tries the newest again.
func (w *world) resume(t *rapid.T, j *Job) Command {
	if r := j.NewestWhole(); r != nil && rapid.Bool().Draw(t, "older") {
		return &ResumeJob{Job: j.ID, ID: r.ID}
	}
	return &ResumeJob{Job: j.ID}
}

func (w *world) completion(t *rapid.T, id dataflow.JobID, a dataflow.Attempt, cp dataflow.CheckpointID) Command {
	c := completion(id, a, cp, rapid.SampledFrom([]bool{true, false, false}).Draw(t, "owed"))
	c.Objects, c.Released = someRuns.Draw(t, "objects"), someRuns.Draw(t, "released")
	return c
}

// anything draws a command that may be late, early or plain wrong.
func (w *world) anything(t *rapid.T, j *Job) Command {
	id := j.ID
	attempt := dataflow.Attempt(max(0, int(j.attempt())-rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "late")))
	cp := dataflow.CheckpointID(max(0, int(j.NextCheckpoint)-rapid.SampledFrom([]int{0, 1, 2, 3, 4}).Draw(t, "checkpoint")))
	worker := rapid.SampledFrom([]dataflow.WorkerID{"a", "b"}).Draw(t, "worker")
	incarnation := dataflow.Incarnation(fmt.Sprintf("%s%d", worker, rapid.IntRange(1, 4).Draw(t, "incarnation")))
	rarely := rapid.SampledFrom([]bool{true, false, false, false}).Draw(t, "rarely")
	switch rapid.SampledFrom(kinds).Draw(t, "kind") {
	case kindLeaderEstablished:
		return &LeaderEstablished{Controller: "c1"}
	case kindAnnounceController:
		return &AnnounceController{Controller: rapid.SampledFrom([]string{"c1", "c2"}).Draw(t, "controller"), MaxVersion: 1}
	case kindRegisterWorker:
		return &RegisterWorker{Worker: worker, Incarnation: incarnation}
	case kindEndWorker:
		return &EndWorker{Worker: worker, Incarnation: incarnation}
	case kindSubmitJob:
		return &SubmitJob{Job: rapid.SampledFrom([]dataflow.JobID{"k", "l", "m"}).Draw(t, "new job")}
	case kindStartAttempt:
		return &StartAttempt{Job: id, After: attempt, Placement: w.somewhere(t)}
	case kindFailAttempt:
		return &FailAttempt{Job: id, Attempt: attempt, Reason: "r", Final: rarely}
	case kindAttemptRunning:
		return &AttemptRunning{Job: id, Attempt: attempt}
	case kindBeginCheckpoint:
		return &BeginCheckpoint{Job: id, Attempt: attempt, Trigger: "manual", Triggers: someTriggers.Draw(t, "triggers")}
	case kindSetOptions:
		o := j.Options
		o.Retained = rapid.IntRange(1, 3).Draw(t, "retained")
		if rarely {
			o.BatchRows++
		}
		return &SetOptions{Job: id, Options: o}
	case kindCompleteCheckpoint:
		return w.completion(t, id, attempt, cp)
	case kindAbortCheckpoint:
		return &AbortCheckpoint{Job: id, Attempt: attempt, ID: cp, FailuresInRow: 1}
	case kindConfirmCommits:
		return &ConfirmCommits{Job: id, ID: cp}
	case kindFinishJob:
		return &FinishJob{Job: id, Attempt: attempt}
	case kindSuspendJob:
		object := rapid.SampledFrom([]string{"p/000000000007.0", "q/000000000011.0", "m"}).Draw(t, "object")
		return &SuspendJob{Job: id, Attempt: attempt, Object: object, Reason: "damaged"}
	case kindResumeJob:
		return &ResumeJob{Job: id, ID: cp}
	case kindBeginUpgrade:
		return &BeginUpgrade{
			Header: Header{Key: fmt.Sprintf("upgrade-%d", len(w.log))}, Job: id, HealthyWithin: 1,
			Program: Program{Artifact: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "artifact"), Graph: []byte("{}"), Options: j.Options},
		}
	case kindEndUpgrade:
		if u := j.upgrading(); u != nil && rarely {
			return &EndUpgrade{Job: id, Savepoint: u.Savepoint, Reason: "r"}
		}
	case kindReleaseOrigin:
		return &ReleaseOrigin{Job: id}
	case kindPinCheckpoint:
		return &PinCheckpoint{Job: id, ID: cp, Unpin: !rarely}
	case kindBeginSavepoint:
		if u := j.upgrading(); u != nil && u.Savepoint == 0 {
			return &BeginSavepoint{Header: Header{Key: u.Key}, Job: id, Attempt: attempt, Format: dataflow.Native, Trigger: SavepointUpgrade, Stop: true}
		}
		format := rapid.SampledFrom([]string{dataflow.Canonical, dataflow.Native}).Draw(t, "format")
		return &BeginSavepoint{Job: id, Attempt: attempt, Format: format, Trigger: SavepointManual, Stop: rarely}
	case kindFinishSavepoint:
		if rarely {
			return &FinishSavepoint{Job: id, ID: cp, Reason: "disk full"}
		}
		return &FinishSavepoint{Job: id, ID: cp, Location: "file:///f/", Metadata: catalog.Object{Key: "f/_metadata"}}
	case kindDisposeSavepoint:
		return &DisposeSavepoint{Job: id, ID: cp, Gone: rarely}
	case kindCancelJob:
		if rarely {
			return &CancelJob{Job: id}
		}
	}
	return &DeleteCheckpoint{Job: id, ID: cp}
}

var kinds = func() (all []kind) {
	for k := range prototypes {
		if prototypes[k] != nil {
			all = append(all, kind(k))
		}
	}
	return all
}()

// somewhere places a task on workers as they are, or as they were.
func (w *world) somewhere(t *rapid.T) []Placement {
	var out []Placement
	for i, id := range []dataflow.WorkerID{"a", "b"} {
		dead := rapid.SampledFrom([]bool{true, false, false, false}).Draw(t, "dead")
		if k := w.ledger.state.Workers[id]; k != nil && (!k.Ended || dead) {
			out = append(out, Placement{dataflow.TaskID{Subtask: i}, id, k.Incarnation})
		}
	}
	return out
}

var someRuns = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) snapshot.Run {
	lo := rapid.IntRange(1, 60).Draw(t, "lo")
	return snapshot.Run{
		Prefix: rapid.SampledFrom([]string{"p/", "q/"}).Draw(t, "prefix"),
		Lo:     uint64(lo), Hi: uint64(lo + rapid.IntRange(0, 4).Draw(t, "length")),
	}
}), 0, 3)

var someTriggers = rapid.SliceOfN(rapid.SampledFrom([]string{"x", "y", "z"}), 0, 2)

// watch remembers what may never change again.
type watch struct {
	jobs map[dataflow.JobID]Job // as they were after the entry before
	now  int64
}

func newWatch(s *State) *watch {
	w := &watch{jobs: map[dataflow.JobID]Job{}}
	w.note(s)
	return w
}

func (w *watch) note(s *State) {
	w.now = s.Now
	for id, j := range s.Jobs {
		w.jobs[id] = *j
	}
}

func (w *watch) check(t *rapid.T, s *State) {
	if s.Now < w.now {
		t.Fatalf("time ran from %d to %d", w.now, s.Now)
	}
	for id := range w.jobs {
		if s.Jobs[id] == nil {
			t.Fatalf("job %s is gone", id)
		}
	}
	for id, j := range s.Jobs {
		if was, known := w.jobs[id]; known {
			checkChange(t, &was, j)
		}
		checkJob(t, s, j)
	}
	w.note(s)
}

// checkChange checks what holds between a job and what it was an entry ago.
func checkChange(t *rapid.T, was, is *Job) {
	if was.Status.Terminal() && is.Status != was.Status {
		t.Fatalf("job %s was %s and is %s", is.ID, was.Status, is.Status)
	}
	if way := ends[was.Status]; way != "" && is.Status != was.Status && is.Status != way {
		t.Fatalf("job %s was %s and is %s", is.ID, was.Status, is.Status)
	}
	resumed := was.Status == Suspended && is.Status == Restarting // an operator's decision
	if !was.Status.Active() && is.Status.Active() && !resumed {
		t.Fatalf("job %s runs again: %s, then %s", is.ID, was.Status, is.Status)
	}
	if is.attempt() < was.attempt() || is.NextCheckpoint < was.NextCheckpoint || is.Committed < was.Committed {
		t.Fatalf("job %s went backwards", is.ID)
	}
	if w, i := was.Catalog.Newest(), is.Catalog.Newest(); w != nil && !was.Status.Terminal() && !resumed && (i == nil || i.ID < w.ID) {
		t.Fatalf("job %s lost its newest checkpoint %d", is.ID, w.ID)
	}
	for _, r := range was.Catalog.Records() {
		if r.Owed && is.Catalog.Record(r.ID) == nil && is.Committed < r.ID && !resumed {
			t.Fatalf("checkpoint %d of job %s was dropped with owed commits", r.ID, is.ID)
		}
	}
	if was.attempt() == is.attempt() && was.Execution != nil && was.Execution.Ended && !is.Execution.Ended {
		t.Fatalf("attempt %d of job %s came back", is.attempt(), is.ID)
	}
}

// checkJob checks what holds of a job at any time.
func checkJob(t *rapid.T, s *State, j *Job) {
	ids := map[dataflow.CheckpointID]bool{}
	for _, h := range j.History {
		if ids[h.ID] || h.ID >= j.NextCheckpoint {
			t.Fatalf("checkpoint %d of job %s twice or from the future", h.ID, j.ID)
		}
		ids[h.ID] = true
	}
	for _, p := range j.Pending {
		if ids[p.ID] || !j.current(p.Attempt) || j.Status != Running {
			t.Fatalf("pending checkpoint %+v of job %s, which is %s at attempt %d", p, j.ID, j.Status, j.attempt())
		}
		ids[p.ID] = true
	}
	if len(ids) != int(j.NextCheckpoint)-1 {
		t.Fatalf("job %s has %d checkpoints, the next is %d", j.ID, len(ids), j.NextCheckpoint)
	}
	if j.Status.Terminal() && (j.Catalog.Owed() != nil || j.Execution != nil && !j.Execution.Ended || j.EndedAt != 0 && j.EndedAt > s.Now) {
		t.Fatalf("job %s is %s with work left", j.ID, j.Status)
	}
	if ends[j.Status] != "" && j.Catalog.Owed() == nil {
		t.Fatalf("job %s is %s and owes nothing", j.ID, j.Status)
	}
	checkHold(t, j)
	for _, g := range j.Catalog.Garbage().Runs {
		for n := g.Lo; n <= g.Hi; n++ {
			if j.Catalog.Refers(g.Prefix, n) {
				t.Fatalf("object %s%d of job %s is marked and referred to", g.Prefix, n, j.ID)
			}
		}
	}
}

// checkHold: exactly the restore point of a current attempt without a
// completion of its own is held.
func checkHold(t *rapid.T, j *Job) {
	holds := map[string]bool{}
	own := false
	for _, r := range j.Catalog.Records() {
		maps.Copy(holds, r.Holds)
		delete(holds, catalog.PinHold)
		delete(holds, SavepointHold)
		own = own || r.Attempt == j.attempt() && !r.Savepoint
		newest := j.Catalog.Newest()
		mayName := j.current(j.attempt()) && (newest == nil || r.ID > newest.ID) // a checkpoint in flight
		if s := j.Savepoint(r.ID); r.Savepoint && (s == nil || !r.Holds[SavepointHold]) && !r.Owed && len(r.Holds) == 0 && !mayName {
			t.Fatalf("nothing keeps the record of savepoint %d of job %s", r.ID, j.ID)
		}
	}
	want := j.current(j.attempt()) && j.Execution.Restore != 0 && !own
	if holds[holdOf(j.attempt())] != want || len(holds) > 1 {
		t.Fatalf("holds %v of job %s at attempt %d (%s)", holds, j.ID, j.attempt(), j.Status)
	}
}
