package stream

import (
	"testing"
	"time"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/memory"
)

// TestWindowStateIsBounded runs windows over a long time: state is what is open, and
// at the end there is none; nor does what lies beside the store grow.
func TestWindowStateIsBounded(t *testing.T) {
	const keys = 10
	set := func(lateness time.Duration, on Trigger) *windowSettings {
		return &windowSettings{lateness: lateness, trigger: on}
	}
	for name, tc := range map[string]struct {
		windows Windows
		set     *windowSettings
		max     int64 // entries
	}{
		"tumbling":        {Tumbling(10 * time.Millisecond), set(0, AtWatermark()), 2 * keys},
		"sliding":         {Sliding(10*time.Millisecond, 4*time.Millisecond), set(0, AtWatermark()), 8 * keys},
		"late":            {Sliding(10*time.Millisecond, 4*time.Millisecond), set(20*time.Millisecond, AtWatermark()), 18 * keys},
		"early":           {Sliding(10*time.Millisecond, 5*time.Millisecond), set(0, AtCount(3)), 8 * keys},
		"purging":         {Tumbling(10 * time.Millisecond), set(0, Purging(AtCount(3))), 4 * keys},
		"every":           {Tumbling(10 * time.Millisecond), set(0, Purging(EveryEventTime(3*time.Millisecond))), 4 * keys},
		"counted":         {Global(), set(0, Purging(AtCount(1))), 0},
		"session":         {Session(3 * time.Millisecond), set(0, AtWatermark()), 2 * keys},
		"late session":    {Session(3 * time.Millisecond), set(30*time.Millisecond, EveryEventTime(time.Millisecond)), 5 * keys},
		"endless session": {Session(30 * time.Millisecond), set(0, AtCount(5)), keys},
	} {
		t.Run(name, func(t *testing.T) { windowState(t, keys, tc.windows, tc.set, tc.max) })
	}
}

func windowState(t *testing.T, keys int64, w Windows, set *windowSettings, most int64) {
	store, err := memory.Open(memory.Config{GroupHi: 7})
	if err != nil {
		t.Fatal(err)
	}
	op := openWindow(t, &engine.OpContext{
		Store: store, States: state.NewOperator(0, snapshot.Operator{}), KeyGroups: 8, RestoredWatermark: NoTime,
	}, w, set)
	for now := int64(0); now < 5000; now++ {
		b := &engine.Batch[int64]{}
		for k := range keys {
			if at := now - k%2*2; at%10 < 6 || w.size == 30 { // with pauses of 5
				b.Append(k, at)
			}
		}
		if err := op.Process(b); err != nil {
			t.Fatal(err)
		}
		if err := op.Watermark(now - 3); err != nil {
			t.Fatal(err)
		}
		if err := store.EndBatch(); err != nil {
			t.Fatal(err)
		}
		if entries, _ := store.Size(); entries > most {
			t.Fatalf("%d entries at %d, want %d at most", entries, now, most)
		}
	}
	if n := beside(op); n > 20*keys {
		t.Errorf("%d things lie beside the store", n)
	}
	if err := op.Watermark(engine.MaxWatermark); err != nil {
		t.Fatal(err)
	}
	if entries, _ := store.Size(); entries != 0 {
		t.Errorf("%d entries are left", entries)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}

// openWindow opens the operator of a window that counts.
func openWindow(t *testing.T, ctx *engine.OpContext, w Windows, set *windowSettings) engine.Transform[int64] {
	t.Helper()
	c, err := codec.Key[int64]()
	if err != nil {
		t.Fatal(err)
	}
	keys := newKeyTracker(ctx, func(v int64) int64 { return v }, c)
	agg := Aggregate[int64, int64, int64]{
		Init: func() int64 { return 0 }, Add: func(n, _ int64) int64 { return n + 1 }, Result: func(n int64) int64 { return n },
		Merge: func(a, b int64) int64 { return a + b },
	}
	open := openSlices[int64, int64, int64, int64]
	if w.kind == session {
		open = openSessions[int64, int64, int64, int64]
	}
	op, err := open(ctx, keys, w, agg, set)
	if err != nil {
		t.Fatal(err)
	}
	return op
}

// beside counts what an operator keeps beside the store.
func beside(op engine.Transform[int64]) int64 {
	switch op := op.(type) {
	case *sessions[int64, int64, int64, int64]:
		return int64(op.agenda.Len())
	case *sliceWindow[int64, int64, int64, int64]:
		n := 0
		for _, l := range op.roster.slices {
			n += len(keysOf(l))
		}
		return int64(n)
	}
	return -1
}
