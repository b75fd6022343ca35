package worker

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cairnstream/cairn/wire"
)

// keep puts a file where the job's process keeps its copies, and returns its path.
func keep(t *testing.T, w *world, job string) string {
	t.Helper()
	dir := filepath.Join(w.dir, "jobs", job, "state", "objects")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "copy")
	if err := os.WriteFile(path, []byte("state"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestLocalStateLivesAsLongAsItsJob: it survives attempts, processes and an end
// that is not the job's, and goes with the job.
func TestLocalStateLivesAsLongAsItsJob(t *testing.T) {
	w := setup(t)
	s := w.leader.accept(t, 1, w.store)
	runJob(w, s, 1, "good")
	path := keep(t, w, jobID)
	s.stop(1, false)
	s.awaitStatus(stopped)
	runJob(w, s, 2, "good")
	s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_Stop{Stop: &wire.Stop{Job: jobID, Attempt: 2, EndProcess: true, KeepFiles: true}}})
	s.awaitStatus(stopped)
	if !exists(path) {
		t.Error("it is gone, and the job has not ended")
	}
	runJob(w, s, 3, "good")
	s.stop(3, true)
	s.awaitStatus(stopped)
	s.end()
	s = w.leader.acceptUntil(t, 1, w.store, func(h *wire.Hello) bool { return len(h.Processes) == 0 })
	if exists(path) || len(s.hello.KeptJobs) != 0 {
		t.Errorf("it is left, and the job has ended: the agent keeps %v", s.hello.KeptJobs)
	}
}

// TestLocalStateOfJobsThatEndedElsewhereGoes: the agent was away, or killed.
func TestLocalStateOfJobsThatEndedElsewhereGoes(t *testing.T) {
	w := setup(t)
	over, alive := keep(t, w, "over-aaaaaa"), keep(t, w, "alive-bbbbbb")
	s := w.leader.accept(t, 1, w.store)
	s.end()
	s = w.leader.next(t)
	if !slices.Equal(s.hello.KeptJobs, []string{"alive-bbbbbb", "over-aaaaaa"}) {
		t.Fatalf("the agent says that it keeps %v", s.hello.KeptJobs)
	}
	s.term = 1
	s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_Welcome{Welcome: &wire.Welcome{
		Cluster: cluster, Leader: "c1", ObjectStore: w.store, HeartbeatMs: 50, EndedJobs: []string{"over-aaaaaa", "../alive-bbbbbb"}}}})
	s.stop(1, false) // is answered, so the welcome is taken
	s.awaitStatus(stopped)
	if exists(over) || !exists(alive) {
		t.Errorf("of the job that ended it is left: %v; of the other: %v", exists(over), exists(alive))
	}
}
