package worker

import (
	"encoding/json"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/wire"
)

// TestEndedIncarnationComesBackAsAnother: an agent that was cut off for longer
// than its grace, with a process that does not even listen, ends it and begins
// anew. Nothing of what was goes into what is.
func TestEndedIncarnationComesBackAsAnother(t *testing.T) {
	w := setup(t)
	s := w.leader.accept(t, 3, w.store)
	first := s.hello.Incarnation
	before := runJob(w, s, 1, "good")
	s.trigger(1, 1) // nobody knows its outcome
	if err := syscall.Kill(int(before.Pid), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s.stop(1, true) // as a leader says before it dismisses; it is not heard
	s.dismiss()

	s = w.leader.accept(t, 3, w.store)
	if h := s.hello; h.Incarnation == first || len(h.Processes) != 0 || h.HighestTerm != 3 || h.Cluster != cluster {
		t.Fatalf("it comes back as %v, after incarnation %s", h, first)
	}
	if !gone(int(before.Pid)) {
		t.Errorf("process %d lives on", before.Pid)
	}
	if told := listening(t, w); told != s.hello.Incarnation {
		t.Errorf("listening.json tells incarnation %s, it is %s", told, s.hello.Incarnation)
	}
	s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_Deploy{Deploy: &wire.Deploy{
		Cluster: cluster, Job: jobID, Attempt: 2, ArtifactSha256: w.sha, Args: []string{"good"},
		Placements: []*wire.Placement{{Subtask: &wire.Subtask{}, Worker: "w1", Incarnation: first}},
	}}})
	if after := runJob(w, s, 3, "good"); after.Process == before.Process || after.Attempt != 3 {
		t.Errorf("attempt 3 is %v", after)
	}
	s.trigger(3, 2)
}

// listening is the incarnation in listening.json.
func listening(t *testing.T, w *world) string {
	data, err := os.ReadFile(filepath.Join(w.dir, "listening.json"))
	if err != nil {
		t.Fatal(err)
	}
	var told struct{ Incarnation string }
	if err := json.Unmarshal(data, &told); err != nil {
		t.Fatal(err)
	}
	return told.Incarnation
}

// TestRefusalAloneEndsNothing: only a leader that says so ends an incarnation.
func TestRefusalAloneEndsNothing(t *testing.T) {
	w := setup(t)
	s := w.leader.accept(t, 1, w.store)
	first, before := s.hello.Incarnation, runJob(w, s, 1, "good")
	s.endWith(status.Error(codes.FailedPrecondition, "another agent took the name"))
	s = w.leader.accept(t, 1, w.store)
	if h := s.hello; h.Incarnation != first || len(h.Processes) != 1 || h.Processes[0].Status.Pid != before.Pid {
		t.Errorf("it comes back as %v, it was incarnation %s", h, first)
	}
	s.trigger(1, 1)
}
