package stream_test

import (
	"context"
	"testing"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/stream"
)

// nothingOf is a sink that drops what it gets.
type nothingOf[T any] struct{}

func (nothingOf[T]) Open(context.Context, connector.Env) (connector.Writer[T], error) {
	return nothingOf[T]{}, nil
}
func (nothingOf[T]) Write([]T, []int64) error { return nil }
func (nothingOf[T]) Prepare(dataflow.CheckpointID) (func(context.Context) ([][]byte, error), error) {
	return nil, nil
}
func (nothingOf[T]) Close() error { return nil }

// TestJoinExactlyOnce: each pair comes once, whichever of the two came first.
func TestJoinExactlyOnce(t *testing.T) {
	forSeeds(t, 600, 40, func(t *testing.T, m twoModel) {
		var want []string
		m.pairsOf(func(a, b rec) { want = append(want, pairLine(a, b)) })
		m.check(t, want, func(a, b stream.Keyed[int, rec]) stream.Stream[string] {
			return stream.Join(a, b, "pair", 0, pairLine, stream.UID("pair"))
		})
	})
}
