package stream

import (
	"log/slog"

	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/state"
)

// Value is one value of type T per key. See state.Value.
type Value[T any] = state.Value[T]

// MapOf is a map from K to V per key, in the order of K. See state.Map.
type MapOf[K, V any] = state.Map[K, V]

// Setup is what a Processor gets when it is opened: where it runs, and its state.
type Setup struct {
	ctx *engine.OpContext
	err error
}

// ValueState declares a value per key. The name finds it again after a restart, so
// it must not change, nor may T in an incompatible way: the job would refuse to
// start. A problem makes the Processor's opening fail; there is no need to check here.
func ValueState[T any](s *Setup, name string) *Value[T] {
	v, err := state.NewValue[T](s.ctx.Store, name)
	s.fail(err)
	return v
}

// MapState declares a map per key; see ValueState.
func MapState[K, V any](s *Setup, name string) *MapOf[K, V] {
	m, err := state.NewMap[K, V](s.ctx.Store, name)
	s.fail(err)
	return m
}

func (s *Setup) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// Subtask is which subtask of the operator this is, from 0, of how many.
func (s *Setup) Subtask() (number, of int) { return s.ctx.Subtask, s.ctx.Parallelism }

// Log is for messages of this operator.
func (s *Setup) Log() *slog.Logger { return s.ctx.Log }
