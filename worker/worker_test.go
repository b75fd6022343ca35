package worker

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cairnstream/cairn/internal/lifeline"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/wire"
)

// runJob brings attempt to running and returns its status.
func runJob(w *world, s *session, attempt uint64, args ...string) *wire.ProcessStatus {
	s.t.Helper()
	s.deploy(attempt, w.sha, args...)
	s.awaitStatus(restoring)
	s.awaitStatus(deployed)
	s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_Start{Start: &wire.Start{Job: jobID, Attempt: attempt}}})
	return s.awaitStatus(running)
}

func TestJobFromDeploymentToEnd(t *testing.T) {
	w := setup(t)
	s := w.leader.accept(t, 1, w.store)
	if h := s.hello; h.Worker != "w1" || h.Slots != 2 || h.Cluster != "" || len(h.Processes) != 0 {
		t.Fatalf("first hello: %v", h)
	}
	status := runJob(w, s, 1, "good")
	if status.Pid == int32(os.Getpid()) || !alive(int(status.Pid)) {
		t.Fatalf("no process of its own: %v", status)
	}
	s.trigger(1, 1)
	s.stop(1, true)
	s.awaitStatus(stopped)
	s.end()
	next := w.leader.acceptUntil(t, 1, w.store, func(h *wire.Hello) bool { return len(h.Processes) == 0 })
	if next.hello.Cluster != cluster {
		t.Fatalf("hello after the end: %v", next.hello)
	}
	if alive(int(status.Pid)) {
		t.Error("the process lives on")
	}
	if _, err := os.Stat(filepath.Join(w.dir, "jobs", jobID, "work")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the working directory is left: %v", err)
	}
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func TestNewLeaderHearsEverythingUnconfirmed(t *testing.T) {
	w := setup(t)
	s := w.leader.accept(t, 1, w.store)
	before := runJob(w, s, 1, "good")
	s.trigger(1, 1)
	s.trigger(1, 2)
	s.trigger(1, 3)
	s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_Outcome{Outcome: &wire.Outcome{
		Job: jobID, Attempt: 1, Checkpoint: 2, Kind: wire.OutcomeKind_OUTCOME_KIND_COMPLETED}}})
	s.trigger(1, 4) // comes after the outcome
	s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_Outcome{Outcome: &wire.Outcome{
		Job: jobID, Attempt: 1, Checkpoint: 4, Kind: wire.OutcomeKind_OUTCOME_KIND_ABORTED}}})
	s.trigger(1, 5)
	s.end()

	s = w.leader.accept(t, 2, w.store)
	if len(s.hello.Processes) != 1 {
		t.Fatalf("hello to the new leader: %v", s.hello)
	}
	p := s.hello.Processes[0]
	if p.Status.State != running || p.Status.Process != before.Process || p.Status.Pid != before.Pid {
		t.Errorf("status %v, before it was %v", p.Status, before)
	}
	var ids []uint64
	for _, a := range p.Acks {
		ids = append(ids, a.Checkpoint)
	}
	if fmt.Sprint(ids) != "[3 5]" {
		t.Errorf("unconfirmed acknowledgements %v, want [3 5]", ids)
	}
	s.trigger(1, 6) // the process still listens
}

func TestLowerTermIsRefused(t *testing.T) {
	w := setup(t)
	s := w.leader.accept(t, 5, w.store)
	runJob(w, s, 1, "good")
	s.term = 4
	s.stop(1, true)
	s.awaitEnd()
	s = w.leader.next(t)
	if s.hello.HighestTerm != 5 || len(s.hello.Processes) != 1 || s.hello.Processes[0].Status.State != running {
		t.Fatalf("after an order of an older term: %v", s.hello)
	}
	s.term = 4
	s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_Welcome{Welcome: &wire.Welcome{Cluster: cluster, ObjectStore: w.store}}})
	s.awaitEnd()
}

func TestOrdersAreTakenOnceAndWithoutGaps(t *testing.T) {
	w := setup(t)
	s := w.leader.accept(t, 1, w.store)
	runJob(w, s, 1, "good")
	s.order-- // the next has the number of the last
	s.stop(1, true)
	s.trigger(1, 1) // a repeat was dropped: the job is still there
	s.order++
	s.stop(1, true)
	s.awaitEnd()
	if s = w.leader.accept(t, 1, w.store); len(s.hello.Processes) != 1 {
		t.Fatalf("an order after a gap was taken: %v", s.hello)
	}
}

func TestEndedAttemptNeverStartsAgain(t *testing.T) {
	w := setup(t)
	s := w.leader.accept(t, 1, w.store)
	first := runJob(w, s, 2, "good")
	s.stop(2, false)
	s.awaitStatus(stopped)
	s.deploy(1, w.sha, "good")
	s.deploy(2, w.sha, "good")
	if again := s.awaitStatus(stopped); again.Attempt != 2 {
		t.Fatalf("a repeated deployment is answered with %v", again)
	}
	if second := runJob(w, s, 3, "good"); second.Process != first.Process || second.Attempt != 3 {
		t.Errorf("attempt 3 runs in %v, attempt 2 ran in %v: the process lives on", second, first)
	}
	s.stop(3, true)
	s.awaitStatus(stopped)
	s.deploy(3, w.sha, "good") // the job is forgotten here, but not its attempts
	if fourth := runJob(w, s, 4, "good"); fourth.Attempt != 4 || fourth.Process == first.Process {
		t.Errorf("got %v", fourth)
	}
}

func TestStopOfAnUnknownJobIsAnswered(t *testing.T) {
	w := setup(t)
	s := w.leader.accept(t, 1, w.store)
	s.stop(4, true)
	if status := s.awaitStatus(stopped); status.Attempt != 4 || status.Job != jobID || !status.ProcessGone {
		t.Fatalf("got %v", status) // without process_gone a leader would order it again, for ever
	}
	s.deploy(4, w.sha, "good") // it is over before it began
	if status := s.awaitStatus(stopped); status.Attempt != 4 || status.Reason == "" {
		t.Fatalf("the deployment was answered with %v", status)
	}
	runJob(w, s, 5, "good")
}

// TestLeaderThatHangsIsLeft: its socket stays open, and nothing comes.
func TestLeaderThatHangsIsLeft(t *testing.T) {
	w := setup(t)
	hung := w.leader.accept(t, 1, w.store)
	hung.silent.Store(true)
	hung.awaitEnd()
	w.leader.accept(t, 2, w.store)
}

func TestPlacementOfAnotherIncarnationIsRefused(t *testing.T) {
	w := setup(t)
	s := w.leader.accept(t, 1, w.store)
	own := s.hello.Incarnation
	s.hello.Incarnation = "another"
	s.deploy(1, w.sha, "good")
	s.hello.Incarnation = own
	if status := runJob(w, s, 2, "good"); status.Attempt != 2 {
		t.Fatalf("got %v", status)
	}
}

func TestPanicIsReportedWithItsStack(t *testing.T) {
	w := setup(t)
	s := w.leader.accept(t, 1, w.store)
	s.deploy(1, w.sha, "panic")
	status := s.awaitStatus(failed)
	if !status.ProcessGone || !strings.Contains(status.Reason, "panic: no such airport") ||
		!strings.Contains(status.Reason, "exit status 2") || !strings.Contains(status.Stack, "helper_test.go") {
		t.Fatalf("got %v", status)
	}
	runJob(w, s, 2, "good")
}

func TestWrongArtifactIsRefused(t *testing.T) {
	w := setup(t)
	s := w.leader.accept(t, 1, w.store)
	wrong := strings.Repeat("ab", 32)
	key := cluster + "/artifacts/" + wrong
	if err := w.bucket(t).Put(t.Context(), key, []byte("#!/bin/sh\n"), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	s.deploy(1, wrong, "good")
	status := s.awaitStatus(failed)
	if !status.ProcessGone || !strings.Contains(status.Reason, "corrupt") || !strings.Contains(status.Reason, "abababab") {
		t.Errorf("got %v", status)
	}
	s.deploy(2, strings.Repeat("cd", 32), "good")
	if status := s.awaitStatus(failed); !strings.Contains(status.Reason, "not found") {
		t.Errorf("missing artifact: %v", status)
	}
	if _, err := os.Stat(filepath.Join(w.dir, "artifacts", wrong)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the wrong artifact is kept: %v", err)
	}
}

func TestPlan(t *testing.T) {
	w := setup(t)
	s := w.leader.accept(t, 1, w.store)
	for mode, want := range map[string]struct{ graph, says string }{
		"good":   {graph: `{"name":"flights"}`},
		"silent": {says: "must call stream.Main"},
		"broken": {says: `exit status 2` + "\n" + `operator "count" is stateful and has no uid`},
	} {
		s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_Plan{Plan: &wire.Plan{Request: mode, ArtifactSha256: w.sha, Args: []string{mode}}}})
		got := s.await("plan", func(m *wire.AgentMessage) bool { return m.GetPlanResult().GetRequest() == mode }).GetPlanResult()
		if string(got.Graph) != want.graph || !strings.Contains(got.Error, want.says) || (got.Error == "") != (want.says == "") {
			t.Errorf("%s: got graph %q and error %q", mode, got.Graph, got.Error)
		}
	}
}

// TestPlanMatches: a program that plans is given the restore point with its store, and what it
// says of it is the answer. One that knows nothing of that is refused.
func TestPlanMatches(t *testing.T) {
	w := setup(t)
	s := w.leader.accept(t, 1, w.store)
	for mode, want := range map[string]struct{ match, says string }{
		"matching": {match: `{"asked":{"store":"` + w.store + `","key":"k","size":"7"}}`},
		"good":     {says: "did not match itself with the restore point: build it with this version of cairn"},
	} {
		s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_Plan{Plan: &wire.Plan{
			Request: mode, ArtifactSha256: w.sha, Args: []string{mode}, Restore: &wire.RestorePoint{Key: "k", Size: 7},
		}}})
		got := s.await("plan", func(m *wire.AgentMessage) bool { return m.GetPlanResult().GetRequest() == mode }).GetPlanResult()
		if match := strings.ReplaceAll(string(got.Match), " ", ""); match != want.match || !strings.Contains(got.Error, want.says) {
			t.Errorf("%s: got match %q and error %q", mode, got.Match, got.Error)
		}
	}
}

func TestLogIsBounded(t *testing.T) {
	w := setup(t)
	s := w.leader.accept(t, 1, w.store)
	runJob(w, s, 1, "chatty") // 3.6 MB
	s.stop(1, true)
	s.awaitStatus(stopped)
	var onDisk int64
	for _, name := range []string{"log.0", "log.1"} {
		info, err := os.Stat(filepath.Join(w.dir, "jobs", jobID, name))
		if err != nil {
			t.Fatal(err)
		}
		onDisk += info.Size()
	}
	if onDisk > 2*logFileBytes || onDisk < logFileBytes {
		t.Errorf("%d bytes of log are kept, want %d to %d", onDisk, logFileBytes, 2*logFileBytes)
	}
	const tail = 1_500_000 // of both files
	s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_Logs{Logs: &wire.Logs{Request: "l", Job: jobID, MaxBytes: min(tail, onDisk)}}})
	got := s.await("logs", func(m *wire.AgentMessage) bool { return m.GetLogsResult() != nil }).GetLogsResult()
	if int64(len(got.Text)) != min(tail, onDisk) || !strings.HasSuffix(string(got.Text), "and it is long\n") ||
		!strings.Contains(string(got.Text), "line 59999 of") {
		t.Errorf("got %d bytes and error %q", len(got.Text), got.Error)
	}
	s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_Logs{Logs: &wire.Logs{Request: "x", Job: "../../etc", MaxBytes: 10}}})
	got = s.await("logs", func(m *wire.AgentMessage) bool { return m.GetLogsResult() != nil }).GetLogsResult()
	if got.Error == "" {
		t.Error("a path was taken for a job's name")
	}
}

func TestCommitsAreFinishedWithoutARunningJob(t *testing.T) {
	w := setup(t)
	s := w.leader.accept(t, 1, w.store)
	s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_FinishCommits{FinishCommits: &wire.FinishCommits{
		Job: jobID, Attempt: 3, Checkpoint: 7, ArtifactSha256: w.sha, Args: []string{"good"}}}})
	s.await("commit", func(m *wire.AgentMessage) bool { return m.GetCommitDone().GetCheckpoint() == 7 })
	s.end()
	s = w.leader.accept(t, 2, w.store)
	if p := s.hello.Processes; len(p) != 1 || len(p[0].Commits) != 1 || p[0].Commits[0].Checkpoint != 7 {
		t.Fatalf("hello: %v", s.hello)
	}
	s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_CommitsKnown{CommitsKnown: &wire.CommitsKnown{Job: jobID, Attempt: 3, Checkpoint: 7}}})
	s.deploy(3, w.sha, "good") // the job's last attempt is over: refused
	s.stop(3, true)
	s.end()
	w.leader.acceptUntil(t, 2, w.store, func(h *wire.Hello) bool { return len(h.Processes) == 0 })
}

func TestFollowerNamesTheLeader(t *testing.T) {
	w := prepare(t)
	w.start(t, serve(t, &follower{leader: w.leader.address}))
	w.leader.accept(t, 1, w.store)
}

func TestForeignClusterIsRefused(t *testing.T) {
	w := setup(t)
	w.leader.accept(t, 1, w.store)
	w.stop()
	if err := <-w.agent; err != nil {
		t.Fatal(err)
	}
	w.start(t, w.leader.address)
	s := w.leader.next(t)
	if s.hello.Cluster != cluster {
		t.Errorf("hello does not say which cluster: %v", s.hello)
	}
	s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_Welcome{Welcome: &wire.Welcome{Cluster: "c-other"}}})
	if err := <-w.agent; !errors.Is(err, ErrForeignCluster) || !strings.Contains(err.Error(), cluster) {
		t.Fatalf("got %v", err)
	}
}

func TestDataDirectoryHasOneOwner(t *testing.T) {
	w := setup(t)
	w.leader.accept(t, 1, w.store)
	if err := Run(t.Context(), w.config(w.leader.address)); !errors.Is(err, ErrDataDirInUse) {
		t.Errorf("second agent: %v", err)
	}
	w.stop()
	<-w.agent
	other := w.config(w.leader.address)
	other.ID = "w2"
	if err := writeJSON(filepath.Join(w.dir, "worker.json"), identity{Format: identityFormat, Worker: "w1"}); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), other); err == nil || !strings.Contains(err.Error(), `belongs to worker "w1"`) {
		t.Errorf("another worker: %v", err)
	}
}

func TestMetrics(t *testing.T) {
	w := prepare(t)
	dir, err := openDataDir(w.dir, "w1")
	if err != nil {
		t.Fatal(err)
	}
	cfg := w.config(w.leader.address).WithDefaults()
	cfg.MetricsListen = "127.0.0.1:0"
	m := newMachine(cfg, dir, t.TempDir())
	a := newAgent(m)
	m.present.Store(a)
	a.reports.begin(&wire.ProcessStatus{Job: jobID, Attempt: 1})
	a.reports.heard(jobID, &wire.TaskMessage{Body: &wire.TaskMessage_Stats{Stats: &wire.ProcessStats{Puts: 41}}})
	l, err := m.listenMetrics()
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	ctx := t.Context()
	go func() { served <- m.serveMetrics(ctx, l) }()
	response, err := http.Get("http://" + m.metered + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if want := `cairn_job_puts{job="` + jobID + `"} 41`; !strings.Contains(string(text), want) {
		t.Errorf("no %q in %s", want, text)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	<-served
	http.DefaultClient.CloseIdleConnections()
	if err := dir.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestConfigReportsEveryProblem(t *testing.T) {
	err := Config{ID: "No!", Slots: 5000, Controllers: []string{"nowhere"}, Host: "a/b", MetricsListen: "x"}.Validate()
	for _, flag := range []string{"--id", "--data-dir", "--slots", "--controllers", "--host", "--metrics-listen"} {
		if err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("%v does not mention %s", err, flag)
		}
	}
	good := Config{ID: "w1", DataDir: "x", Controllers: []string{"127.0.0.1:7070"}}
	if err := good.WithDefaults().Validate(); err != nil {
		t.Error(err)
	}
}

// TestProcessesDieWithTheirAgent kills a real agent with SIGKILL. The process
// "good" ends when it loses the socket; "deaf" does not care, and only the
// kernel's signal ends it.
func TestProcessesDieWithTheirAgent(t *testing.T) {
	for _, mode := range agentDeathModes {
		t.Run(mode, func(t *testing.T) {
			w := prepare(t)
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), envAgent+"="+w.dir+" "+w.leader.address)
			cmd.Stderr = os.Stderr
			lifeline.Own(cmd)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
			s := w.leader.accept(t, 1, w.store)
			pid := int(runJob(w, s, 1, mode).Pid)
			if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			awaitDeath(t, pid)
			left, err := os.ReadFile(filepath.Join(w.dir, "sockets"))
			if err != nil {
				t.Fatal(err)
			}
			cmd.Wait() // releases the data directory's lock
			w.start(t, w.leader.address)
			w.leader.accept(t, 2, w.store)
			if _, err := os.Stat(string(left)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the next start leaves %s: %v", left, err)
			}
		})
	}
}

// awaitDeath polls: the process is nobody's child that we could wait for.
func awaitDeath(t *testing.T, pid int) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !gone(pid) {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("process %d lives on", pid)
		}
	}
}

// gone tells whether the process has ended; one that nobody has waited for yet
// counts as ended.
func gone(pid int) bool {
	if !alive(pid) {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}
