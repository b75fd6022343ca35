package engine

import (
	"time"

	"github.com/cairnstream/cairn/dataflow"
)

// AlignmentView is a subtask that waits for barriers of a checkpoint: who waits for whom.
type AlignmentView struct {
	Checkpoint dataflow.CheckpointID
	Since      time.Time // the first news of the checkpoint
	Waiting    int       // channels whose barrier has not come
	For        []AlignmentChannel
}

// AlignmentChannel is a channel whose barrier has not come.
type AlignmentChannel struct {
	From   dataflow.TaskID
	Edge   int // in the order of the graph
	Queued int // batches that wait here before the barrier
}

// alignmentChannelsMax is how many channels an AlignmentView names: enough to see where it
// comes from, and few enough for every process to say it every second.
const alignmentChannelsMax = 8

// waitingFor is a subtask's alignment for those who look at it from outside.
type waitingFor struct {
	id       dataflow.CheckpointID
	since    time.Time
	channels []int
}

// showAlignment tells those who look from outside what the subtask waits for.
func (s *subtask) showAlignment() {
	var w *waitingFor
	if id, channels := s.align.waiting(); len(channels) > 0 {
		w = &waitingFor{id: id, since: s.aligning.first, channels: channels}
	}
	s.waiting.Store(w)
}

// waiting is the checkpoint whose barriers are waited for, and the channels whose has not come.
func (a *alignment) waiting() (id dataflow.CheckpointID, channels []int) {
	here := a.arrived
	switch {
	case a.now != nil:
		id = a.now.ID
	case a.keeps > 0:
		for i, keeping := range a.keeping {
			if keeping {
				channels = append(channels, i)
			}
		}
		return a.kept, channels
	case len(a.counts) > 0:
		c := a.counts[len(a.counts)-1]
		id, here = c.id, c.arrived
	default:
		return 0, nil
	}
	for i, arrived := range here {
		if !arrived {
			channels = append(channels, i)
		}
	}
	return id, channels
}

// alignmentView is what the subtask waits for; nil if it waits for nothing. Any goroutine may
// call it.
func (s *subtask) alignmentView() *AlignmentView {
	w := s.waiting.Load()
	if w == nil {
		return nil
	}
	v := &AlignmentView{Checkpoint: w.id, Since: w.since, Waiting: len(w.channels)}
	for _, i := range w.channels[:min(len(w.channels), alignmentChannelsMax)] {
		of := s.gate.channels[i].of
		v.For = append(v.For, AlignmentChannel{
			From: dataflow.TaskID{Vertex: of.vertex, Subtask: of.from}, Edge: of.graphEdge, Queued: s.gate.queued(i, w.id),
		})
	}
	return v
}
