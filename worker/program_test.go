package worker

import (
	"strings"
	"testing"

	"github.com/cairnstream/cairn/wire"
)

// TestParallelismReachesTheProgram in each of its roles, and the agent's own
// environment does not.
func TestParallelismReachesTheProgram(t *testing.T) {
	t.Setenv(envParallelism, "99")
	w := setup(t)
	s := w.leader.accept(t, 1, w.store)
	args := []string{"parallel"}
	for parallelism, want := range map[int32]string{0: `{"name":"flights"}`, 3: `{"name":"flights3"}`} {
		s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_Plan{Plan: &wire.Plan{
			Request: want, ArtifactSha256: w.sha, Args: args, Parallelism: parallelism}}})
		got := s.await("plan", func(m *wire.AgentMessage) bool { return m.GetPlanResult().GetRequest() == want }).GetPlanResult()
		if string(got.Graph) != want {
			t.Errorf("parallelism %d: graph %s, %s", parallelism, got.Graph, got.Error)
		}
	}
	deploy := func(attempt uint64, parallelism int32) *wire.ProcessStatus {
		s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_Deploy{Deploy: &wire.Deploy{
			Cluster: cluster, Job: jobID, Attempt: attempt, ArtifactSha256: w.sha, Args: args, Parallelism: parallelism,
			Placements: []*wire.Placement{{Subtask: &wire.Subtask{}, Worker: "w1", Incarnation: s.hello.Incarnation}},
		}}})
		return s.awaitStatus(deployed)
	}
	first, second, third := deploy(1, 0), deploy(2, 3), deploy(3, 3)
	if first.Process == second.Process || second.Process != third.Process {
		t.Errorf("processes %s, %s, %s: want another for another parallelism only", first.Process, second.Process, third.Process)
	}
	s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_FinishCommits{FinishCommits: &wire.FinishCommits{
		Job: jobID, Attempt: 3, Checkpoint: 7, ArtifactSha256: w.sha, Args: args, Parallelism: 2}}})
	s.await("commit", func(m *wire.AgentMessage) bool { return m.GetCommitDone().GetCheckpoint() == 7 })
	s.stop(3, true)
	s.awaitStatus(stopped)
	s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_Logs{Logs: &wire.Logs{Request: "l", Job: jobID, MaxBytes: 1000}}})
	got := s.await("logs", func(m *wire.AgentMessage) bool { return m.GetLogsResult() != nil }).GetLogsResult()
	want := "parallelism \"\"\nparallelism \"3\"\nparallelism \"3\"\nparallelism \"2\"\n"
	if !strings.Contains(string(got.Text), want) {
		t.Errorf("the processes saw %s", got.Text)
	}
}
