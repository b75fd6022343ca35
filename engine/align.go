package engine

import (
	"slices"

	"github.com/cairnstream/cairn/dataflow"
)

// alignment decides what a checkpoint's barriers do to a subtask with several channels. It
// is Flink's SingleCheckpointBarrierHandler, and pure.
//
// Aligned, channels whose barrier has come are held back until that of all others has, then
// the subtask's state is cut. Overtaking, the state is cut as soon as the channels that
// always align have their barriers; what lies in the others before theirs is in flight and is
// kept, also what still comes before it. At least once, no channel is held back.
//
// Invariants: ids that are cut only grow. Of each channel, exactly the records before its
// barrier are in the state at the cut or kept beside it, and none is in both.
type alignment struct {
	overtakable []bool // by channel: a barrier may overtake what it holds

	now        *Trigger // being aligned; nil if none
	known      []bool   // the channel holds the barrier, or it has come
	arrived    []bool   // the barrier has come: nothing is before it
	missing    int      // channels whose barrier has not come
	stuck      int      // of these, those that always align
	overtaking bool

	keeping []bool                // channels whose records are kept until their barrier comes
	keeps   int                   // how many these are
	kept    dataflow.CheckpointID // the checkpoint that they are kept for

	counts  []*count                       // at least once, by id
	over    dataflow.CheckpointID          // the highest that was cut or given up
	aborted map[dataflow.CheckpointID]bool // above over; see abort
}

// count is a checkpoint whose barriers are counted.
type count struct {
	id      dataflow.CheckpointID
	arrived []bool
	missing int
}

// newAlignment is of channels that all align, or not: overtakable tells.
func newAlignment(overtakable []bool) *alignment {
	n := len(overtakable)
	return &alignment{
		overtakable: overtakable, known: make([]bool, n), arrived: make([]bool, n), keeping: make([]bool, n),
		aborted: map[dataflow.CheckpointID]bool{},
	}
}

// verdict is what to do about a barrier, in this order.
type verdict struct {
	keep     bool                  // what the channel holds before the barrier is in flight: the last of it
	kept     bool                  // all of the channel that is in flight has been kept
	declined dataflow.CheckpointID // an older checkpoint is given up; 0 if none
	begun    bool                  // it is the first news of the checkpoint
	release  bool                  // let all channels go on
	cut      bool                  // cut the state for the barrier's checkpoint
	block    bool                  // hold the barrier's channel back
}

// news takes the news that a channel holds the barrier of t, which has not come yet: there
// may be records before it. Only barriers that may overtake are news.
func (a *alignment) news(channel int, t *Trigger) verdict {
	if t.ID == a.kept && a.keeping[channel] {
		a.endKeeping(channel)
		return verdict{keep: true}
	}
	if !a.concerns(t.ID) {
		return verdict{}
	}
	v := a.begin(t)
	a.known[channel] = true
	a.overtaking = a.overtaking || t.Mode == Unaligned
	v.cut = a.tryCut()
	v.release = v.release || v.cut
	return v
}

// barrier takes the barrier of t from a channel.
func (a *alignment) barrier(channel int, t *Trigger) verdict {
	if t.ID == a.kept && a.keeping[channel] { // its sender had other options: there was no news of it
		a.endKeeping(channel)
		return verdict{kept: true}
	}
	if !a.concerns(t.ID) {
		return verdict{}
	}
	if t.Mode == AtLeastOnce {
		return a.count(channel, t)
	}
	v := a.begin(t)
	if a.arrived[channel] {
		return v
	}
	a.arrived[channel], a.known[channel] = true, true
	a.missing--
	if !a.overtakable[channel] {
		a.stuck--
	}
	v.cut = a.tryCut()
	v.release, v.block = v.release || v.cut, !v.cut
	return v
}

// timeout makes the checkpoint that is being aligned overtake, and tells whether its state
// is to be cut now.
func (a *alignment) timeout() (cut bool) {
	if a.now == nil {
		return false
	}
	a.overtaking = true
	return a.tryCut()
}

// trigger tells whether a source cuts its state for a trigger.
func (a *alignment) trigger(id dataflow.CheckpointID) bool {
	if !a.concerns(id) {
		return false
	}
	a.end(id)
	return true
}

// inFlight tells whether the records that a channel holds before the barrier are to be kept:
// asked at the cut.
func (a *alignment) inFlight(channel int) bool { return a.known[channel] && !a.arrived[channel] }

// concerns tells whether a checkpoint is neither over, given up, nor older than the
// one being aligned.
func (a *alignment) concerns(id dataflow.CheckpointID) bool {
	return id > a.over && !a.aborted[id] && (a.now == nil || id >= a.now.ID)
}

// begin begins to align t, if it is new.
func (a *alignment) begin(t *Trigger) (v verdict) {
	if a.now != nil && t.ID == a.now.ID {
		return v
	}
	v.begun = true
	if a.now != nil {
		v.declined, v.release = a.now.ID, true
		a.end(a.now.ID)
	}
	a.now, a.overtaking = t, t.Mode == Unaligned
	a.missing, a.stuck = len(a.arrived), 0
	clear(a.arrived)
	clear(a.known)
	for _, over := range a.overtakable {
		if !over {
			a.stuck++
		}
	}
	return v
}

// tryCut ends the alignment if the state is to be cut now.
func (a *alignment) tryCut() bool {
	if a.missing > 0 && (!a.overtaking || a.stuck > 0) {
		return false
	}
	a.keeps, a.kept = 0, a.now.ID
	for i := range a.keeping {
		if a.keeping[i] = !a.known[i]; a.keeping[i] {
			a.keeps++
		}
	}
	a.end(a.now.ID)
	return true
}

// endKeeping notes that all records before a channel's barrier are kept.
func (a *alignment) endKeeping(channel int) {
	a.keeping[channel] = false
	a.keeps--
}

// stopKeeping gives up what is kept.
func (a *alignment) stopKeeping() {
	a.keeps, a.kept = 0, 0
	clear(a.keeping)
}

// countedMax bounds the checkpoints whose barriers are counted at once: more than may be
// in flight.
const countedMax = 64

// count counts a barrier that holds nothing back. A checkpoint that is older than one that
// is cut comes to nothing here, and is subsumed.
func (a *alignment) count(channel int, t *Trigger) (v verdict) {
	if a.now != nil {
		v.declined, v.release = a.now.ID, true
		a.end(a.now.ID)
	}
	i, there := slices.BinarySearchFunc(a.counts, t.ID, func(c *count, id dataflow.CheckpointID) int { return int(int64(c.id) - int64(id)) })
	if !there {
		v.begun = true
		a.counts = slices.Insert(a.counts, i, &count{id: t.ID, arrived: make([]bool, len(a.arrived)), missing: len(a.arrived)})
	}
	c := a.counts[i]
	if !c.arrived[channel] {
		c.arrived[channel] = true
		c.missing--
	}
	if c.missing == 0 {
		v.cut = true
		a.stopKeeping()
		a.end(t.ID)
	}
	if len(a.counts) > countedMax {
		a.counts = slices.Delete(a.counts, 0, 1)
	}
	return v
}

// abortedMax bounds how many aborted checkpoints are remembered: their barriers
// are long gone when so many more have been aborted.
const abortedMax = 64

// abort takes the news that checkpoint id will not complete. release: the channels go on, since
// it is the one being aligned. fresh: it is news, and not of one that is over.
func (a *alignment) abort(id dataflow.CheckpointID) (release, fresh bool) {
	if id == a.kept {
		a.stopKeeping()
	}
	if id <= a.over || a.aborted[id] {
		return false, false
	}
	if a.now != nil && id == a.now.ID {
		a.end(id)
		return true, true
	}
	a.counts = slices.DeleteFunc(a.counts, func(c *count) bool { return c.id == id })
	a.aborted[id] = true
	for old := range a.aborted {
		if len(a.aborted) > abortedMax && old+abortedMax < id {
			delete(a.aborted, old)
		}
	}
	return false, true
}

// end makes id, and what is older, over.
func (a *alignment) end(id dataflow.CheckpointID) {
	a.now, a.over = nil, id
	a.counts = slices.DeleteFunc(a.counts, func(c *count) bool { return c.id <= id })
	for old := range a.aborted {
		if old <= id {
			delete(a.aborted, old)
		}
	}
}
