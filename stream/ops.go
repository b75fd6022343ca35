package stream

import (
	"fmt"
	"slices"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
)

// Stream is a stream of records of type T while a job is built. It may be used
// by any number of operators; each gets every record.
type Stream[T any] struct {
	p       *Pipeline
	origins []origin
	part    dataflow.Partitioning // "" leaves it to the parallelisms
}

// origin is an output of an operator.
type origin struct {
	uid         dataflow.UID
	output      int
	parallelism int
}

func newStream[T any](p *Pipeline, o dataflow.Operator, output int) Stream[T] {
	return Stream[T]{p: p, origins: []origin{{o.UID, output, o.Parallelism}}}
}

// partitioning is how records go from one operator to the next if nobody
// chose: straight on if that can be, else round robin.
func (s Stream[T]) partitioning(from origin, to dataflow.Operator) dataflow.Partitioning {
	switch {
	case s.part != "":
		return s.part
	case from.parallelism == to.Parallelism:
		return dataflow.Forward
	default:
		return dataflow.Rebalance
	}
}

// Rebalance makes the next operator's subtasks get batches of s in turn.
func Rebalance[T any](s Stream[T]) Stream[T] { s.part = dataflow.Rebalance; return s }

// Broadcast makes every subtask of the next operator get every record of s.
func Broadcast[T any](s Stream[T]) Stream[T] { s.part = dataflow.Broadcast; return s }

// Union is the records of all the streams, in no particular order among them.
func Union[T any](first Stream[T], more ...Stream[T]) Stream[T] {
	u := Stream[T]{p: first.p, part: first.part, origins: append([]origin(nil), first.origins...)}
	for _, s := range more {
		if s.part != u.part {
			u.p.Fail(fmt.Errorf("union: streams with and without Rebalance or Broadcast: apply it to the union"))
		}
		u.origins = append(u.origins, s.origins...)
	}
	return u
}

// From reads a source. It needs a UID: its position is state.
func From[T any](p *Pipeline, name string, src connector.Source[T], opts ...Option) Stream[T] {
	s := p.apply(name, "a source", opts)
	so := engine.SourceOptions[T]{
		Watermarks: s.source.watermarks, OutOfOrder: s.source.outOfOrder,
		IdleAfter: s.source.idleAfter, FailOnBad: s.source.failOnBad,
		AlignGroup: s.source.alignGroup, AlignDrift: s.source.alignDrift,
	}
	if f, ok := s.source.timestamp.(func(T) int64); ok {
		so.Timestamp = f
	} else if s.source.timestamp != nil {
		p.problem(name, fmt.Errorf("Timestamps is a %T and the records are not of that type", s.source.timestamp))
	}
	p.problem(name, s.source.checkAlign())
	o := p.add(dataflow.Operator{Name: name, Kind: dataflow.Source, Stateful: true}, s, engine.NewSource(src, so))
	if s.source.badTarget != nil {
		*s.source.badTarget = newStream[connector.BadRecord](p, o, engine.BadOutput)
	}
	return newStream[T](p, o, 0)
}

// Map applies f to every record.
func Map[In, Out any](s Stream[In], name string, f func(In) Out, opts ...Option) Stream[Out] {
	return stateless(s, name, opts, func(out *engine.Output[Out]) engine.TransformFunc[In] {
		return func(b *engine.Batch[In]) error {
			for i, v := range b.Values {
				out.Emit(f(v), b.Times[i])
			}
			return nil
		}
	})
}

// Filter keeps the records for which keep is true.
func Filter[T any](s Stream[T], name string, keep func(T) bool, opts ...Option) Stream[T] {
	return stateless(s, name, opts, func(out *engine.Output[T]) engine.TransformFunc[T] {
		return func(b *engine.Batch[T]) error {
			for i, v := range b.Values {
				if keep(v) {
					out.Emit(v, b.Times[i])
				}
			}
			return nil
		}
	})
}

// FlatMap makes any number of records of each: f calls emit for them. They
// have the event time of the record they come from.
func FlatMap[In, Out any](s Stream[In], name string, f func(v In, emit func(Out)), opts ...Option) Stream[Out] {
	return stateless(s, name, opts, func(out *engine.Output[Out]) engine.TransformFunc[In] {
		var now int64
		emit := func(v Out) { out.Emit(v, now) }
		return func(b *engine.Batch[In]) error {
			for i, v := range b.Values {
				now = b.Times[i]
				f(v, emit)
			}
			return nil
		}
	})
}

// stateless declares an operator without state from the function over a batch
// that make returns for each subtask.
func stateless[In, Out any](s Stream[In], name string, opts []Option, make func(*engine.Output[Out]) engine.TransformFunc[In]) Stream[Out] {
	set := s.p.apply(name, "an operator without state", opts)
	code := engine.NewTransform(func(ctx *engine.OpContext) (engine.Transform[In], error) {
		return newPoisons[In](ctx, set).wrap(make(engine.OutputOf[Out](ctx, 0))), nil
	})
	o := s.p.add(dataflow.Operator{Name: name, Kind: dataflow.Transform}, set, code)
	connect(s, o, "", engine.NewEdge[In])
	set.connectPoison(s.p, o)
	return newStream[Out](s.p, o, 0)
}

// To writes a stream to a sink. A transactional sink needs a UID.
func To[T any](s Stream[T], name string, sink connector.Sink[T], opts ...Option) {
	set := s.p.apply(name, "a sink", opts)
	_, transactional := sink.(connector.Transactional)
	o := s.p.add(dataflow.Operator{Name: name, Kind: dataflow.Sink, Stateful: transactional, Transactional: transactional}, set, engine.NewSink(sink))
	connect(s, o, "", engine.NewEdge[T])
}

// apply collects an operator's options and refuses those that it does not have.
func (p *Pipeline) apply(name, kind string, opts []Option) *settings {
	s := &settings{name: name, kind: kind}
	p.applied = append(p.applied, s)
	for _, o := range opts {
		o(s)
	}
	if kind != "a source" && len(s.onSource) > 0 {
		p.problem(name, fmt.Errorf("%s is %s: it takes no %v", name, kind, s.onSource))
	}
	if kind == deduplication {
		s.onWindow = slices.DeleteFunc(s.onWindow, func(option string) bool { return option == "LateTo" })
	}
	if kind != "a window" && len(s.onWindow) > 0 {
		p.problem(name, fmt.Errorf("%s is %s: it takes no %v", name, kind, s.onWindow))
	}
	return s
}
