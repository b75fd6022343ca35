package stream

import (
	"math"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/engine"
)

// rounds is when windows that changed give early results, for a trigger that goes by a
// clock. It is no state: an operator builds it from what it keeps of its windows.
type rounds struct {
	trigger Trigger
	changed changedList // since their last result
	due     int64       // of processing time: when they give results
	round   int         // bytes of changed whose results are due and not all given
}

// newRounds is the rounds of a trigger at a processing time.
func newRounds(t Trigger, now int64) *rounds { return &rounds{trigger: t, due: t.boundary(now)} }

// add puts a window down that has changed, at a processing time.
func (r *rounds) add(now int64, group int, key []byte, begin int64) {
	if r.changed.empty() {
		r.due = r.trigger.boundary(now)
	}
	r.changed.add(group, key, begin)
}

// reached tells whether the watermark, by going on, comes to a multiple of the
// period, and there is something to give. at is the last millisecond before that. The first
// watermark of all goes on from nowhere.
func (r *rounds) reached(before, wm int64) (at int64, ok bool) {
	switch {
	case r == nil || r.trigger.kind != everyEventTime || r.changed.empty():
		return 0, false
	case wm == engine.MaxWatermark:
		return connector.NoTime, true
	}
	at = r.trigger.boundary(wm+1) - r.trigger.n - 1
	return at, before != connector.NoTime && at > before
}

// next is a processing time at or before that of the next results; ok is false if there
// are none.
func (r *rounds) next() (at int64, ok bool) {
	switch {
	case r == nil || r.trigger.kind != everyProcessingTime:
		return 0, false
	case r.round > 0:
		return math.MinInt64, true
	}
	return r.due, !r.changed.empty()
}

// share is how much of changed gives results at a processing time, in bytes: records wait while
// timersAtOnce of them do, and no longer. What changes in between is for the next round.
func (r *rounds) share(now int64) int {
	if at, ok := r.next(); !ok || at > now {
		return 0
	}
	if r.round == 0 {
		r.round, r.due = r.changed.size(), r.trigger.boundary(now)
	}
	n := min(r.changed.first(timersAtOnce), r.round)
	r.round -= n
	return n
}
