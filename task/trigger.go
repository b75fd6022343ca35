package task

import (
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/wire"
)

// triggerOf is what a leader's order asks of the engine. Modes and what follows have the
// same numbers there and here; one that this version does not know is aligned, as
// a savepoint's is, and its sources go on.
func triggerOf(t *wire.Trigger) engine.Trigger {
	out := engine.Trigger{
		ID: dataflow.CheckpointID(t.Checkpoint), At: time.UnixMilli(t.AtUnixMs),
		AlignedTimeout: time.Duration(t.AlignedTimeoutMs) * time.Millisecond,
	}
	switch t.Mode {
	case wire.BarrierMode_BARRIER_MODE_UNALIGNED:
		out.Mode = engine.Unaligned
	case wire.BarrierMode_BARRIER_MODE_AT_LEAST_ONCE:
		out.Mode = engine.AtLeastOnce
	case wire.BarrierMode_BARRIER_MODE_SAVEPOINT:
		out.Mode = engine.Savepoint
	}
	switch t.Afterwards {
	case wire.Afterwards_AFTERWARDS_HOLD:
		out.Afterwards = engine.Hold
	case wire.Afterwards_AFTERWARDS_DRAIN:
		out.Afterwards = engine.Drain
	}
	return out
}
