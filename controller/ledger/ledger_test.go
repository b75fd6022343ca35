package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/ha"
	"github.com/cairnstream/cairn/snapshot"
)

// tester is what *testing.T and *rapid.T share.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// world applies commands as a log would.
type world struct {
	t      tester
	ledger *Ledger
	events []Event
	log    []ha.Entry
	term   uint64
}

// setup returns a ledger with a leader in term 3 and live workers a and b.
func setup(t tester) *world {
	w := &world{t: t, term: 3}
	w.ledger = New(func(es []Event) { w.events = append(w.events, es...) })
	w.ok(&LeaderEstablished{Controller: "c1", Cluster: "cluster", ObjectStore: "file:///x"})
	w.ok(&RegisterWorker{Worker: "a", Incarnation: "a1", Slots: 4, Platform: "linux/amd64"})
	w.ok(&RegisterWorker{Worker: "b", Incarnation: "b1", Slots: 4, Platform: "linux/amd64"})
	return w
}

// apply returns the result. It fills in the header's term, unless it is set.
func (w *world) apply(c Command) any {
	w.t.Helper()
	if h := c.header(); h.Term == 0 {
		h.Term = dataflow.Term(w.term)
	}
	e := ha.Entry{Index: uint64(len(w.log) + 1), Term: w.term, Data: Encode(c)}
	w.log = append(w.log, e)
	result, err := w.ledger.Apply(e)
	if err != nil {
		w.t.Fatalf("apply %T: %v", c, err)
	}
	return result
}

// ok applies what must not be refused.
func (w *world) ok(c Command) any {
	w.t.Helper()
	result := w.apply(c)
	if err, refused := result.(error); refused {
		w.t.Fatalf("%T refused: %v", c, err)
	}
	return result
}

// refused applies what must be refused in this way and change nothing.
func (w *world) refused(c Command, want error) {
	w.t.Helper()
	before := w.image()
	err, _ := w.apply(c).(error)
	if !errors.Is(err, want) {
		w.t.Fatalf("%T: got %v, want %v", c, err, want)
	}
	if !bytes.Equal(before, w.image()) {
		w.t.Fatalf("%T was refused and changed the state", c)
	}
}

// image is the snapshot without its head, which every entry changes.
func (w *world) image() []byte {
	w.t.Helper()
	head, err := encMode.Marshal(w.ledger.state.head())
	if err != nil {
		w.t.Fatal(err)
	}
	return w.snapshot()[len(head):]
}

func (w *world) snapshot() []byte {
	w.t.Helper()
	persist, err := w.ledger.Snapshot()
	if err != nil {
		w.t.Fatal(err)
	}
	var b bytes.Buffer
	if err := persist(&b); err != nil {
		w.t.Fatal(err)
	}
	return b.Bytes()
}

func (w *world) job(id dataflow.JobID) *Job {
	w.t.Helper()
	j, err := w.ledger.Job(id)
	if err != nil {
		w.t.Fatal(err)
	}
	return j
}

// submit adds a job that retains 2 checkpoints.
func (w *world) submit(id dataflow.JobID) {
	w.t.Helper()
	w.ok(&SubmitJob{Job: id, Name: "flights", Artifact: "sha-" + string(id), Options: dataflow.Options{Retained: 2}})
}

func placement() []Placement {
	return []Placement{
		{dataflow.TaskID{Subtask: 0}, "a", "a1"},
		{dataflow.TaskID{Subtask: 1}, "b", "b1"},
	}
}

// run starts the next attempt and has it running.
func (w *world) run(id dataflow.JobID) dataflow.Attempt {
	w.t.Helper()
	e := w.ok(&StartAttempt{Job: id, After: w.job(id).attempt(), Placement: placement()}).(*Execution)
	w.ok(&AttemptRunning{Job: id, Attempt: e.Attempt})
	return e.Attempt
}

func (w *world) begin(id dataflow.JobID, a dataflow.Attempt, trigger string) dataflow.CheckpointID {
	w.t.Helper()
	return w.ok(&BeginCheckpoint{Job: id, Attempt: a, Trigger: trigger}).(dataflow.CheckpointID)
}

func metadata(id dataflow.CheckpointID) catalog.Object {
	return catalog.Object{Key: fmt.Sprintf("cluster/jobs/j/metadata/%012d", id), Size: 1, SHA256: "aa"}
}

func completion(id dataflow.JobID, a dataflow.Attempt, cp dataflow.CheckpointID, owed bool) *CompleteCheckpoint {
	return &CompleteCheckpoint{
		Job: id, Attempt: a, ID: cp, Metadata: metadata(cp), Owed: owed,
		Objects: []snapshot.Run{{Prefix: "p/", Lo: uint64(cp), Hi: uint64(cp) + 1}},
	}
}

// checkpoint begins and completes one.
func (w *world) checkpoint(id dataflow.JobID, a dataflow.Attempt, trigger string, owed bool) dataflow.CheckpointID {
	w.t.Helper()
	cp := w.begin(id, a, trigger)
	w.ok(completion(id, a, cp, owed))
	return cp
}

func (w *world) status(id dataflow.JobID, want Status) {
	w.t.Helper()
	if got := w.job(id).Status; got != want {
		w.t.Fatalf("job %s is %s, want %s", id, got, want)
	}
}

func TestUnknownJobs(t *testing.T) {
	w := setup(t)
	for _, c := range []Command{
		&StartAttempt{Job: "x"}, &FailAttempt{Job: "x"}, &AttemptRunning{Job: "x"}, &BeginCheckpoint{Job: "x"},
		&CompleteCheckpoint{Job: "x"}, &AbortCheckpoint{Job: "x"}, &ConfirmCommits{Job: "x"}, &FinishJob{Job: "x"},
		&CancelJob{Job: "x"}, &DeleteCheckpoint{Job: "x"}, &ForgetGarbage{Job: "x"}, &ReleaseOrigin{Job: "x"},
		&BeginUpgrade{Job: "x"}, &EndUpgrade{Job: "x"},
	} {
		w.refused(c, ErrNoJob)
	}
	w.submit("j")
	w.refused(&SubmitJob{Job: "j"}, ErrJobExists)
	w.refused(&SubmitJob{}, ErrInvalid)
	w.refused(&RegisterWorker{}, ErrInvalid)
	w.refused(&FailAttempt{Job: "j", Attempt: 1}, ErrStaleAttempt)
	w.refused(&FinishJob{Job: "j", Attempt: 1}, ErrStaleAttempt)
}

// TestStaleTerm: a former leader's command, committed late, changes nothing,
// whatever it is, and its key is free.
func TestStaleTerm(t *testing.T) {
	w := setup(t)
	for k := range prototypes {
		c := newCommand(kind(k))
		if c == nil {
			continue
		}
		*c.header() = Header{Term: 2, At: 1 << 50, Key: "k"}
		w.refused(c, ErrStaleTerm)
	}
	if w.ledger.state.Now != 0 || len(w.ledger.state.keys.list) != 0 {
		t.Fatalf("a stale command left a trace: now %d, keys %v", w.ledger.state.Now, w.ledger.state.keys.list)
	}
}

func TestTimeNeverRunsBackwards(t *testing.T) {
	w := setup(t)
	w.ok(&SubmitJob{Header: Header{At: 100}, Job: "a"})
	w.ok(&SubmitJob{Header: Header{At: 50}, Job: "b"})
	if at := w.job("b").SubmittedAt; at != 100 {
		t.Fatalf("submitted at %d", at)
	}
}

func TestKeys(t *testing.T) {
	w := setup(t)
	submit := func(job dataflow.JobID) any {
		return w.apply(&SubmitJob{Header: Header{Key: "k"}, Job: job})
	}
	if first, again := submit("one").(*Job), submit("two").(*Job); first.ID != "one" || again.ID != "one" {
		t.Fatalf("one key made %s and %s", first.ID, again.ID)
	}
	w.submit("j")
	begin := func() any { return w.apply(&BeginCheckpoint{Header: Header{Key: "k"}, Job: "j", Attempt: 1}) }
	if err, again := begin().(error), begin().(error); !errors.Is(again, ErrStaleAttempt) || err.Error() != again.Error() {
		t.Fatalf("refusals %v and %v", err, again)
	}
	start := func() any {
		return w.apply(&StartAttempt{Header: Header{Key: "s"}, Job: "j", Placement: placement()})
	}
	if first, again := start().(*Execution), start().(*Execution); first.Attempt != 1 || again.Attempt != 1 {
		t.Fatalf("one key started %d and %d", first.Attempt, again.Attempt)
	}
	w.ok(&AttemptRunning{Job: "j", Attempt: 1})
	cp := w.begin("j", 1, "periodic")
	done := func() any {
		c := completion("j", 1, cp, false)
		c.Header.Key = "c"
		return w.apply(c)
	}
	done()
	w.restart()
	if again := done().(*Completed); again.ID != cp {
		t.Fatalf("completed %+v", again)
	}
	w.refused(&SubmitJob{Header: Header{Key: strings.Repeat("k", KeyMax+1)}, Job: "x"}, ErrInvalid)
}

// restart replaces the ledger by one restored from its snapshot.
func (w *world) restart() {
	w.t.Helper()
	before := w.snapshot()
	l := New(func(es []Event) { w.events = append(w.events, es...) })
	if err := l.Restore(bytes.NewReader(before)); err != nil {
		w.t.Fatal(err)
	}
	w.ledger = l
	if !bytes.Equal(before, w.snapshot()) {
		w.t.Fatal("the snapshot of the restored ledger is another")
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	w := setup(t)
	w.submit("j")
	a := w.run("j")
	old := w.job("j")
	for range historyMax + 5 {
		cp := w.begin("j", a, "periodic")
		w.ok(&AbortCheckpoint{Job: "j", Attempt: a, ID: cp})
	}
	if h := w.job("j").History; len(h) != historyMax || h[0].ID != 6 || h[historyMax-1].ID != historyMax+5 {
		t.Fatalf("history of %d: %d to %d", len(h), h[0].ID, h[len(h)-1].ID)
	}
	if len(old.History) != 0 {
		t.Fatal("a job that was read changed")
	}
	for i := range failuresMax + 3 {
		w.ok(&FailAttempt{Job: "j", Attempt: w.job("j").attempt(), Reason: fmt.Sprint(i)})
		w.ok(&StartAttempt{Job: "j", After: w.job("j").attempt(), Placement: placement()})
	}
	if f := w.job("j").Failures; len(f) != failuresMax || f[0].Reason != "3" {
		t.Fatalf("failures: %+v", f)
	}
	for i := range endedMax + 1 {
		w.ok(&RegisterWorker{Header: Header{Key: fmt.Sprint(i)}, Worker: "w", Incarnation: dataflow.Incarnation(fmt.Sprint(i))})
	}
	for i := range 3 {
		w.ok(&RegisterWorker{Header: Header{Key: fmt.Sprint("more", i)}, Worker: "w", Incarnation: dataflow.Incarnation(fmt.Sprint("more", i))})
	}
	s := w.ledger.state
	if len(s.ended.list) != endedMax || len(s.ended.index) != endedMax || len(s.keys.list) != keysMax || len(s.keys.index) != keysMax {
		t.Fatalf("%d ended, %d keys", len(s.ended.list), len(s.keys.list))
	}
}

func TestEndedWorkersAreForgotten(t *testing.T) {
	w := setup(t)
	w.ok(&EndWorker{Worker: "a", Incarnation: "a1"})
	for i := range endedMax {
		w.ok(&EndWorker{Worker: "x", Incarnation: dataflow.Incarnation(fmt.Sprint(i))})
	}
	if _, there := w.ledger.state.Workers["a"]; there {
		t.Fatal("a worker that ended long ago is still listed")
	}
	if !w.ledger.state.Live("b", "b1") {
		t.Fatal("a living worker is gone")
	}
}

func TestMembers(t *testing.T) {
	w := setup(t)
	w.ok(&LeaderEstablished{Controller: "c2", Cluster: "another", ObjectStore: "another"})
	s := w.ledger.state
	if s.Cluster != "cluster" || s.ObjectStore != "file:///x" || s.Leader != "c2" {
		t.Fatalf("cluster %s, store %s, leader %s", s.Cluster, s.ObjectStore, s.Leader)
	}
	w.ok(&AnnounceController{Controller: "c1", MaxVersion: 7})
	for _, c := range []struct {
		members []string
		want    int
	}{{[]string{"c1"}, Version}, {[]string{"c1", "c2"}, 1}} {
		if got := s.MinVersion(c.members); got != c.want {
			t.Errorf("%v: version %d, want %d", c.members, got, c.want)
		}
	}
}

func TestEventsTellWhatHappened(t *testing.T) {
	w := setup(t)
	w.events = nil
	w.submit("j")
	a := w.run("j")
	w.checkpoint("j", a, "periodic", false)
	w.begin("j", a, "periodic")
	w.ok(&FailAttempt{Job: "j", Attempt: a, Reason: "panic"})
	w.apply(&BeginCheckpoint{Job: "j", Attempt: a}) // refused: tells nothing
	var got []string
	for _, e := range w.events {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %d %d %s", e.Type, e.Attempt, e.Checkpoint, e.Detail)))
		if e.Term != 3 || e.Index == 0 {
			t.Errorf("event %+v", e)
		}
	}
	want := []string{
		"job_submitted 0 0 flights",
		"attempt_started 1 0", "job_status 1 0 deploying",
		"attempt_running 1 0", "job_status 1 0 running",
		"checkpoint_begun 1 1 periodic", "checkpoint_completed 1 1",
		"checkpoint_begun 1 2 periodic", "checkpoint_aborted 1 2 attempt 1 failed",
		"attempt_failed 1 0 panic", "job_status 1 0 restarting",
	}
	if !slices.Equal(got, want) {
		t.Fatalf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
