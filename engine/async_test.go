package engine

import (
	"context"
	"errors"
	"testing"
)

// TestLookupsThatTheEndCutsShortHaveNotFailed: a lookup that returns because the attempt ends
// says nothing about its record, which the next attempt asks for again.
func TestLookupsThatTheEndCutsShortHaveNotFailed(t *testing.T) {
	stopped := errors.New("the attempt is stopped")
	asked := make(chan struct{})
	code := NewAsync(func(*OpContext) (Lookups[int, int], error) {
		return Lookups[int, int]{
			Ask: func(ctx context.Context, _ int) (int, error) {
				close(asked)
				<-ctx.Done()
				return 0, context.Cause(ctx)
			},
			Failed:   func(v int, _ int64, err error) error { t.Errorf("record %d counts as failed: %v", v, err); return nil },
			InFlight: 1,
		}, nil
	})
	n := code.node().(*asyncNode[int, int])
	o := &opening{op: &OpContext{BatchRows: 1, stats: newCounters()}, position: &position{}}
	if err := n.open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	n.begin(ctx, make(chan struct{}, 1))
	if err := n.process(&Batch[int]{Values: []int{1}, Times: []int64{0}}); err != nil {
		t.Fatal(err)
	}
	<-asked
	cancel(stopped)
	n.lookups.Wait()
	if _, err := n.answers(); !errors.Is(err, stopped) {
		t.Errorf("got %v, want what ended the attempt", err)
	}
	n.end()
}
