package stream

import "github.com/cairnstream/cairn/engine"

// TryMap is Map for an f that may refuse a record. An error ends the attempt, unless
// PoisonTo sets the record aside.
func TryMap[In, Out any](s Stream[In], name string, f func(In) (Out, error), opts ...Option) Stream[Out] {
	return stateless(s, name, opts, func(out *engine.Output[Out]) engine.TransformFunc[In] {
		return func(b *engine.Batch[In]) error {
			for i, v := range b.Values {
				made, err := f(v)
				if err != nil {
					return err
				}
				out.Emit(made, b.Times[i])
			}
			return nil
		}
	})
}

// TryFlatMap is FlatMap for an f that may refuse a record. An error ends the attempt,
// unless PoisonTo sets the record aside; what f emitted before it stays.
func TryFlatMap[In, Out any](s Stream[In], name string, f func(v In, emit func(Out)) error, opts ...Option) Stream[Out] {
	return stateless(s, name, opts, func(out *engine.Output[Out]) engine.TransformFunc[In] {
		var now int64
		emit := func(v Out) { out.Emit(v, now) }
		return func(b *engine.Batch[In]) error {
			for i, v := range b.Values {
				now = b.Times[i]
				if err := f(v, emit); err != nil {
					return err
				}
			}
			return nil
		}
	})
}
