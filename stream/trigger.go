package stream

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Trigger says when a window gives results. Whatever it is, a window gives one at the
// end, when the watermark passes it (Pane OnTime), and one at once for each record that comes after
// that within AllowedLateness (Pane Late). Triggers add results before the end (Pane Early). The zero
// Trigger is AtWatermark.
//
// A result is of all records so far, and replaces those before it of the same key
// and window: it comes after them. With Purging it is of the records since the one before.
type Trigger struct {
	kind  triggerKind
	n     int64 // records, or milliseconds
	purge bool
}

type triggerKind int

const (
	atWatermark triggerKind = iota
	atCount
	everyEventTime
	everyProcessingTime
)

// AtWatermark gives no results before the end: the default.
func AtWatermark() Trigger { return Trigger{} }

// AtCount gives an early result when n records of a key have come into a window since its
// last one. In Sliding windows a record then costs one more change of state for each
// window that it is in; in others one more.
func AtCount(n int64) Trigger { return Trigger{kind: atCount, n: n} }

// EveryEventTime gives early results each time the watermark reaches a multiple of d (of the
// Unix epoch), of those windows that got records since their last one. A watermark that
// passes several at once gives one. Flink's ContinuousEventTimeTrigger gives one also to
// windows without news.
func EveryEventTime(d time.Duration) Trigger {
	return Trigger{kind: everyEventTime, n: d.Milliseconds()}
}

// EveryProcessingTime is EveryEventTime by the clock of the machine instead of the
// watermark. What is not due when all input has ended is not given early.
func EveryProcessingTime(d time.Duration) Trigger {
	return Trigger{kind: everyProcessingTime, n: d.Milliseconds()}
}

// Purging is t, and empties the window at each result: the next is of the records that
// come after it, and there is none without. Overlapping Sliding windows share their
// records and can't have it.
func Purging(t Trigger) Trigger { t.purge = true; return t }

// early tells whether there are results before the end.
func (t Trigger) early() bool { return t.kind != atWatermark }

// periodic tells whether early results come by a clock.
func (t Trigger) periodic() bool { return t.kind == everyEventTime || t.kind == everyProcessingTime }

// boundary is the first multiple of the trigger's period after now.
func (t Trigger) boundary(now int64) int64 { return now - modulo(now, t.n) + t.n }

// check says what is wrong with the trigger, for windows of that sort.
func (t Trigger) check(w Windows) error {
	switch {
	case t.kind == atCount && t.n < 1:
		return fmt.Errorf("AtCount(%d): want at least one record", t.n)
	case t.kind == atCount && t.n > math.MaxInt32:
		return fmt.Errorf("AtCount(%d): want at most %d records", t.n, math.MaxInt32)
	case t.periodic() && t.n < 1:
		return errors.New("the period of a trigger is at least 1ms")
	case t.purge && w.overlap():
		return errors.New("Purging: Sliding windows that overlap share their records: use Tumbling, or another trigger")
	}
	return nil
}
