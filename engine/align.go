package engine

import "github.com/cairnstream/cairn/dataflow"

// alignment decides what a barrier does to a subtask with several channels
// (aligned, exactly-once): channels whose barrier has come are held back until
// the barrier of all others has come, then the subtask's state is cut. It is
// Flink's SingleCheckpointBarrierHandler, and pure.
//
// Invariant: ids that are cut only grow, and between two cuts each channel gives
// exactly the records between its two barriers.
type alignment struct {
	channels int
	id       dataflow.CheckpointID // being aligned; 0 if none
	arrived  []bool
	missing  int
	over     dataflow.CheckpointID          // the highest that was cut or given up
	aborted  map[dataflow.CheckpointID]bool // above over; see abort
}

func newAlignment(channels int) *alignment {
	return &alignment{channels: channels, arrived: make([]bool, channels), aborted: map[dataflow.CheckpointID]bool{}}
}

// verdict is what to do about a barrier, in this order.
type verdict struct {
	declined dataflow.CheckpointID // an older alignment is given up; 0 if none
	release  bool                  // let all channels go on
	cut      bool                  // cut the state for the barrier's checkpoint
	block    bool                  // hold the barrier's channel back
}

// barrier takes the barrier of checkpoint id from a channel.
func (a *alignment) barrier(channel int, id dataflow.CheckpointID) verdict {
	if id <= a.over || id < a.id || a.aborted[id] {
		return verdict{}
	}
	var v verdict
	if id > a.id {
		v.declined, v.release = a.id, a.id != 0
		a.begin(id)
	}
	if a.arrived[channel] {
		return v
	}
	a.arrived[channel] = true
	if a.missing--; a.missing > 0 {
		v.block = true
		return v
	}
	a.end(id)
	v.release, v.cut = true, true
	return v
}

// trigger tells whether a source cuts its state for a trigger.
func (a *alignment) trigger(id dataflow.CheckpointID) bool {
	if id <= a.over || a.aborted[id] {
		return false
	}
	a.end(id)
	return true
}

// abortedMax bounds how many aborted checkpoints are remembered: their barriers
// are long gone when so many more have been aborted.
const abortedMax = 64

// abort takes the news that checkpoint id will not complete. It tells whether
// to let the channels go on: only if it is the one being aligned.
func (a *alignment) abort(id dataflow.CheckpointID) (release bool) {
	if id <= a.over {
		return false
	}
	if id == a.id {
		a.end(id)
		return true
	}
	a.aborted[id] = true
	for old := range a.aborted {
		if len(a.aborted) > abortedMax && old+abortedMax < id {
			delete(a.aborted, old)
		}
	}
	return false
}

func (a *alignment) begin(id dataflow.CheckpointID) {
	if a.id != 0 {
		a.end(a.id)
	}
	a.id, a.missing = id, a.channels
	clear(a.arrived)
}

func (a *alignment) end(id dataflow.CheckpointID) {
	a.id, a.over = 0, id
	for old := range a.aborted {
		if old <= id {
			delete(a.aborted, old)
		}
	}
}
