package changelog

import (
	"errors"
	"testing"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore/mem"
)

// TestInFlightOfAbortedCheckpointsDoesNotPileUp: while nothing can be sent, each checkpoint that comes to
// nothing makes room for the next one's; one whose turn to be sent has come stays.
func TestInFlightOfAbortedCheckpointsDoesNotPileUp(t *testing.T) {
	u, err := New(Config{Bucket: mem.New(), Prefix: "p/1/"}) // it does not run
	if err != nil {
		t.Fatal(err)
	}
	u.KeepInFlight(1, inFlightOf(1))
	one := u.memory
	u.beginLocked(u.queue[0]) // as for an upload
	for id := dataflow.CheckpointID(2); id <= 50; id++ {
		u.KeepInFlight(id, inFlightOf(int(id)))
		if len(u.queue) != 2 || len(u.inFlights) != 4 || u.memory > 3*one || u.waiting != u.memory || u.flight.waiting != u.waiting {
			t.Fatalf("checkpoint %d: %d packs, %d segments, %d bytes in memory, %d waiting; want those of two checkpoints of about %d",
				id, len(u.queue), len(u.inFlights), u.memory, u.waiting, one)
		}
	}
	p := u.queue[1]
	u.KeepInFlight(51, nil)
	if len(u.queue) != 1 || u.memory != one {
		t.Fatalf("%d packs, %d bytes in memory: want what is being sent", len(u.queue), u.memory)
	}
	if err := u.await(t.Context(), p, 0); !errors.Is(err, errOvertaken) {
		t.Fatalf("who waits for what is given up gets %v", err)
	}
}
