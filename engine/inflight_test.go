package engine

import (
	"errors"
	"testing"

	"github.com/cairnstream/cairn/snapshot"
)

// TestSubsumedCheckpointIsNotFinished: a checkpoint that a newer one has overtaken finds that
// the uploader has let go of its records in flight, and must not be acknowledged without them.
func TestSubsumedCheckpointIsNotFinished(t *testing.T) {
	out := &snapshot.Process{Subtasks: make([]snapshot.Subtask, 2)}
	kept := [][]snapshot.InFlight{nil, {{Edge: 0, Rows: 7}}}
	if err := new(Attempt).refer(out, kept, nil); !errors.Is(err, errSubsumed) {
		t.Fatalf("got %v, want %v", err, errSubsumed)
	}
}
