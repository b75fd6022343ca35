package controller

import (
	"github.com/cairnstream/cairn/coordinator"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// barrierMode is how the barriers of a checkpoint pass, by the options that it began
// with. With an aligned timeout they begin aligned; a savepoint's always are.
func barrierMode(a coordinator.SendTrigger) wire.BarrierMode {
	o := a.Options.Checkpoint
	switch {
	case a.Savepoint != nil:
		return wire.BarrierMode_BARRIER_MODE_SAVEPOINT
	case o.Mode == dataflow.AtLeastOnce:
		return wire.BarrierMode_BARRIER_MODE_AT_LEAST_ONCE
	case o.Unaligned == "on" && o.AlignedTimeout == 0:
		return wire.BarrierMode_BARRIER_MODE_UNALIGNED
	}
	return wire.BarrierMode_BARRIER_MODE_ALIGNED
}

// afterwards is what sources do when they have sent the barrier.
func afterwards(w *coordinator.SavepointWish) wire.Afterwards {
	switch {
	case !w.Holds():
		return wire.Afterwards_AFTERWARDS_GO_ON
	case w.Drain:
		return wire.Afterwards_AFTERWARDS_DRAIN
	}
	return wire.Afterwards_AFTERWARDS_HOLD
}
