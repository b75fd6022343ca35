package stream

import (
	"fmt"
	"time"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/state"
)

// NoTime is the event time of a record that has none.
const NoTime = connector.NoTime

// Processor is a job author's code for records with a key: it may keep state per
// key and set event-time timers. Each subtask has its own, which one goroutine
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
//		n, _, err := c.n.Get()
//		if err != nil {
//			return err
//		}
//		ctx.Emit(Count{word, n + 1})
//		return c.n.Set(n + 1)
//	}
//
//	func (c *counter) OnTimer(*stream.Context[string, Count], stream.Timer) error { return nil }
//
// An error or a panic ends the attempt; the job restarts from its last
// checkpoint.
type Processor[K, In, Out any] interface {
	Open(s *Setup) error
	// Process takes one record. State is that of the record's key.
	Process(ctx *Context[K, Out], in In) error
	// OnTimer is called for each timer once the watermark has reached it, in
	// order of time. State is that of the timer's key.
	OnTimer(ctx *Context[K, Out], t Timer) error
}

// NoTimers gives a Processor that embeds it an OnTimer that refuses.
type NoTimers[K, Out any] struct{}

// OnTimer refuses: nobody set a timer.
func (NoTimers[K, Out]) OnTimer(_ *Context[K, Out], t Timer) error {
	return fmt.Errorf("a timer at %d fired, and there is no OnTimer", t.At)
}

// Timer is an event-time timer of a key.
type Timer struct {
	At  int64 // Unix milliseconds
	Tag string
}

// Context is what a Processor knows and does while it handles a record or a timer.
type Context[K, Out any] struct {
	out    *engine.Output[Out]
	timers *state.Timers
	key    K
	time   int64
	wm     int64
	tag    []byte
}

// Key is the key of the record or timer.
func (c *Context[K, Out]) Key() K { return c.key }

// Time is the event time of the record or timer in Unix milliseconds, or NoTime.
func (c *Context[K, Out]) Time() int64 { return c.time }

// Timestamp is Time as a time.Time in UTC; the zero time if there is none.
func (c *Context[K, Out]) Timestamp() time.Time {
	if c.time == NoTime {
		return time.Time{}
	}
	return time.UnixMilli(c.time).UTC()
}

// Watermark is how far event time has come: no record at or before it is
// expected. NoTime before the first.
func (c *Context[K, Out]) Watermark() int64 { return c.wm }

// Emit sends a record with the event time of the one that is being handled.
func (c *Context[K, Out]) Emit(v Out) { c.out.Emit(v, c.time) }

// EmitAt sends a record with another event time, in Unix milliseconds.
func (c *Context[K, Out]) EmitAt(v Out, at int64) { c.out.Emit(v, at) }

// SetTimer sets a timer for the current key, in Unix milliseconds. The same
// time and tag twice is one timer. One at or before the watermark fires when
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

// Process applies a Processor to records with a key; create makes one per subtask.
// It needs a UID.
func Process[K, In, Out any](k Keyed[K, In], name string, create func() Processor[K, In, Out], opts ...Option) Stream[Out] {
	set := k.s.p.apply(name, "a process function", opts)
	o := addKeyed(k, name, set, func(ctx *engine.OpContext, kt *keyTracker[K, In]) (engine.Transform[In], error) {
		return openProcess(ctx, kt, create())
	})
	return newStream[Out](k.s.p, o, 0)
}

// addKeyed declares an operator with keyed state and its hash edges.
func addKeyed[K, In any](k Keyed[K, In], name string, set *settings, open func(*engine.OpContext, *keyTracker[K, In]) (engine.Transform[In], error)) dataflow.Operator {
	p := k.s.p
	keys, err := codec.For[K]()
	if err != nil {
		p.problem(name, fmt.Errorf("key: %w", err))
	}
	code := engine.NewKeyedTransform(func(ctx *engine.OpContext) (engine.Transform[In], error) {
		return open(ctx, &keyTracker[K, In]{of: k.key, codec: keys, store: ctx.Store, groups: ctx.KeyGroups})
	})
	o := p.add(dataflow.Operator{Name: name, Kind: dataflow.Transform, Stateful: true}, set, code)
	connect(k.s, o, dataflow.Hash, func() engine.Edge { return engine.NewHashEdge(k.newAppendKey(keys)) })
	return o
}

// newAppendKey returns a maker of functions that append a record's encoded key.
func (k Keyed[K, T]) newAppendKey(keys codec.Codec[K]) func() func([]byte, T) []byte {
	return func() func([]byte, T) []byte {
		var key K // kept, since the codec makes it escape
		return func(dst []byte, v T) []byte {
			key = k.key(v)
			return keys.Append(dst, &key)
		}
	}
}

// keyTracker sets a store to the key of each record.
type keyTracker[K, In any] struct {
	of     func(In) K
	codec  codec.Codec[K]
	store  state.Store
	groups int

	key K
	buf []byte
}

// set chooses the key of record i of b.
func (t *keyTracker[K, In]) set(b *engine.Batch[In], i int) K {
	t.key = t.of(b.Values[i])
	t.buf = t.codec.Append(t.buf[:0], &t.key)
	var group int
	if len(b.Groups) > 0 {
		group = int(b.Groups[i])
	} else {
		group = dataflow.KeyGroup(dataflow.KeyHash(t.buf), t.groups)
	}
	t.store.SetKey(group, t.buf)
	return t.key
}

// decode reads an encoded key.
func (t *keyTracker[K, In]) decode(key []byte) (k K, err error) {
	if _, err := t.codec.Decode(key, &t.key); err != nil {
		return k, fmt.Errorf("key of a timer: %w", err)
	}
	return t.key, nil
}

// process is a Processor in one subtask.
type process[K, In, Out any] struct {
	proc Processor[K, In, Out]
	keys *keyTracker[K, In]
	ctx  Context[K, Out]
}

func openProcess[K, In, Out any](ctx *engine.OpContext, kt *keyTracker[K, In], proc Processor[K, In, Out]) (engine.Transform[In], error) {
	timers, err := state.NewTimers(ctx.Store, "timers")
	if err != nil {
		return nil, err
	}
	p := &process[K, In, Out]{proc: proc, keys: kt}
	p.ctx = Context[K, Out]{out: engine.OutputOf[Out](ctx, 0), timers: timers, wm: ctx.RestoredWatermark}
	setup := &Setup{ctx: ctx}
	if err := proc.Open(setup); err != nil {
		return nil, err
	}
	return p, setup.err
}

func (p *process[K, In, Out]) Process(b *engine.Batch[In]) error {
	for i, v := range b.Values {
		p.ctx.key, p.ctx.time = p.keys.set(b, i), b.Times[i]
		if err := p.proc.Process(&p.ctx, v); err != nil {
			return err
		}
	}
	return nil
}

func (p *process[K, In, Out]) Watermark(wm int64) error {
	if wm <= p.ctx.wm {
		return nil // a restored operator is ahead of its sources
	}
	p.ctx.wm = wm
	return p.ctx.timers.PopUntil(wm, func(_ int, key, tag []byte, at int64) error {
		var err error
		if p.ctx.key, err = p.keys.decode(key); err != nil {
			return err
		}
		p.ctx.time = at
		return p.proc.OnTimer(&p.ctx, Timer{At: at, Tag: string(tag)})
	})
}
