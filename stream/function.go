package stream

import (
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/state"
)

// Function is a job author's code for records without keys. It may keep operator
// state: see SplitList, UnionList and BroadcastState. Each subtask has its own, which
// one goroutine uses, so its fields need no locks; what must survive a failure
// belongs into state that Open declares.
//
// An error or a panic ends the attempt, and the job restarts from its last
// checkpoint, unless PoisonTo sets the record aside.
type Function[In, Out any] interface {
	Open(s *Setup) error
	// Process takes one record and emits what comes of it.
	Process(out *Emitter[Out], in In) error
}

// Apply applies a Function to records without keys; create makes one per subtask.
// It needs a UID.
func Apply[In, Out any](s Stream[In], name string, create func() Function[In, Out], opts ...Option) Stream[Out] {
	set := s.p.apply(name, "a function", opts)
	code := engine.NewTransform(func(ctx *engine.OpContext) (engine.Transform[In], error) {
		f := &function[In, Out]{f: create(), emit: newEmitter[Out](ctx), poisons: newPoisons[In](ctx, set)}
		f.one = f.process
		setup := newSetup(ctx)
		setup.withSides(set, &f.emit.time)
		if err := f.f.Open(setup); err != nil {
			return nil, err
		}
		return f, setup.err
	})
	o := s.p.add(dataflow.Operator{Name: name, Kind: dataflow.Transform, Stateful: true}, set, code)
	connect(s, o, "", engine.NewEdge[In])
	set.connectSides(s.p, o)
	set.connectPoison(s.p, o)
	return newStream[Out](s.p, o, 0)
}

// function is a Function in one subtask.
type function[In, Out any] struct {
	f    Function[In, Out]
	emit Emitter[Out]

	poisons *poisons[In]                           // nil if nobody asked for them
	one     func(b *engine.Batch[In], i int) error // process
}

func (f *function[In, Out]) Process(b *engine.Batch[In]) error {
	if f.poisons != nil {
		return f.poisons.each(b, f.one)
	}
	for i, v := range b.Values {
		f.emit.time = b.Times[i]
		if err := f.f.Process(&f.emit, v); err != nil {
			return err
		}
	}
	return nil
}

// process processes record i of a batch.
func (f *function[In, Out]) process(b *engine.Batch[In], i int) error {
	f.emit.time = b.Times[i]
	return f.f.Process(&f.emit, b.Values[i])
}

func (f *function[In, Out]) Watermark(wm int64) error {
	f.emit.wm = max(f.emit.wm, wm)
	return nil
}

// OperatorList is a list of items that belong to no key. See state.OperatorList.
type OperatorList[T any] = state.OperatorList[T]

// Broadcasted is a map that is the same in all subtasks. See state.Broadcast.
type Broadcasted[K comparable, V any] = state.Broadcast[K, V]

// SplitList declares a list of items that belong to no key, such as records that
// wait to be sent together: Flink's operator list state. A restart with another
// parallelism deals the items out to the subtasks anew. It is small: every
// checkpoint holds all of it.
//
//	f.waiting = stream.SplitList[Order](s, "waiting")
//	...
//	f.waiting.Add(order)
func SplitList[T any](s *Setup, name string) *OperatorList[T] {
	l, err := state.NewSplitList[T](s.ctx.States, name)
	s.fail(err)
	return l
}

// UnionList is SplitList for a list of which a restart gives every subtask the items
// of all: Flink's union list state.
func UnionList[T any](s *Setup, name string) *OperatorList[T] {
	l, err := state.NewUnionList[T](s.ctx.States, name)
	s.fail(err)
	return l
}

// BroadcastState declares a map that is the same in all subtasks, as rules are that
// come over Broadcast: Flink's broadcast state. Every subtask must do the same with it,
// for the same records in the same order; a restart gives each of them one
// subtask's copy.
//
//	f.limits = stream.BroadcastState[string, int64](s, "limits")
//	...
//	f.limits.Put(rule.Name, rule.Limit)
func BroadcastState[K comparable, V any](s *Setup, name string) *Broadcasted[K, V] {
	b, err := state.NewBroadcast[K, V](s.ctx.States, name)
	s.fail(err)
	return b
}
