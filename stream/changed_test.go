package stream_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/connector/blackhole"
	"github.com/cairnstream/cairn/connector/generator"
	"github.com/cairnstream/cairn/stream"
	"github.com/cairnstream/cairn/stream/streamtest"
)

// stroke is a record of the tests below: its event time in seconds.
type stroke int64

func strokeTime(s stroke) time.Time { return time.Unix(int64(s), 0) }

type strokeCount = stream.WindowResult[int, int]

// strokes counts the strokes of each window.
func strokes(windows func() (stream.Windows, []stream.Option)) func(*stream.Pipeline) {
	count := stream.Aggregate[stroke, int, int]{
		Init: func() int { return 0 }, Add: func(n int, _ stroke) int { return n + 1 }, Merge: func(a, b int) int { return a + b },
		Result: func(n int) int { return n },
	}
	return func(p *stream.Pipeline) {
		in := stream.From(p, "in", &generator.Source[stroke]{}, stream.UID("in"), stream.Timestamps(strokeTime), stream.Monotonic())
		w, opts := windows()
		byNothing := stream.KeyBy(in, func(stroke) int { return 0 })
		out := stream.Window(byNothing, "count", w, count, append(opts, stream.UID("count"))...)
		stream.To(out, "out", blackhole.Sink[strokeCount]{}, stream.UID("out"))
	}
}

// TestLessLatenessForgets: windows that were kept for late records go when the next version of
// a job allows none, and are not there for the one after it.
func TestLessLatenessForgets(t *testing.T) {
	lateness := time.Hour
	job := streamtest.New(t, strokes(func() (stream.Windows, []stream.Option) {
		return stream.Tumbling(10 * time.Second), []stream.Option{stream.AllowedLateness(lateness)}
	}))
	in, out := streamtest.Input[stroke](job, "in"), streamtest.Output[strokeCount](job, "out")
	result := func(n int, pane stream.Pane) strokeCount {
		return strokeCount{Key: 0, Start: 0, End: 10_000, Value: n, Pane: pane}
	}
	in.Add(1, 2)
	in.Watermark(time.Unix(20, 0))
	out.Want(result(2, stream.OnTime))

	lateness = 0
	job.Restart()
	in.Watermark(time.Unix(30, 0))
	in.Add(35) // what is left goes with the next batch
	lateness = time.Hour
	job.Restart()
	in.Add(3)
	out.Want(result(1, stream.Late))
}

// TestOtherWindowsAreRefused: state of windows that were cut otherwise means nothing to others.
func TestOtherWindowsAreRefused(t *testing.T) {
	size := 10 * time.Second
	job := streamtest.New(t, strokes(func() (stream.Windows, []stream.Option) { return stream.Tumbling(size), nil }))
	in := streamtest.Input[stroke](job, "in")
	streamtest.Output[strokeCount](job, "out")
	in.Add(11)
	job.Restart()
	size = 20 * time.Second
	err := job.Fails(job.Restart)
	if want := "the state is of windows of 10s every 10s, and the job now has windows of 20s every 20s"; !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

// TestOtherIntervalsAreRefused: an IntervalJoin finds what waits by the width of its interval.
func TestOtherIntervalsAreRefused(t *testing.T) {
	upper := 10 * time.Second
	job := streamtest.New(t, func(p *stream.Pipeline) {
		byNothing := func(uid string) stream.Keyed[int, stroke] {
			in := stream.From(p, uid, &generator.Source[stroke]{}, stream.UID(uid), stream.Timestamps(strokeTime), stream.Monotonic())
			return stream.KeyBy(in, func(stroke) int { return 0 })
		}
		near := stream.IntervalJoin(byNothing("a"), byNothing("b"), "near", 0, upper, func(a, b stroke) stroke { return b - a }, stream.UID("near"))
		stream.To(near, "out", blackhole.Sink[stroke]{}, stream.UID("out"))
	})
	a, b := streamtest.Input[stroke](job, "a"), streamtest.Input[stroke](job, "b")
	out := streamtest.Output[stroke](job, "out")
	a.Add(17)
	job.Restart()
	b.Add(20)
	out.Want(3)
	upper = 15 * time.Second
	err := job.Fails(job.Restart)
	if want := "the state is of an interval of 10s, and the job now has an interval of 15s"; !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}
