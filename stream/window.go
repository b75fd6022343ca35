package stream

import (
	"errors"
	"fmt"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
)

// ErrNoEventTime is returned by a window for a record without event time: its
// source needs Timestamps.
var ErrNoEventTime = errors.New("record without event time in a window: give its source Timestamps")

// WindowResult is a window's result for one key. Its event time is End - 1 ms, but for
// Global.
type WindowResult[K, Out any] struct {
	Key        K
	Start, End int64 // Unix milliseconds; End does not belong to the window
	Value      Out
	Pane       Pane
}

// Pane says when in the life of a window a result of it came.
type Pane uint8

const (
	// OnTime is the result when the watermark passed the window's end.
	OnTime Pane = iota
	// Early is a result before that, of those records that were there.
	Early
	// Late is a result after that, because another record came.
	Late
)

func (p Pane) String() string {
	if p > Late {
		return fmt.Sprintf("Pane(%d)", uint8(p))
	}
	return [...]string{"on time", "early", "late"}[p]
}

// Window aggregates records by key and window of event time, into one accumulator
// for each, so that a window costs the same however many records it has. A window gives its result
// when the watermark passes its end, and at other times with On and AllowedLateness. A record that comes
// when all its windows are gone is counted and dropped, or goes to LateTo's stream. It needs a UID.
//
// Sliding windows that overlap do not hold their records several times: time is cut at
// all begins and ends of windows, there is one accumulator per key and slice, and a window
// merges its slices at its end, in order of time. A record costs one change of state, whatever the overlap. A
// Session merges those that a record joins. Both need the Aggregate's Merge.
//
// State is bounded by time: a window's is removed when the watermark has passed its end,
// and AllowedLateness after it. While the job has state, its windows stay as they are, but for the
// gap of a Session: others would not find it, and are refused.
func Window[K, In, Acc, Out any](k Keyed[K, In], name string, w Windows, agg Aggregate[In, Acc, Out], opts ...Option) Stream[WindowResult[K, Out]] {
	p := k.s.p
	set := p.apply(name, "a window", opts)
	p.problem(name, errors.Join(w.check(), checkAggregate(w, agg), set.window.check(w)))
	o := addKeyed(k, name, set, func(ctx *engine.OpContext, kt *keyTracker[K, In]) (engine.Transform[In], error) {
		if w.kind == session {
			return openSessions(ctx, kt, w, agg, &set.window)
		}
		return openSlices(ctx, kt, w, agg, &set.window)
	})
	setLate[In](p, name, o, set.window.lateTarget)
	return newStream[WindowResult[K, Out]](p, o, 0)
}

// checkAggregate says what an Aggregate lacks for such windows.
func checkAggregate[In, Acc, Out any](w Windows, agg Aggregate[In, Acc, Out]) error {
	if agg.Init == nil || agg.Add == nil || agg.Result == nil {
		return errors.New("an Aggregate needs Init, Add and Result")
	}
	if agg.Merge == nil && (w.kind == session || w.overlap()) {
		return fmt.Errorf("%v windows join accumulators: the Aggregate needs Merge", w.kind)
	}
	return nil
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
