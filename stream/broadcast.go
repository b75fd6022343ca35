package stream

import (
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
)

// BroadcastProcessor is a Processor that a second stream tells what to do: every subtask
// gets all of that, such as rules or limits, and keeps it in BroadcastState. See Processor for
// the rest.
//
//	type limiter struct {
//		stream.NoTimers[string, Alarm]
//		limits *stream.Broadcasted[string, int64]
//	}
//
//	func (l *limiter) Open(s *stream.Setup) error {
//		l.limits = stream.BroadcastState[string, int64](s, "limits")
//		return nil
//	}
//
//	func (l *limiter) Process(ctx *stream.Context[string, Alarm], r Reading) error {
//		if limit, ok := l.limits.Get(r.Kind); ok && r.Value > limit {
//			ctx.Emit(Alarm{r, limit})
//		}
//		return nil
//	}
//
//	func (l *limiter) ProcessBroadcast(_ *stream.Emitter[Alarm], u Limit) error {
//		l.limits.Put(u.Kind, u.Value)
//		return nil
//	}
type BroadcastProcessor[K, A, B, Out any] interface {
	Open(s *Setup) error
	// Process takes a record with a key, OnTimer a timer: see Processor.
	Process(ctx *Context[K, Out], a A) error
	// ProcessBroadcast takes a record that every subtask gets. Each must do the same
	// with it: what it puts into broadcast state depends on the record and that state
	// only, and not on the order of records from different subtasks upstream. What it emits,
	// every subtask emits. It has no key: to use keyed state ends the attempt.
	ProcessBroadcast(out *Emitter[Out], b B) error
	OnTimer(ctx *Context[K, Out], t Timer) error
}

// WithBroadcast applies a BroadcastProcessor to a stream with keys and one that all
// subtasks get; create makes one per subtask. Which of two records of different streams
// comes first is open: who must not miss a rule keeps the records that came before it. It needs
// a UID.
func WithBroadcast[K, A, B, Out any](a Keyed[K, A], b Stream[B], name string, create func() BroadcastProcessor[K, A, B, Out], opts ...Option) Stream[Out] {
	p := a.s.p
	set := p.apply(name, "a process function with a broadcast stream", opts)
	p.checkSame(name, b.p)
	keys := keyCodec[K](p, name)
	code := engine.NewKeyedWithBroadcast(keys.Schema(), func(ctx *engine.OpContext) (engine.Transform2[A, B], error) {
		return openBroadcast(ctx, newKeyTracker(ctx, a.key, keys), create(), set)
	})
	o := p.add(dataflow.Operator{Name: name, Kind: dataflow.Transform, Stateful: true, Inputs: inputsOf2}, set, code)
	a.connect(o, 0, keys)
	connectInput(b, o, 1, dataflow.Broadcast, engine.NewEdge[B])
	set.connectSides(p, o)
	set.connectPoison(p, o)
	return newStream[Out](p, o, 0)
}

// withBroadcast is a BroadcastProcessor in one subtask.
type withBroadcast[K, A, B, Out any] struct {
	*process[K, A, Out]
	told BroadcastProcessor[K, A, B, Out]
	emit Emitter[Out]
}

func openBroadcast[K, A, B, Out any](ctx *engine.OpContext, keys *keyTracker[K, A], proc BroadcastProcessor[K, A, B, Out], set *settings) (engine.Transform2[A, B], error) {
	p, err := openProcess(ctx, keys, Processor[K, A, Out](proc), set)
	if err != nil {
		return nil, err
	}
	return &withBroadcast[K, A, B, Out]{process: p, told: proc, emit: p.ctx.Emitter}, nil
}

func (w *withBroadcast[K, A, B, Out]) ProcessFirst(b *engine.Batch[A]) error { return w.Process(b) }

// noGroup is no key group: a store that is set to it finds nothing and panics.
const noGroup = -1

func (w *withBroadcast[K, A, B, Out]) ProcessSecond(b *engine.Batch[B]) error {
	w.setup.now = &w.emit.time
	for i, v := range b.Values {
		w.keys.store.SetKey(noGroup, nil)
		w.emit.time = b.Times[i]
		if err := w.told.ProcessBroadcast(&w.emit, v); err != nil {
			return err
		}
	}
	w.setup.now = &w.ctx.time
	return nil
}

func (w *withBroadcast[K, A, B, Out]) Watermark(wm int64) error {
	w.emit.wm = max(w.emit.wm, wm)
	return w.process.Watermark(wm)
}

var _ engine.TimedTransform = (*withBroadcast[int, int, int, int])(nil)
