package stream

import (
	"github.com/cairnstream/cairn/engine"
)

// CoProcessor is a Processor of two streams with keys of one type: records of both
// with the same key meet in one place, and share state and timers. Which of two records comes
// first is open, unless they are of one stream. See Processor for the rest.
//
//	type matcher struct {
//		stream.NoTimers[int64, Paid]
//		order *stream.Value[Order]
//	}
//
//	func (m *matcher) Open(s *stream.Setup) error {
//		m.order = stream.ValueState[Order](s, "order", stream.TTL(24*time.Hour))
//		return nil
//	}
//
//	func (m *matcher) ProcessFirst(_ *stream.Context[int64, Paid], o Order) error { return m.order.Set(o) }
//
//	func (m *matcher) ProcessSecond(ctx *stream.Context[int64, Paid], p Payment) error {
//		o, ok, err := m.order.Get()
//		if ok {
//			ctx.Emit(Paid{o, p})
//		}
//		return err
//	}
type CoProcessor[K, A, B, Out any] interface {
	Open(s *Setup) error
	// ProcessFirst takes a record of the first stream, ProcessSecond one of the second.
	// State is that of the record's key.
	ProcessFirst(ctx *Context[K, Out], a A) error
	ProcessSecond(ctx *Context[K, Out], b B) error
	// OnTimer is Processor's: event time is as far as in the stream that is behind.
	OnTimer(ctx *Context[K, Out], t Timer) error
}

// CoProcess applies a CoProcessor to two streams; create makes one per subtask. It
// needs a UID.
func CoProcess[K, A, B, Out any](a Keyed[K, A], b Keyed[K, B], name string, create func() CoProcessor[K, A, B, Out], opts ...Option) Stream[Out] {
	set := a.s.p.apply(name, "a process function of two streams", opts)
	o := addKeyed2(a, b, name, set, func(ctx *engine.OpContext, keys trackers[K, A, B]) (engine.Transform2[A, B], error) {
		return openCoProcess(ctx, keys, create(), set)
	})
	set.connectSides(a.s.p, o)
	set.connectPoison(a.s.p, o)
	return newStream[Out](a.s.p, o, 0)
}

// coProcess is a CoProcessor in one subtask: a process for each input, over one
// store, one set of timers and one output. Timers are the first one's business.
type coProcess[K, A, B, Out any] struct {
	*process[K, A, Out]
	second *process[K, B, Out]
}

func openCoProcess[K, A, B, Out any](ctx *engine.OpContext, keys trackers[K, A, B], proc CoProcessor[K, A, B, Out], set *settings) (engine.Transform2[A, B], error) {
	first, err := openProcess(ctx, keys.first, Processor[K, A, Out](firstOf[K, A, B, Out]{proc}), set)
	if err != nil {
		return nil, err
	}
	second := &process[K, B, Out]{proc: secondOf[K, A, B, Out]{proc}, keys: keys.second, setup: first.setup, ctx: first.ctx}
	second.setAside(ctx, set)
	return &coProcess[K, A, B, Out]{process: first, second: second}, nil
}

func (p *coProcess[K, A, B, Out]) ProcessFirst(b *engine.Batch[A]) error { return p.Process(b) }

func (p *coProcess[K, A, B, Out]) ProcessSecond(b *engine.Batch[B]) error {
	p.setup.now = &p.second.ctx.time
	err := p.second.Process(b)
	p.setup.now = &p.ctx.time
	return err
}

func (p *coProcess[K, A, B, Out]) Watermark(wm int64) error {
	p.second.ctx.wm = max(p.second.ctx.wm, wm)
	return p.process.Watermark(wm)
}

// firstOf is the Processor of a CoProcessor's first stream.
type firstOf[K, A, B, Out any] struct{ CoProcessor[K, A, B, Out] }

func (f firstOf[K, A, B, Out]) Process(ctx *Context[K, Out], a A) error {
	return f.ProcessFirst(ctx, a)
}

// secondOf is the Processor of a CoProcessor's second stream.
type secondOf[K, A, B, Out any] struct{ CoProcessor[K, A, B, Out] }

func (s secondOf[K, A, B, Out]) Process(ctx *Context[K, Out], b B) error {
	return s.ProcessSecond(ctx, b)
}

var _ engine.TimedTransform = (*coProcess[int, int, int, int])(nil)
