package stream_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// alarm sets a timer for each record: T milliseconds of processing time later. The
// key "off" deletes one instead.
type alarm struct {
	start int64
	fired *stream.Value[int64]
}

func (a *alarm) Open(s *stream.Setup) error {
	a.fired = stream.ValueState[int64](s, "fired")
	return nil
}

func (a *alarm) Process(ctx *stream.Context[string, string], e event) error {
	if name, ok := strings.CutPrefix(e.Key, "off "); ok {
		ctx.DeleteProcessingTimer(a.start+e.T, name)
		return nil
	}
	ctx.SetProcessingTimer(a.start+e.T, e.Key)
	ctx.SetProcessingTimer(a.start+e.T, e.Key) // is once
	return nil
}

func (a *alarm) OnTimer(ctx *stream.Context[string, string], t stream.Timer) error {
	if !t.Processing || ctx.Time() != stream.NoTime {
		return fmt.Errorf("timer %+v with event time %d", t, ctx.Time())
	}
	late := ctx.ProcessingTime() - t.At
	if t.Tag == "past" {
		late = 0 // not before it is set
	}
	ctx.Emit(fmt.Sprintf("%s at %d, %d late", t.Tag, t.At-a.start, late))
	if t.Tag == "again" && t.At < a.start+300 {
		ctx.SetProcessingTimer(t.At+100, "again")
	}
	return a.fired.Update(func(n *int64, _ bool) { *n++ })
}

// TestProcessingTimers: they fire in order, at their times, and not after the end
// of the input.
func TestProcessingTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now().UnixMilli()
		src := &enginetest.Source[event]{Slices: [][]event{{
			{"b", 50}, {"a", 10}, {"again", 100}, {"gone", 70}, {"off gone", 70}, {"past", -5}, {"after the end", 5000}, {"a", 50}, {"end", 9999},
		}}}
		src.Hold = func(_, position int) bool { return position == 8 && time.Now().UnixMilli() < start+1000 }
		src.Chunk = 4
		results := enginetest.NewSink[string]()
		c := enginetest.New(1, 1)
		c.OnlyFinal = true // one checkpoint after the other would not let time pass
		err := c.Run(t.Context(), program(t, func(p *stream.Pipeline) {
			s := stream.KeyBy(stream.From(p, "in", src, stream.UID("in")), func(event) string { return "one" })
			timed := stream.Process(s, "alarm", func() stream.Processor[string, event, string] { return &alarm{start: start} }, stream.UID("alarm"))
			stream.To(timed, "out", results, stream.UID("out"))
		}))
		if err != nil {
			t.Fatal(err)
		}
		want := []string{
			"past at -5, 0 late", "a at 10, 0 late", "a at 50, 0 late", "b at 50, 0 late",
			"again at 100, 0 late", "again at 200, 0 late", "again at 300, 0 late",
		}
		if got := results.Committed(); !slices.Equal(got, want) {
			t.Errorf("fired %q, want %q", got, want)
		}
	})
}

// delayed emits each record a little later.
type delayed struct{ kept *stream.MapOf[int64, event] }

func (d *delayed) Open(s *stream.Setup) error {
	d.kept = stream.MapState[int64, event](s, "kept")
	return nil
}

func (d *delayed) Process(ctx *stream.Context[string, event], e event) error {
	if e.T < 0 {
		return nil
	}
	ctx.SetProcessingTimer(ctx.ProcessingTime()+e.T%7, fmt.Sprint(e.T))
	return d.kept.Put(e.T, e)
}

func (d *delayed) OnTimer(ctx *stream.Context[string, event], t stream.Timer) error {
	var n int64
	if _, err := fmt.Sscan(t.Tag, &n); err != nil {
		return err
	}
	e, ok, err := d.kept.Get(n)
	if err != nil || !ok {
		return fmt.Errorf("record %d is not kept: %w", n, err)
	}
	d.kept.Delete(n)
	ctx.Emit(e)
	return nil
}

// TestProcessingTimersSurvive kills and rescales a job whose output comes from timers of
// processing time alone: nothing is lost and nothing comes twice.
func TestProcessingTimersSurvive(t *testing.T) {
	for _, backend := range []string{dataflow.BackendMemory, dataflow.BackendLSM} {
		t.Run(backend, func(t *testing.T) { processingTimersSurvive(t, backend) })
	}
}

func processingTimersSurvive(t *testing.T, backend string) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	const perSlice = 300
	sink := enginetest.NewSink[event]()
	src := &enginetest.Source[event]{Chunk: 5}
	for s := range int64(3) {
		var slice []event
		for n := range int64(perSlice) {
			slice = append(slice, event{fmt.Sprint("key", r.IntN(10)), s*perSlice + n})
		}
		src.Slices = append(src.Slices, append(slice, event{"end", -1}))
	}
	total := 3 * perSlice
	src.Hold = func(_, position int) bool { return position == perSlice && len(sink.Committed()) < total }
	c := enginetest.New(seed, 2)
	c.Options.State.Backend = backend
	var writes, killAt atomic.Int64
	sink.OnWrite = func() {
		if writes.Add(1) == killAt.Load() {
			c.Kill()
		}
	}
	build := func(parallelism int) func(p *stream.Pipeline) {
		return func(p *stream.Pipeline) {
			p.Parallelism(parallelism)
			s := stream.KeyBy(stream.From(p, "in", src, stream.UID("in")), func(e event) string { return e.Key })
			late := stream.Process(s, "delay", func() stream.Processor[string, event, event] { return &delayed{} }, stream.UID("delay"))
			stream.To(late, "out", sink, stream.UID("out"))
		}
	}
	for attempt := 0; ; attempt++ {
		killAt.Store(0)
		if attempt < 4 {
			killAt.Store(writes.Load() + 1 + int64(r.IntN(20)))
		}
		err := c.Run(t.Context(), program(t, build(1+r.IntN(3))))
		if err == nil {
			break
		}
		if !errors.Is(err, enginetest.ErrKilled) {
			t.Fatal(err)
		}
	}
	var got []int64
	for _, e := range sink.Committed() {
		got = append(got, e.T)
	}
	slices.Sort(got)
	for i := range max(total, len(got)) {
		if i >= len(got) || got[i] != int64(i) {
			t.Fatalf("%d records came out, want each of %d once: %v", len(got), total, got)
		}
	}
}
