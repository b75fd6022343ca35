package controller

import (
	"testing"
	"time"

	"github.com/cairnstream/cairn/coordinator"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

func TestOptionsSayHowBarriersPass(t *testing.T) {
	for _, c := range []struct {
		options dataflow.CheckpointOptions
		want    wire.BarrierMode
	}{
		{dataflow.CheckpointOptions{}, wire.BarrierMode_BARRIER_MODE_ALIGNED},
		{dataflow.CheckpointOptions{Mode: dataflow.ExactlyOnce, Unaligned: "off"}, wire.BarrierMode_BARRIER_MODE_ALIGNED},
		{dataflow.CheckpointOptions{Unaligned: "on"}, wire.BarrierMode_BARRIER_MODE_UNALIGNED},
		{dataflow.CheckpointOptions{AlignedTimeout: time.Second}, wire.BarrierMode_BARRIER_MODE_ALIGNED},
		{dataflow.CheckpointOptions{Unaligned: "on", AlignedTimeout: time.Second}, wire.BarrierMode_BARRIER_MODE_ALIGNED},
		{dataflow.CheckpointOptions{Mode: dataflow.AtLeastOnce}, wire.BarrierMode_BARRIER_MODE_AT_LEAST_ONCE},
	} {
		if got := barrierMode(coordinator.SendTrigger{Options: dataflow.Options{Checkpoint: c.options}}); got != c.want {
			t.Errorf("%+v: got %v, want %v", c.options, got, c.want)
		}
	}
}

// TestASavepointsBarriers always align, and what sources do then is what the
// savepoint is for.
func TestASavepointsBarriers(t *testing.T) {
	for _, c := range []struct {
		wish coordinator.SavepointWish
		want wire.Afterwards
	}{
		{coordinator.SavepointWish{}, wire.Afterwards_AFTERWARDS_GO_ON},
		{coordinator.SavepointWish{Stop: true}, wire.Afterwards_AFTERWARDS_HOLD},
		{coordinator.SavepointWish{Upgrade: true}, wire.Afterwards_AFTERWARDS_HOLD},
		{coordinator.SavepointWish{Stop: true, Drain: true}, wire.Afterwards_AFTERWARDS_DRAIN},
	} {
		a := coordinator.SendTrigger{Options: dataflow.Options{Checkpoint: dataflow.CheckpointOptions{Unaligned: "on"}}, Savepoint: &c.wish}
		if m := barrierMode(a); m != wire.BarrierMode_BARRIER_MODE_SAVEPOINT {
			t.Errorf("%+v: mode %v", c.wish, m)
		}
		if got := afterwards(a.Savepoint); got != c.want {
			t.Errorf("%+v: got %v, want %v", c.wish, got, c.want)
		}
	}
	if got := afterwards(nil); got != wire.Afterwards_AFTERWARDS_GO_ON {
		t.Errorf("no savepoint: got %v", got)
	}
}
