package stream

import (
	"time"

	"github.com/cairnstream/cairn/engine"
)

// Emitter is what code knows of the record or timer at hand, and how it sends
// records on.
type Emitter[Out any] struct {
	out  *engine.Output[Out]
	op   *engine.OpContext
	time int64
	wm   int64
}

func newEmitter[Out any](ctx *engine.OpContext) Emitter[Out] {
	return Emitter[Out]{out: engine.OutputOf[Out](ctx, 0), op: ctx, time: NoTime, wm: ctx.RestoredWatermark}
}

// Time is the event time of the record or timer in Unix milliseconds, or NoTime: a
// timer of processing time has none.
func (e *Emitter[Out]) Time() int64 { return e.time }

// Timestamp is Time as a time.Time in UTC; the zero time if there is none.
func (e *Emitter[Out]) Timestamp() time.Time {
	if e.time == NoTime {
		return time.Time{}
	}
	return time.UnixMilli(e.time).UTC()
}

// Watermark is how far event time has come: no record at or before it is
// expected. NoTime before the first.
func (e *Emitter[Out]) Watermark() int64 { return e.wm }

// ProcessingTime is this machine's time in Unix milliseconds, as of the batch that
// the record came in.
func (e *Emitter[Out]) ProcessingTime() int64 { return e.op.Now() }

// Emit sends a record with the event time of the one that is being handled.
func (e *Emitter[Out]) Emit(v Out) { e.out.Emit(v, e.time) }

// EmitAt sends a record with another event time, in Unix milliseconds.
func (e *Emitter[Out]) EmitAt(v Out, at int64) { e.out.Emit(v, at) }
