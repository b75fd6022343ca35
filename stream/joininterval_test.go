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

// TestIntervalJoinExactlyOnce: pairs are those whose times are near each other, on
// either side of each other, at its ends, and where they must be equal.
func TestIntervalJoinExactlyOnce(t *testing.T) {
	intervals := [][2]int64{{-10, 30}, {0, 0}, {5, 17}, {-40, -3}, {-1, 0}, {0, 100}}
	forSeeds(t, 900, 12, func(t *testing.T, m twoModel) {
		lower, upper := intervals[m.seed%uint64(len(intervals))][0], intervals[m.seed%uint64(len(intervals))][1]
		var want []string
		m.pairsOf(func(a, b rec) {
			if a.Time+lower <= b.Time && b.Time <= a.Time+upper {
				want = append(want, pairLine(a, b))
			}
		})
		c := m.check(t, want, func(a, b stream.Keyed[int, rec]) stream.Stream[string] {
			return stream.IntervalJoin(a, b, "pair", time.Duration(lower)*time.Millisecond, time.Duration(upper)*time.Millisecond, pairLine, stream.UID("pair"))
		})
		if n := entries(c, "pair"); n != 0 {
			t.Errorf("%d entries are left after the end of all input", n)
		}
	})
}

// sides makes two keyed streams of one: records of which the key is in upper case are
// the second side. In which order the two come together is open.
func sides(s stream.Stream[event]) (a, b stream.Keyed[string, event]) {
	lower := func(e event) string { return strings.ToLower(e.Key) }
	a = stream.KeyBy(stream.Filter(s, "first", func(e event) bool { return e.Key >= "a" }), lower)
	b = stream.KeyBy(stream.Filter(s, "second", func(e event) bool { return e.Key < "a" }), lower)
	return a, b
}

// TestIntervalJoinByHand: a record at the watermark is late, one behind it meets those
// that waited, and times before the epoch are times.
func TestIntervalJoinByHand(t *testing.T) {
	var closed atomic.Bool // the watermark has come to -31 at least
	src := &enginetest.Source[event]{Chunk: 1, Slices: [][]event{{
		{"a", -50}, {"A", -45}, {"a", -44}, {"b", -30}, {"A", -33}, {"A", -31}, {"B", -20}, {"b", -20}, {"B", -10},
	}}}
	src.Hold = func(_, position int) bool { return position == 4 && !closed.Load() }
	pairs, counts := enginetest.NewSink[event](), enginetest.NewSink[stream.WindowResult[string, int]]()
	counts.OnWrite = func() { closed.Store(true) }
	runOnce(t, func(p *stream.Pipeline) {
		a, b := sides(stream.From(p, "in", src, stream.UID("in"), stream.TimestampsMillis(eventTime), stream.Monotonic()))
		joined := stream.IntervalJoin(a, b, "pair", 0, 13*time.Millisecond, func(a, b event) event {
			return event{fmt.Sprint(a, b), max(a.T, b.T)}
		}, stream.UID("pair"))
		stream.To(joined, "out", pairs, stream.UID("out"))
		// Its first window ends where A at -33 is late.
		byPair := stream.KeyBy(joined, func(e event) string { return e.Key })
		w := stream.Window(byPair, "count", stream.Tumbling(10*time.Millisecond), count(), stream.UID("count"))
		stream.To(w, "counts", counts, stream.UID("counts"))
	})
	want := []event{{"{a -50} {A -45}", -45}, {"{b -30} {B -20}", -20}, {"{b -20} {B -20}", -20}, {"{b -20} {B -10}", -10}}
	got := pairs.Committed()
	slices.SortFunc(got, func(x, y event) int { return strings.Compare(x.Key, y.Key) })
	slices.SortFunc(want, func(x, y event) int { return strings.Compare(x.Key, y.Key) })
	if !slices.Equal(got, want) {
		t.Errorf("pairs %v, want %v", got, want)
	}
}

func TestBadIntervals(t *testing.T) {
	for _, c := range []struct {
		lower, upper time.Duration
		want         string
	}{
		{time.Second, 0, "the interval from 1s to 0s is empty"},
		{0, time.Microsecond, "event time is in whole milliseconds"},
		{0, 200 * 365 * 24 * time.Hour, "it may reach up to"},
	} {
		p := stream.NewPipeline("test")
		a, b := sides(stream.From(p, "in", &enginetest.Source[event]{}, stream.UID("in")))
		stream.To(stream.IntervalJoin(a, b, "pair", c.lower, c.upper, func(a, b event) event { return a }, stream.UID("pair")), "out", nothingOf[event]{})
		if _, err := p.Program(); err == nil || !strings.Contains(err.Error(), `operator "pair": the interval`) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v to %v: got %v, want %q", c.lower, c.upper, err, c.want)
		}
	}
}
