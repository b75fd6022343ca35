package controller

import (
	"testing"
	"time"

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
		if got := barrierMode(c.options); got != c.want {
			t.Errorf("%+v: got %v, want %v", c.options, got, c.want)
		}
	}
}
