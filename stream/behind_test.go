package stream

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// alarms notes the timers that fire, and sets one at each record's time.
type alarms struct{ fired []int64 }

func (*alarms) Open(*Setup) error { return nil }

func (*alarms) Process(ctx *Context[int64, int64], _ int64) error {
	ctx.SetTimer(ctx.Time(), "")
	return nil
}

func (a *alarms) OnTimer(_ *Context[int64, int64], t Timer) error {
	a.fired = append(a.fired, t.At)
	return nil
}

// TestTimersOfGroupsThatWereBehind: timers of key groups that were behind others at a restore
// fire at the first watermark, however low it is: it goes on downstream, where they
// would be late.
func TestTimersOfGroupsThatWereBehind(t *testing.T) {
	keys, err := codec.Key[int64]()
	must(t, err)
	ctx := &engine.OpContext{Store: openMemory(t), States: state.NewOperator(0, snapshot.Operator{}), KeyGroups: innerGroups, BatchRows: 1024, RestoredWatermark: NoTime}
	a := &alarms{}
	p, err := openProcess(ctx, newKeyTracker(ctx, func(v int64) int64 { return v }, keys), Processor[int64, int64, int64](a), &settings{})
	must(t, err)
	must(t, p.Process(batchAt(60, 1)))
	must(t, p.Process(batchAt(110, 1)))
	p.ctx.wm, p.behind = 100, true
	for _, wm := range []int64{50, 55, 120} {
		must(t, p.Watermark(wm))
		if want := []int64{60, 110}; wm < 120 && !slices.Equal(a.fired, want[:1]) || wm == 120 && !slices.Equal(a.fired, want) {
			t.Errorf("watermark %d: timers at %v have fired", wm, a.fired)
		}
	}
	if p.ctx.wm != 120 {
		t.Errorf("the watermark is %d", p.ctx.wm)
	}
}

// TestTemporalJoinOfGroupsThatWereBehind: a record that waited for the watermark in a key group
// that was behind others is joined with the version of its time, whatever comes first
// after the restore.
func TestTemporalJoinOfGroupsThatWereBehind(t *testing.T) {
	for name, first := range map[string]func(*temporalJoin[int64, int64, int64, int64]) error{
		"a version":   func(j *temporalJoin[int64, int64, int64, int64]) error { return j.ProcessSecond(batchAt(70, 12)) },
		"a record":    func(j *temporalJoin[int64, int64, int64, int64]) error { return j.ProcessFirst(batchAt(130, 13)) },
		"a watermark": func(j *temporalJoin[int64, int64, int64, int64]) error { return j.Watermark(45) },
	} {
		t.Run(name, func(t *testing.T) {
			bare := newBareJoin(t, openMemory(t))
			op, err := openTemporalJoin(bare.ctx, bare.keys, func(a, b int64, _ bool) (int64, bool) { return bare.pair(a, b), true })
			must(t, err)
			j := op.(*temporalJoin[int64, int64, int64, int64])
			must(t, j.ProcessSecond(batchAt(50, 11)))
			must(t, j.ProcessFirst(batchAt(60, 10)))
			j.wm, j.behind = 100, slices.Repeat([]int64{40}, innerGroups)
			must(t, first(j))
			must(t, j.Watermark(100))
			if got := bare.take(); got != "10 11" {
				t.Errorf("joined %q, want the record with the version of its time", got)
			}
		})
	}
}

// TestWindowOfGroupThatWasBehind: until the first watermark after a restore, a key group that was
// behind others takes records as it did before: their window gives its result once, at
// its end.
func TestWindowOfGroupThatWasBehind(t *testing.T) {
	for name, c := range map[string]struct {
		windows  Windows
		lateness time.Duration
	}{
		"session":               {Session(10 * time.Millisecond), 0},
		"session with lateness": {Session(10 * time.Millisecond), 50 * time.Millisecond},
		"tumbling":              {Tumbling(10 * time.Millisecond), 0},
		"tumbling and lateness": {Tumbling(10 * time.Millisecond), 50 * time.Millisecond},
		"sliding":               {Sliding(10*time.Millisecond, 7*time.Millisecond), 0},
	} {
		t.Run(name, func(t *testing.T) {
			keys, err := codec.Key[int64]()
			must(t, err)
			var results []int64
			agg := Aggregate[int64, int64, int64]{
				Init: func() int64 { return 0 }, Add: func(n, _ int64) int64 { return n + 1 }, Merge: func(a, b int64) int64 { return a + b },
				Result: func(n int64) int64 { results = append(results, n); return n },
			}
			ctx := &engine.OpContext{Store: openMemory(t), States: state.NewOperator(0, snapshot.Operator{}), KeyGroups: innerGroups, BatchRows: 1024, RestoredWatermark: NoTime}
			kt := newKeyTracker(ctx, func(v int64) int64 { return v }, keys)
			behind := slices.Repeat([]int64{40}, innerGroups)
			var op engine.Transform[int64]
			if set := (&windowSettings{lateness: c.lateness}); c.windows.kind == session {
				op, err = openSessions(ctx, kt, c.windows, agg, set)
				must(t, err)
				must(t, op.Process(batchAt(64, 1)))
				s := op.(*sessions[int64, int64, int64, int64])
				s.wm, s.behind = 100, behind
			} else {
				op, err = openSlices(ctx, kt, c.windows, agg, set)
				must(t, err)
				must(t, op.Process(batchAt(64, 1)))
				s := op.(*sliceWindow[int64, int64, int64, int64])
				s.wm, s.behind = 100, behind
			}
			must(t, op.Process(batchAt(65, 1)))
			must(t, op.Watermark(45))
			for _, n := range results {
				if n != 2 {
					t.Errorf("results %v, want 2 records in each", results)
				}
			}
			if len(results) != 1 && c.windows.kind != sliding {
				t.Errorf("%d results, want 1", len(results))
			}
		})
	}
}

// TestNotLateInGroupThatWasBehind: records that were in flight at a restore point come before the
// first watermark after the restore, and are late only for what their own key group had seen.
func TestNotLateInGroupThatWasBehind(t *testing.T) {
	behind := slices.Repeat([]int64{40}, innerGroups)
	for name, run := range map[string]func(bare *bareJoin) error{
		"interval join": func(bare *bareJoin) error {
			op, err := openIntervalJoin(bare.ctx, bare.keys, newInterval(-time.Second, time.Second), bare.pair)
			must(t, err)
			j := op.(*intervalJoin[int64, int64, int64, int64])
			j.first.wm, j.first.behind, j.second.wm, j.second.behind = 100, behind, 100, behind
			return cmp.Or(op.ProcessFirst(batchAt(60, 10)), op.ProcessSecond(batchAt(60, 11)))
		},
		"window join": func(bare *bareJoin) error {
			op, err := openWindowJoin(bare.ctx, bare.keys, Tumbling(10*time.Millisecond), false, bare.pair)
			must(t, err)
			j := op.(*windowJoin[int64, int64, int64, int64])
			j.wm, j.behind = 100, behind
			return cmp.Or(op.ProcessFirst(batchAt(60, 10)), op.ProcessSecond(batchAt(60, 11)), op.Watermark(100))
		},
		"temporal join": func(bare *bareJoin) error {
			op, err := openTemporalJoin(bare.ctx, bare.keys, func(a, b int64, _ bool) (int64, bool) { return bare.pair(a, b), true })
			must(t, err)
			j := op.(*temporalJoin[int64, int64, int64, int64])
			j.wm, j.behind = 100, behind
			return cmp.Or(op.ProcessFirst(batchAt(60, 10)), op.ProcessSecond(batchAt(60, 11)), op.Watermark(100))
		},
	} {
		t.Run(name, func(t *testing.T) {
			bare := newBareJoin(t, openMemory(t))
			must(t, run(bare))
			if got := bare.take(); got != "10 11" {
				t.Errorf("joined %q, want the two, which are not late", got)
			}
		})
	}
}
