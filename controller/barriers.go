package controller

import (
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// barrierMode is how the barriers of a job's checkpoints pass. With an aligned timeout they
// begin aligned.
func barrierMode(o dataflow.CheckpointOptions) wire.BarrierMode {
	switch {
	case o.Mode == dataflow.AtLeastOnce:
		return wire.BarrierMode_BARRIER_MODE_AT_LEAST_ONCE
	case o.Unaligned == "on" && o.AlignedTimeout == 0:
		return wire.BarrierMode_BARRIER_MODE_UNALIGNED
	}
	return wire.BarrierMode_BARRIER_MODE_ALIGNED
}
