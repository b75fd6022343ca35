package stream

import (
	"fmt"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/state"
)

// NoTime is the event time of a record that has none.
const NoTime = connector.NoTime

// Processor is a job author's code for records with a key: it may keep state per
// key and set timers. Each subtask has its own, which one goroutine
// uses, so its fields need no locks; what must survive a failure belongs into
// state that Open declares.
//
//	type counter struct{ n *stream.Value[int64] }
//
//	func (c *counter) Open(s *stream.Setup) error {
//		c.n = stream.ValueState[int64](s, "n")
//		return nil
//	}
//
//	func (c *counter) Process(ctx *stream.Context[string, Count], word string) error {
//		return c.n.Update(func(n *int64, _ bool) {
//			*n++
//			ctx.Emit(Count{word, *n})
//		})
//	}
//
//	func (c *counter) OnTimer(*stream.Context[string, Count], stream.Timer) error { return nil }
//
// An error or a panic ends the attempt, and the job restarts from its last
// checkpoint; PoisonTo sets a record aside instead. The error names the operator's
// UID and the key.
type Processor[K, In, Out any] interface {
	Open(s *Setup) error
	// Process takes one record. State is that of the record's key.
	Process(ctx *Context[K, Out], in In) error
	// OnTimer is called for each timer once the watermark, or the clock, has
	// reached it, in order of time. State is that of the timer's key.
	OnTimer(ctx *Context[K, Out], t Timer) error
}

// NoTimers gives a Processor that embeds it an OnTimer that refuses.
type NoTimers[K, Out any] struct{}

// OnTimer refuses: nobody set a timer.
func (NoTimers[K, Out]) OnTimer(_ *Context[K, Out], t Timer) error {
	return fmt.Errorf("a timer at %d fired, and there is no OnTimer", t.At)
}

// Timer is a timer of a key.
type Timer struct {
	At  int64 // Unix milliseconds
	Tag string
	// Processing tells a timer of processing time from one of event time.
	Processing bool
}

// Context is what a Processor knows and does while it handles a record or a timer.
type Context[K, Out any] struct {
	Emitter[Out]
	timers     *state.Timers // of event time
	processing *state.Timers // of processing time
	key        K
	tag        []byte
}

// Key is the key of the record or timer.
func (c *Context[K, Out]) Key() K { return c.key }

// SetTimer sets a timer for the current key, in Unix milliseconds of event time. The
// same time and tag twice is one timer. One at or before the watermark fires when
// the watermark moves next.
func (c *Context[K, Out]) SetTimer(at int64, tag string) {
	c.tag = append(c.tag[:0], tag...)
	c.timers.Register(at, c.tag)
}

// DeleteTimer removes a timer of the current key, if it is set.
func (c *Context[K, Out]) DeleteTimer(at int64, tag string) {
	c.tag = append(c.tag[:0], tag...)
	c.timers.Delete(at, c.tag)
}

// SetProcessingTimer sets a timer for the current key, in Unix milliseconds of
// processing time: see ProcessingTime. It fires at that time or as soon as it can
// after it, once, also after a restart. Timers that are not due when all input has
// ended never fire.
//
//	ctx.SetProcessingTimer(ctx.ProcessingTime()+60_000, "silent")
func (c *Context[K, Out]) SetProcessingTimer(at int64, tag string) {
	c.tag = append(c.tag[:0], tag...)
	c.processing.Register(at, c.tag)
}

// DeleteProcessingTimer removes a timer of the current key, if it is set.
func (c *Context[K, Out]) DeleteProcessingTimer(at int64, tag string) {
	c.tag = append(c.tag[:0], tag...)
	c.processing.Delete(at, c.tag)
}

// Process applies a Processor to records with a key; create makes one per subtask.
// It needs a UID.
func Process[K, In, Out any](k Keyed[K, In], name string, create func() Processor[K, In, Out], opts ...Option) Stream[Out] {
	set := k.s.p.apply(name, "a process function", opts)
	o := addKeyed(k, name, set, func(ctx *engine.OpContext, kt *keyTracker[K, In]) (engine.Transform[In], error) {
		return openProcess(ctx, kt, create(), set)
	})
	set.connectSides(k.s.p, o)
	set.connectPoison(k.s.p, o)
	return newStream[Out](k.s.p, o, 0)
}

// process is a Processor in one subtask.
type process[K, In, Out any] struct {
	proc  Processor[K, In, Out]
	keys  *keyTracker[K, In]
	setup *Setup
	ctx   Context[K, Out]
	// behind says that timers of some key groups are overdue since a restore with another
	// parallelism. They fire at the first watermark, before it goes on: later their
	// results would be late downstream.
	behind bool

	poisons *poisons[In]                           // nil if nobody asked for them
	one     func(b *engine.Batch[In], i int) error // process
}

func openProcess[K, In, Out any](ctx *engine.OpContext, kt *keyTracker[K, In], proc Processor[K, In, Out], set *settings) (*process[K, In, Out], error) {
	timers, err := state.NewTimers(ctx.Store, "timers")
	if err != nil {
		return nil, err
	}
	processing, err := state.NewTimers(ctx.Store, "processing-timers")
	if err != nil {
		return nil, err
	}
	p := &process[K, In, Out]{proc: proc, keys: kt, setup: newSetup(ctx), behind: ctx.GroupsBehind()}
	p.ctx = Context[K, Out]{Emitter: newEmitter[Out](ctx), timers: timers, processing: processing}
	p.setAside(ctx, set)
	p.setup.withSides(set, &p.ctx.time)
	if err := proc.Open(p.setup); err != nil {
		return nil, err
	}
	return p, p.setup.err
}

// setAside makes p set poison aside, if somebody asked for it.
func (p *process[K, In, Out]) setAside(ctx *engine.OpContext, set *settings) {
	p.poisons, p.one = newPoisons[In](ctx, set), p.process
}

func (p *process[K, In, Out]) Process(b *engine.Batch[In]) error {
	if err := p.keys.prefetch(b, p.setup.values); err != nil {
		return err
	}
	if err := p.processAll(b); err != nil {
		return err
	}
	return p.setup.lives.Sweep(len(b.Values))
}

func (p *process[K, In, Out]) processAll(b *engine.Batch[In]) error {
	if p.poisons != nil {
		return p.poisons.each(b, p.one)
	}
	for i, v := range b.Values {
		p.ctx.key, p.ctx.time = p.keys.set(b, i), b.Times[i]
		if err := p.proc.Process(&p.ctx, v); err != nil {
			return p.ctx.op.Blame(err)
		}
	}
	return nil
}

// process processes record i of a batch.
func (p *process[K, In, Out]) process(b *engine.Batch[In], i int) error {
	p.ctx.key, p.ctx.time = p.keys.set(b, i), b.Times[i]
	return p.proc.Process(&p.ctx, b.Values[i])
}

func (p *process[K, In, Out]) Watermark(wm int64) error {
	if wm <= p.ctx.wm && !p.behind {
		return nil // a restored operator is ahead of its sources
	}
	p.ctx.wm, p.behind = max(p.ctx.wm, wm), false
	return p.keys.popDue(p.ctx.timers, p.ctx.wm, p.keys.wantAll(p.setup.values), func(_ int, key, tag []byte, at int64) error {
		return p.fire(key, at, Timer{At: at, Tag: string(tag)})
	})
}

// timersAtOnce bounds how long barriers and records wait for timers of processing
// time, of which any number may be due at once, and how far ahead a store is told
// of what timers will use.
const timersAtOnce = 1024

// NextTimer implements engine.TimedTransform.
func (p *process[K, In, Out]) NextTimer() (at int64, ok bool) { return p.ctx.processing.Next() }

// ProcessingTime implements engine.TimedTransform.
func (p *process[K, In, Out]) ProcessingTime(now int64) error {
	if err := p.keys.prefetchDue(p.ctx.processing, now, p.keys.wantAll(p.setup.values)); err != nil {
		return err
	}
	_, err := p.ctx.processing.PopSome(now, timersAtOnce, func(_ int, key, tag []byte, at int64) error {
		return p.fire(key, NoTime, Timer{At: at, Tag: string(tag), Processing: true})
	})
	return err
}

// fire calls OnTimer. The store is set to the timer's key.
func (p *process[K, In, Out]) fire(key []byte, time int64, t Timer) (err error) {
	if p.ctx.key, err = p.keys.decode(key); err != nil {
		return err
	}
	p.ctx.time = time
	return p.ctx.op.Blame(p.proc.OnTimer(&p.ctx, t))
}

var _ engine.TimedTransform = (*process[int, int, int])(nil)
