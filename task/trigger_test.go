package task

import (
	"testing"
	"time"

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
