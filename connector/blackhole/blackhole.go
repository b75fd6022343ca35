// Package blackhole is a sink that forgets every record: for benchmarks, and
// for jobs whose operators do the work themselves.
package blackhole

import (
	"context"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
)

// Sink forgets records of type T. The zero value is ready.
type Sink[T any] struct{}

// Open makes the writer of a subtask.
func (Sink[T]) Open(context.Context, connector.Env) (connector.Writer[T], error) {
	return writer[T]{}, nil
}

type writer[T any] struct{}

// Write forgets.
func (writer[T]) Write([]T, []int64) error { return nil }

// Prepare has nothing to do.
func (writer[T]) Prepare(dataflow.CheckpointID) (func(context.Context) ([][]byte, error), error) {
	return nil, nil
}

// Close has nothing to do.
func (writer[T]) Close() error { return nil }

var _ connector.Sink[int] = Sink[int]{}
