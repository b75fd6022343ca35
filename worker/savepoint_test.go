package worker

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/wire"
)

// TestSavepointIsWrittenByAProcessOfItsOwn: beside the job's, which does not notice. The
// newest order for a savepoint counts; a process that ends without a word is an error.
func TestSavepointIsWrittenByAProcessOfItsOwn(t *testing.T) {
	w := setup(t)
	s := w.leader.accept(t, 1, w.store)
	s.deploy(1, w.sha, "good")
	s.awaitStatus(deployed)
	tries := 0
	write := func(id uint64, mode string) string {
		tries++
		folder := fmt.Sprintf("f%d/", tries)
		s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_WriteSavepoint{WriteSavepoint: &wire.WriteSavepoint{
			Job: jobID, Savepoint: id, ArtifactSha256: w.sha, Args: []string{mode}, Folder: folder}}})
		return folder
	}
	written := func(folder string) *wire.SavepointWritten {
		t.Helper()
		return s.await("savepoint in "+folder, func(m *wire.AgentMessage) bool {
			return m.GetSavepointWritten().GetFolder() == folder
		}).GetSavepointWritten()
	}
	if got := written(write(7, "good")); got.Error != "" || got.Rows != 3 || got.Savepoint != 7 {
		t.Fatalf("written: %v", got)
	}
	if got := written(write(8, "panic")); !strings.Contains(got.Error, "no such airport") {
		t.Fatalf("a process that panicked: %v", got)
	}
	write(9, "hang")
	if got := written(write(9, "good")); got.Error != "" {
		t.Fatalf("after one that hung: %v", got)
	}
	s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_Start{Start: &wire.Start{Job: jobID, Attempt: 1}}})
	s.awaitStatus(running)
	s.stop(1, true)
}
