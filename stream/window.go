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

// WindowResult is a window's result for one key. Its event time is End - 1 ms.
type WindowResult[K, Out any] struct {
	Key        K
	Start, End int64 // Unix milliseconds; End does not belong to the window
	Value      Out
}

// Window aggregates records by key and window of event time, into one accumulator
// for each, so that a window costs the same however many records it has. A window's result
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

	record In   // the one that addTo folds
	isNew  bool // what addTo found
	addTo  func(acc *Acc, existed bool)
}

func openWindow[K, In, Acc, Out any](ctx *engine.OpContext, kt *keyTracker[K, In], w Windows, agg Aggregate[In, Acc, Out]) (engine.Transform[In], error) {
	acc, err := state.NewMap[int64, Acc](ctx.Store, "windows")
	if err != nil {
		return nil, err
	}
	timers, err := state.NewTimersWithoutTags(ctx.Store, "timers")
	if err != nil {
		return nil, err
	}
	open := &window[K, In, Acc, Out]{
		windows: w, agg: agg, keys: kt, acc: acc, timers: timers, ctx: ctx, wm: ctx.RestoredWatermark,
		out:  engine.OutputOf[WindowResult[K, Out]](ctx, 0),
		late: engine.OutputOf[In](ctx, lateOutput),
	}
	open.addTo = open.fold
	return open, nil
}

func (w *window[K, In, Acc, Out]) Process(b *engine.Batch[In]) error {
	if err := w.prefetch(b); err != nil {
		return err
	}
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
	w.record = v
	if err := w.acc.Update(start, w.addTo); err != nil {
		return err
	}
	if w.isNew {
		w.timers.Register(last, nil)
	}
	return nil
}

// fold folds the record into an accumulator. One function for all records, since
// making one for each would allocate.
func (w *window[K, In, Acc, Out]) fold(acc *Acc, existed bool) {
	if w.isNew = !existed; w.isNew {
		*acc = w.agg.Init()
	}
	*acc = w.agg.Add(*acc, w.record)
}

// prefetch tells the store of the windows that a batch will use, if it wants to know.
func (w *window[K, In, Acc, Out]) prefetch(b *engine.Batch[In]) error {
	k := w.keys
	if k.misses == nil || !k.misses.Ahead() {
		return nil
	}
	k.wanted.reset()
	for i, v := range b.Values {
		if b.Times[i] == NoTime {
			continue
		}
		key := k.want(v)
		w.want(k.group(b, i, key), key, b.Times[i])
	}
	return k.misses.Prefetch(k.wanted.entries)
}

// want tells of the window of a key that holds t.
func (w *window[K, In, Acc, Out]) want(group int, key []byte, t int64) {
	all := &w.keys.wanted
	from := len(all.bytes)
	var handle state.Handle
	handle, all.bytes = w.acc.Entry(all.bytes, w.windows.start(t))
	all.add(state.Wanted{Handle: handle, Group: group, Key: key, Sub: all.since(from)})
}

func (w *window[K, In, Acc, Out]) Watermark(wm int64) error {
	if wm <= w.wm {
		return nil // a restored operator is ahead of its sources
	}
	w.wm = wm
	return w.keys.popDue(w.timers, wm, w.want, func(_ int, key, _ []byte, last int64) error {
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
