package task

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/wire"
)

func TestATriggerSaysHowBarriersPass(t *testing.T) {
	order := &wire.Trigger{
		Checkpoint: 7, AtUnixMs: 5, Mode: wire.BarrierMode_BARRIER_MODE_UNALIGNED, AlignedTimeoutMs: 500,
		Afterwards: wire.Afterwards_AFTERWARDS_DRAIN,
	}
	want := engine.Trigger{ID: 7, At: time.UnixMilli(5), Mode: engine.Unaligned, AlignedTimeout: 500 * time.Millisecond, Afterwards: engine.Drain}
	if got := triggerOf(order); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestModesHaveTheNumbersOfTheProtocol(t *testing.T) {
	for of, want := range map[wire.BarrierMode]engine.Mode{
		wire.BarrierMode_BARRIER_MODE_ALIGNED:       engine.Aligned,
		wire.BarrierMode_BARRIER_MODE_UNALIGNED:     engine.Unaligned,
		wire.BarrierMode_BARRIER_MODE_AT_LEAST_ONCE: engine.AtLeastOnce,
		wire.BarrierMode_BARRIER_MODE_SAVEPOINT:     engine.Savepoint,
	} {
		if got := triggerOf(&wire.Trigger{Mode: of}).Mode; got != want {
			t.Errorf("%v: got %d, want %d", of, got, want)
		}
	}
	for of, want := range map[wire.Afterwards]engine.Afterwards{
		wire.Afterwards_AFTERWARDS_GO_ON: engine.GoOn,
		wire.Afterwards_AFTERWARDS_HOLD:  engine.Hold,
		wire.Afterwards_AFTERWARDS_DRAIN: engine.Drain,
	} {
		if got := triggerOf(&wire.Trigger{Afterwards: of}).Afterwards; got != want {
			t.Errorf("%v: got %d, want %d", of, got, want)
		}
	}
}

func TestStatisticsSayWhoWaitsForWhom(t *testing.T) {
	view := &engine.AlignmentView{
		Checkpoint: 7, Since: time.UnixMilli(5), Waiting: 9,
		For: []engine.AlignmentChannel{{From: dataflow.TaskID{Vertex: 1, Subtask: 2}, Edge: 3, Queued: 4}},
	}
	got := alignmentOf(dataflow.TaskID{Vertex: 2, Subtask: 1}, view)
	want := &wire.AlignmentView{
		Subtask: &wire.Subtask{Vertex: 2, Index: 1}, Checkpoint: 7, SinceUnixMs: 5, Waiting: 9,
		WaitingFor: []*wire.AlignmentChannel{{From: &wire.Subtask{Vertex: 1, Index: 2}, Edge: 3, QueuedBatches: 4}},
	}
	if !proto.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
