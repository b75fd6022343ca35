package stream_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// windowsOf are the starts of all windows that hold t.
func windowsOf(t, size, slide int64) (starts []int64) {
	for s := t - size + 1; s <= t; s++ {
		if (s%slide+slide)%slide == 0 {
			starts = append(starts, s)
		}
	}
	return starts
}

// TestWindowJoinExactlyOnce: two records meet in each window that has both.
func TestWindowJoinExactlyOnce(t *testing.T) {
	forSeeds(t, 600, 10, func(t *testing.T, m twoModel) {
		shape := joinShapes[m.seed%uint64(len(joinShapes))]
		var want []string
		m.pairsOf(func(a, b rec) {
			for _, start := range windowsOf(a.Time, shape[0], shape[1]) {
				if start <= b.Time && b.Time < start+shape[0] {
					want = append(want, pairLine(a, b))
				}
			}
		})
		c := m.check(t, want, func(a, b stream.Keyed[int, rec]) stream.Stream[string] {
			return stream.WindowJoin(a, b, "pair", windowsShaped(shape), pairLine, stream.UID("pair"))
		})
		if n := entries(c, "pair"); n != 0 {
			t.Errorf("%d entries are left after the end of all input", n)
		}
	})
}

// joinShapes are sizes and slides of windows: that follow each other, that overlap, that
// overlap in parts of unequal size, and that leave gaps.
var joinShapes = [][2]int64{{50, 50}, {60, 20}, {50, 20}, {30, 50}}

func windowsShaped(shape [2]int64) stream.Windows {
	size, slide := time.Duration(shape[0])*time.Millisecond, time.Duration(shape[1])*time.Millisecond
	if size == slide {
		return stream.Tumbling(size)
	}
	return stream.Sliding(size, slide)
}

// TestBadJoinWindows: windows that have no common end for both sides are refused.
func TestBadJoinWindows(t *testing.T) {
	for _, c := range []struct {
		windows stream.Windows
		want    string
	}{
		{stream.Session(time.Second), "Session windows can not be joined: use Tumbling or Sliding"},
		{stream.Global(), "Global windows can not be joined"},
		{stream.Tumbling(0), "windows are at least 1ms long"},
	} {
		p := stream.NewPipeline("test")
		a, b := sides(stream.From(p, "in", &enginetest.Source[event]{}, stream.UID("in")))
		stream.To(stream.WindowJoin(a, b, "pair", c.windows, func(a, b event) event { return a }, stream.UID("pair")), "out", nothingOf[event]{})
		if _, err := p.Program(); err == nil || !strings.Contains(err.Error(), `operator "pair": `+c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

// TestWindowJoinFirstMatch: with FirstMatch each record of the first stream comes once
// for each window in which the second has some, whatever their number.
func TestWindowJoinFirstMatch(t *testing.T) {
	forSeeds(t, 600, 30, func(t *testing.T, m twoModel) {
		shape := joinShapes[m.seed%uint64(len(joinShapes))]
		has := map[[2]int64]bool{}
		for _, b := range slices.Concat(m.right...) {
			for _, start := range windowsOf(b.Time, shape[0], shape[1]) {
				has[[2]int64{int64(b.Key), start}] = true
			}
		}
		line := func(a rec) string { return fmt.Sprintf("%d: %d/%d at %d", a.Key, a.Split, a.N, a.Time) }
		var want []string
		for _, a := range slices.Concat(m.left...) {
			for _, start := range windowsOf(a.Time, shape[0], shape[1]) {
				if has[[2]int64{int64(a.Key), start}] {
					want = append(want, line(a))
				}
			}
		}
		c := m.check(t, want, func(a, b stream.Keyed[int, rec]) stream.Stream[string] {
			return stream.WindowJoin(a, b, "pair", windowsShaped(shape), func(a, _ rec) string { return line(a) },
				stream.FirstMatch(), stream.UID("pair"))
		})
		if n := entries(c, "pair"); n != 0 {
			t.Errorf("%d entries are left after the end of all input", n)
		}
	})
}

// TestWindowJoinByHand: results come at the end of a window, with its last millisecond as
// event time, so that a window behind it takes them; a record after the end is late.
func TestWindowJoinByHand(t *testing.T) {
	var fired atomic.Bool
	src := &enginetest.Source[event]{Chunk: 1, Slices: [][]event{{
		{"a", 10}, {"A", 20}, {"A", 99}, {"b", 50}, {"a", 100}, {"B", 60}, {"A", 205}, {"a", 210},
	}}}
	src.Hold = func(_, position int) bool { return position == 5 && !fired.Load() }
	sink := enginetest.NewSink[stream.WindowResult[string, int]]()
	sink.OnWrite = func() { fired.Store(true) }
	runOnce(t, func(p *stream.Pipeline) {
		a, b := sides(stream.From(p, "in", src, stream.UID("in"), stream.TimestampsMillis(eventTime), stream.Monotonic()))
		pairs := stream.WindowJoin(a, b, "pair", stream.Tumbling(100*time.Millisecond),
			func(a, b event) event { return event{a.Key + b.Key, b.T} }, stream.UID("pair"))
		byKey := stream.KeyBy(pairs, func(e event) string { return e.Key })
		counts := stream.Window(byKey, "count", stream.Tumbling(100*time.Millisecond), count(), stream.UID("count"))
		stream.To(counts, "out", sink, stream.UID("out"))
	})
	got := sink.Committed()
	if len(got) != 2 || got[0].Key != "aA" || got[0].Start != 0 || got[0].Value != 2 || got[1].Start != 200 || got[1].Value != 1 {
		t.Errorf("counts of pairs %v, want 2 of aA at 0 and 1 at 200", got)
	}
}
