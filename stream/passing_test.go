package stream_test

import (
	"context"
	"testing"
	"time"

	"github.com/cairnstream/cairn/engine/enginetest"
)

// TestTriggerThatReachedOneProcessReachesAll: a leader triggers one process
// after the other and may die in between. The barriers of the one must make the
// others take part, or they would hold its channels back until the next leader.
func TestTriggerThatReachedOneProcessReachesAll(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // without the passing on it never ends
	defer cancel()
	m := newModel(7)
	m.shape, m.window = 0, false
	c := enginetest.New(m.seed, 3)
	c.TriggerFirst = true
	sink := enginetest.NewSink[out]()
	if err := c.Run(ctx, m.program(t, 3, sink)); err != nil {
		t.Fatal(err)
	}
	compare(t, m.got(sink), m.want())
	if c.Completed < 2 {
		t.Errorf("%d checkpoints, want some before the final one", c.Completed)
	}
}
