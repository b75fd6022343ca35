package task

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/exchange"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAttemptFromDeploymentToEnd(t *testing.T) {
	a := setup(t)
	a.deploy(1)
	a.awaitStatus(1, restoring)
	status := a.awaitStatus(1, deployed)
	if status.ExchangeAddress == "" || status.Process != a.hello.Process || status.Pid != int32(os.Getpid()) || len(status.Subtasks) != 2 {
		t.Fatalf("status %v", status)
	}
	e := a.driver.newest()
	if want := cluster + "/jobs/" + jobID + "/1/" + a.hello.Process + "/"; e.cfg.ObjectPrefix != want {
		t.Errorf("object prefix %q, want %q", e.cfg.ObjectPrefix, want)
	}
	if len(e.cfg.Subtasks) != 2 || e.cfg.Subtasks[0] != (dataflow.TaskID{}) || e.cfg.Options.BatchRows != 1024 {
		t.Errorf("config %+v", e.cfg)
	}
	a.start(1)
	a.awaitStatus(1, running)
	a.trigger(1, 7)
	ack := a.await("ack", func(m *wire.TaskMessage) bool { return m.GetAck() != nil }).GetAck()
	var part snapshot.Process
	if err := json.Unmarshal(ack.Snapshot, &part); err != nil || part.Process != dataflow.Incarnation(a.hello.Process) || ack.Checkpoint != 7 {
		t.Errorf("acknowledgement %v, part %v, %v", ack, part, err)
	}
	stats := a.await("stats", func(m *wire.TaskMessage) bool { return m.GetStats() != nil }).GetStats()
	if s := stats.Subtasks[0]; s.RecordsIn != 41 || s.Busy != 1 {
		t.Errorf("stats %v", stats)
	}
	times := a.await("source times", func(m *wire.TaskMessage) bool { return m.GetSourceTimes() != nil }).GetSourceTimes()
	if x := times.Times[0]; times.Job != jobID || times.Attempt != 1 || x.Group != "shop" || x.LowestMs != 1234 || x.Subtasks != 1 || x.Of != 3 {
		t.Errorf("source times %v", times)
	}
	a.orders <- &wire.TaskOrder{Body: &wire.TaskOrder_SourceTimes{SourceTimes: &wire.SourceTimes{
		Job: jobID, Attempt: 1, Times: []*wire.SourceTime{{Group: "shop", LowestMs: 17, Subtasks: 2, Of: 3}}}}}
	for call := ""; call != "align [{shop 17 2 3}]"; {
		select {
		case call = <-e.calls: // after that of the trigger
		case <-time.After(patience):
			t.Fatal("the engine does not hear of the other sources")
		}
	}
	e.cfg.Events.EndOfData()
	a.awaitStatus(1, endOfData)
	e.cfg.Events.Committed(7)
	a.await("commit", func(m *wire.TaskMessage) bool { return m.GetCommitDone().GetCheckpoint() == 7 })
	a.stop(1, true)
	a.awaitStatus(1, stopped)
	if err := a.awaitResult(); err != nil {
		t.Fatal(err)
	}
	if len(a.exits) != 0 {
		t.Error("exit was called at an orderly end")
	}
}

func TestAcknowledgementIsKeptUntilItsOutcome(t *testing.T) {
	a := setup(t)
	e := a.runs(1)
	acked := func(id uint64) {
		t.Helper()
		a.await("ack", func(m *wire.TaskMessage) bool { return m.GetAck().GetCheckpoint() == id })
	}
	expect := func(want string) {
		t.Helper()
		if got := <-e.calls; got != want {
			t.Fatalf("engine was told %q, want %q", got, want)
		}
	}
	a.trigger(1, 1)
	acked(1)
	expect("trigger 1")
	a.trigger(1, 1) // by a new leader: the engine has nothing to do with it
	acked(1)
	a.trigger(1, 2)
	acked(2)
	expect("trigger 2")
	a.outcome(1, 2, completed)
	expect("completed 2")
	a.trigger(1, 1) // settled by 2
	expect("trigger 1")
	a.outcome(1, 1, aborted)
	expect("aborted 1")
	a.trigger(2, 9) // another attempt
	a.outcome(2, 9, completed)
	a.orders <- &wire.TaskOrder{Body: &wire.TaskOrder_CommitsKnown{CommitsKnown: &wire.CommitsKnown{Job: jobID, Attempt: 1, Checkpoint: 2}}}
	expect("known 2")
}

func TestLaterDeploymentStopsTheEarlierAttempt(t *testing.T) {
	a := setup(t)
	first := a.runs(1)
	a.deploy(2)
	a.awaitStatus(1, stopped)
	<-first.ended
	a.awaitStatus(2, deployed)
	a.deploy(2) // a repeat: the status again
	a.awaitStatus(2, deployed)
	a.start(2)
	a.awaitStatus(2, running)
	if n := a.driver.opened(); n != 2 {
		t.Errorf("%d attempts were opened, want 2", n)
	}
}

func TestEndedAttemptIsRefused(t *testing.T) {
	a := setup(t)
	a.runs(3)
	a.stop(3, false)
	a.awaitStatus(3, stopped)
	for _, attempt := range []uint64{1, 2, 3} {
		a.deploy(attempt)
	}
	a.runs(4)
	if n := a.driver.opened(); n != 2 {
		t.Errorf("%d attempts were opened, want 3 and 4 only", n)
	}
}

func TestStopBeforeStart(t *testing.T) {
	a := setup(t)
	a.deploy(1)
	a.awaitStatus(1, deployed)
	a.stop(1, false)
	a.awaitStatus(1, stopped)
	<-a.driver.newest().ended // it was closed
}

func TestFailures(t *testing.T) {
	a := setup(t)
	a.runs(1).fail <- errOperator
	if s := a.awaitStatus(1, failed); !strings.Contains(s.Reason, errOperator.Error()) || s.ProcessGone {
		t.Errorf("error: %v", s)
	}
	a.runs(2).fail <- nil
	if s := a.awaitStatus(2, failed); s.Reason == "" || !strings.Contains(s.Stack, "driver_test.go") {
		t.Errorf("panic: %v", s)
	} else if s.Reason != "panic: no such airport" || a.stderr.String() != s.Stack {
		t.Errorf("the reason is %q, and standard error has\n%s", s.Reason, a.stderr.String())
	}
	a.deploy(3, func(d *wire.Deploy) {
		g := testGraph()
		g.Operators[0].Parallelism = 7
		d.Graph = mustJSON(t, g)
	})
	if s := a.awaitStatus(3, failed); !strings.Contains(s.Reason, "not the one that was committed") {
		t.Errorf("another graph: %v", s)
	}
	a.deploy(4, func(d *wire.Deploy) { d.RestoreCheckpoint, d.RestoreKey, d.RestoreSize = 5, "gone", 10 })
	if s := a.awaitStatus(4, failed); !strings.Contains(s.Reason, "not found") {
		t.Errorf("missing metadata: %v", s)
	}
	a.runs(5) // the process lives on
}

// checkpoint writes a metadata object and returns what names it.
func (a *agent) checkpoint(id dataflow.CheckpointID) *wire.FinishCommits {
	store := checkpointstore.New(a.bucket, cluster)
	o, err := store.Write(a.t.Context(), &checkpointstore.Metadata{Job: jobID, Attempt: 2, Checkpoint: id,
		Graph: mustJSON(a.t, testGraph()), KeyGroups: 16}, 1)
	if err != nil {
		a.t.Fatal(err)
	}
	return &wire.FinishCommits{Job: jobID, Attempt: 2, Checkpoint: uint64(id),
		MetadataKey: o.Key, MetadataSize: o.Size, MetadataSha256: o.SHA256}
}

func TestRestoreReadsItsCheckpoint(t *testing.T) {
	a := setup(t)
	c := a.checkpoint(7)
	a.deploy(3, func(d *wire.Deploy) {
		d.RestoreCheckpoint, d.RestoreKey, d.RestoreSize, d.RestoreSha256 = 7, c.MetadataKey, c.MetadataSize, c.MetadataSha256
	})
	a.awaitStatus(3, deployed)
	if r := a.driver.newest().cfg.Restore; r == nil || r.Checkpoint != 7 || r.Attempt != 2 || r.KeyGroups != 16 {
		t.Fatalf("restore %+v", r)
	}
	a.deploy(4, func(d *wire.Deploy) {
		d.RestoreCheckpoint, d.RestoreKey, d.RestoreSize, d.RestoreSha256 = 8, c.MetadataKey, c.MetadataSize, c.MetadataSha256
	})
	if s := a.awaitStatus(4, failed); !strings.Contains(s.Reason, "holds checkpoint 7") {
		t.Errorf("got %v", s)
	}
}

func TestFinishCommits(t *testing.T) {
	a := setup(t)
	order := &wire.TaskOrder{Body: &wire.TaskOrder_FinishCommits{FinishCommits: a.checkpoint(7)}}
	a.orders <- order
	a.orders <- order
	a.await("commit", func(m *wire.TaskMessage) bool { return m.GetCommitDone().GetCheckpoint() == 7 })
	a.stop(2, true)
	if err := a.awaitResult(); err != nil {
		t.Fatal(err)
	}
	if n := len(a.driver.finished); n != 1 {
		t.Errorf("commits were finished %d times", n)
	}
}

func TestUnreadableCommitsEndTheProcess(t *testing.T) {
	a := setup(t)
	f := a.checkpoint(7)
	f.MetadataSha256 = strings.Repeat("0", 64)
	a.orders <- &wire.TaskOrder{Body: &wire.TaskOrder_FinishCommits{FinishCommits: f}}
	if err := a.awaitResult(); err == nil || !strings.Contains(err.Error(), "finish commits of checkpoint 7") {
		t.Fatalf("got %v", err)
	}
}

func TestLossOfTheAgentEndsTheProcess(t *testing.T) {
	a := setup(t)
	e := a.runs(1)
	a.server.Stop()
	<-e.ended
	if err := a.awaitResult(); !errors.Is(err, ErrAgentLost) {
		t.Fatalf("got %v", err)
	}
	<-a.exits // in case the program does not end when Run returns
}

func TestLossOfTheAgentEndsAProcessThatHangs(t *testing.T) {
	a := setup(t)
	a.driver.hang = true
	a.runs(1)
	lost := time.Now()
	a.server.Stop()
	if status := <-a.exits; status != exitAgentLost {
		t.Errorf("exit status %d, want %d", status, exitAgentLost)
	}
	if letGo >= 100*time.Millisecond {
		t.Errorf("%v until the exit: 100 ms are promised", letGo)
	}
	t.Logf("exit after %v", time.Since(lost))
}

func TestTraceIsOneLinePerEvent(t *testing.T) {
	a := setup(t)
	e := a.runs(1)
	e.cfg.Events.Trace(engine.TraceEvent{Kind: engine.TraceStart, Job: jobID, Attempt: 1})
	e.cfg.Events.Trace(engine.TraceEvent{Kind: engine.TraceCommit, Job: jobID, Attempt: 1, Checkpoint: 3})
	text, err := os.ReadFile(a.trace)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	var event engine.TraceEvent
	if err := json.Unmarshal([]byte(lines[1]), &event); err != nil || len(lines) != 2 || event.Checkpoint != 3 {
		t.Errorf("trace %q, %v", text, err)
	}
}

func TestDirectoryResolves(t *testing.T) {
	plan, err := testGraph().Plan()
	if err != nil {
		t.Fatal(err)
	}
	d := newDirectory(plan, []*wire.Placement{{Subtask: &wire.Subtask{Vertex: 1, Index: 0}, Worker: "w2"}})
	id := exchange.ChannelID{Job: jobID, Attempt: 1}
	if _, err := d.resolve(id); err == nil || !strings.Contains(err.Error(), "w2 is not known") {
		t.Errorf("before the start: %v", err)
	}
	d.set([]*wire.Peer{{Worker: "w2", ExchangeAddress: "10.0.0.2:9"}})
	if p, err := d.resolve(id); err != nil || p.Address != "10.0.0.2:9" || p.Worker != "w2" {
		t.Errorf("got %v, %v", p, err)
	}
	for _, bad := range []exchange.ChannelID{{Edge: 9}, {To: 1}} {
		if _, err := d.resolve(bad); err == nil {
			t.Errorf("%v was resolved", bad)
		}
	}
}

// TestRestoreFromElsewhere: what a job starts from is another job's, with its own rules.
func TestRestoreFromElsewhere(t *testing.T) {
	a := setup(t)
	c := a.checkpoint(7)
	data, err := a.bucket.Get(t.Context(), c.MetadataKey, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	m, err := checkpointstore.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	m.Format, m.Folder = checkpointstore.FormatFolder, &checkpointstore.Folder{}
	if data, err = checkpointstore.Encode(m); err != nil {
		t.Fatal(err)
	}
	if err := a.bucket.Put(t.Context(), "savepoints/s/_metadata", data, objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	canonical := &wire.RestorePoint{Key: "savepoints/s/_metadata", Size: int64(len(data)), Sha256: hex.EncodeToString(sum[:])}
	point := func(store, key string) *wire.RestorePoint {
		return &wire.RestorePoint{Store: store, Key: key, Size: c.MetadataSize, Sha256: c.MetadataSha256}
	}
	byReference := point("", c.MetadataKey)
	copied := point("mem://"+t.Name(), c.MetadataKey)
	copied.Copy, copied.OwnTransactions = true, true
	for i, k := range []struct {
		point  *wire.RestorePoint
		bucket bool
		prefix string
	}{{byReference, false, ""}, {copied, true, ""}, {canonical, true, "savepoints/s/"}} {
		attempt := uint64(i + 1)
		a.deploy(attempt, func(d *wire.Deploy) { d.Restore = k.point })
		a.awaitStatus(attempt, deployed)
		r := a.driver.newest().cfg.Restore
		if r == nil || !r.Origin || r.Checkpoint != 7 || r.CommitsKnown != 0 || (r.Bucket != nil) != k.bucket ||
			r.Prefix != k.prefix || r.Copy != k.point.Copy || r.OwnTransactions != k.point.OwnTransactions {
			t.Errorf("%v: restore %+v", k.point, r)
		}
	}
	a.deploy(4, func(d *wire.Deploy) { d.Restore = point("", "gone") })
	if s := a.awaitStatus(4, failed); s.Class != wire.FailureClass_FAILURE_CLASS_RESTORE_OBJECT || s.Object != "gone" {
		t.Errorf("missing metadata: %v", s)
	}
}
