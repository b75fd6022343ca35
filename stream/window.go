package stream

import (
	"errors"
	"fmt"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/state"
)

// ErrNoEventTime is returned by a window for a record without event time: its
// source needs Timestamps.
var ErrNoEventTime = errors.New("record without event time in a window: give its source Timestamps")

// Windows says into which windows of event time records fall.
type Windows struct {
	size, offset int64 // milliseconds
}

// Tumbling are windows of a fixed size that follow each other, aligned with the
// Unix epoch: hours begin at full hours, UTC. size is at least 1 ms.
func Tumbling(size time.Duration) Windows { return Windows{size: size.Milliseconds()} }

// Offset shifts the windows: Tumbling(24*time.Hour).Offset(6*time.Hour) are days
// that begin at 6 o'clock UTC.
func (w Windows) Offset(d time.Duration) Windows { w.offset = d.Milliseconds(); return w }

// start returns the beginning of the window that holds t.
func (w Windows) start(t int64) int64 {
	r := (t - w.offset) % w.size
	if r < 0 {
		r += w.size
	}
	return t - r
}

// Aggregate folds the records of a window into one accumulator, so that a window
// costs the same however many records it has. Acc is state: it needs a codec.
type Aggregate[In, Acc, Out any] struct {
	Init   func() Acc
	Add    func(Acc, In) Acc
	Result func(Acc) Out
	// Merge joins two accumulators. Tumbling windows never need it; it may be nil.
	Merge func(a, b Acc) Acc
}

// WindowResult is a window's result for one key. Its event time is End - 1 ms.
type WindowResult[K, Out any] struct {
	Key        K
	Start, End int64 // Unix milliseconds; End does not belong to the window
	Value      Out
}

// Window aggregates records by key and window of event time. A window's result
// comes once, when the watermark passes its end. A record that comes later is
// counted and dropped, or goes to LateTo's stream. It needs a UID.
func Window[K, In, Acc, Out any](k Keyed[K, In], name string, w Windows, agg Aggregate[In, Acc, Out], opts ...Option) Stream[WindowResult[K, Out]] {
	p := k.s.p
	set := p.apply(name, "a window", opts)
	if w.size < 1 {
		p.problem(name, errors.New("windows are at least 1ms long"))
	}
	if agg.Init == nil || agg.Add == nil || agg.Result == nil {
		p.problem(name, errors.New("an Aggregate needs Init, Add and Result"))
	}
	o := addKeyed(k, name, set, func(ctx *engine.OpContext, kt *keyTracker[K, In]) (engine.Transform[In], error) {
		return openWindow(ctx, kt, w, agg)
	})
	setLate[In](p, name, o, set.lateTarget)
	return newStream[WindowResult[K, Out]](p, o, 0)
}

// lateOutput is the output of a window that carries late records.
const lateOutput = 1

func setLate[In any](p *Pipeline, name string, o dataflow.Operator, to any) {
	if to == nil {
		return
	}
	late, ok := to.(*Stream[In])
	if !ok {
		p.problem(name, fmt.Errorf("LateTo has a %T and the records are %T", to, *new(In)))
		return
	}
	*late = newStream[In](p, o, lateOutput)
}

// window is a Window in one subtask. A key's open windows are a map state from
// their start to their accumulator; a timer at the last millisecond of each closes it.
type window[K, In, Acc, Out any] struct {
	windows Windows
	agg     Aggregate[In, Acc, Out]
	keys    *keyTracker[K, In]
	acc     *state.Map[int64, Acc]
	timers  *state.Timers
	out     *engine.Output[WindowResult[K, Out]]
	late    *engine.Output[In]
	ctx     *engine.OpContext
	wm      int64
}

func openWindow[K, In, Acc, Out any](ctx *engine.OpContext, kt *keyTracker[K, In], w Windows, agg Aggregate[In, Acc, Out]) (engine.Transform[In], error) {
	acc, err := state.NewMap[int64, Acc](ctx.Store, "windows")
	if err != nil {
		return nil, err
	}
	timers, err := state.NewTimers(ctx.Store, "timers")
	if err != nil {
		return nil, err
	}
	return &window[K, In, Acc, Out]{
		windows: w, agg: agg, keys: kt, acc: acc, timers: timers, ctx: ctx, wm: ctx.RestoredWatermark,
		out:  engine.OutputOf[WindowResult[K, Out]](ctx, 0),
		late: engine.OutputOf[In](ctx, lateOutput),
	}, nil
}

func (w *window[K, In, Acc, Out]) Process(b *engine.Batch[In]) error {
	for i, v := range b.Values {
		if err := w.add(b, i, v); err != nil {
			return err
		}
	}
	return nil
}

func (w *window[K, In, Acc, Out]) add(b *engine.Batch[In], i int, v In) error {
	t := b.Times[i]
	if t == NoTime {
		return ErrNoEventTime
	}
	start := w.windows.start(t)
	last := start + w.windows.size - 1
	if last <= w.wm {
		w.ctx.CountLate(1)
		w.late.Emit(v, t)
		return nil
	}
	w.keys.set(b, i)
	acc, ok, err := w.acc.Get(start)
	if err != nil {
		return err
	}
	if !ok {
		acc = w.agg.Init()
		w.timers.Register(last, nil)
	}
	return w.acc.Put(start, w.agg.Add(acc, v))
}

func (w *window[K, In, Acc, Out]) Watermark(wm int64) error {
	if wm <= w.wm {
		return nil // a restored operator is ahead of its sources
	}
	w.wm = wm
	return w.timers.PopUntil(wm, func(_ int, key, _ []byte, last int64) error {
		k, err := w.keys.decode(key)
		if err != nil {
			return err
		}
		return w.fire(k, last+1-w.windows.size)
	})
}

// fire emits the result of a window of the current key and forgets it.
func (w *window[K, In, Acc, Out]) fire(key K, start int64) error {
	acc, ok, err := w.acc.Get(start)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("window at %d of key %v has a timer and no accumulator", start, key)
	}
	w.acc.Delete(start)
	end := start + w.windows.size
	w.out.Emit(WindowResult[K, Out]{Key: key, Start: start, End: end, Value: w.agg.Result(acc)}, end-1)
	return nil
}
