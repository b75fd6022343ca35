package streamtest_test

import (
	"slices"
	"testing"
	"time"

	"github.com/cairnstream/cairn/connector/blackhole"
	"github.com/cairnstream/cairn/connector/generator"
	"github.com/cairnstream/cairn/stream"
	"github.com/cairnstream/cairn/stream/streamtest"
)

// twoSources sends the records of two sources to one sink; the second one's come from
// several splits.
func twoSources(first, second stream.Option) func(*stream.Pipeline) {
	return func(p *stream.Pipeline) {
		from := func(uid string, align stream.Option) stream.Stream[visit] {
			return stream.From(p, uid, &generator.Source[visit]{}, stream.UID(uid), stream.Timestamps(at), stream.Monotonic(),
				stream.IdleAfter(30*time.Second), align)
		}
		stream.To(stream.Union(from("a", first), from("b", second)), "out", blackhole.Sink[visit]{}, stream.UID("out"))
	}
}

// pages are the visits' pages, in order.
func pages(vs []visit) string {
	var all []string
	for _, v := range vs {
		all = append(all, v.Page)
	}
	slices.Sort(all)
	joined := ""
	for _, p := range all {
		joined += p
	}
	return joined
}

// TestAlign: a split that is ahead waits for all others of its group, in its own subtask, in
// others, in other processes and of another source, but for those that are idle or at
// their end.
func TestAlign(t *testing.T) {
	minute := stream.Align("shop", time.Minute)
	streamtest.EveryWay(t, func(t *testing.T, way streamtest.Option) {
		job := streamtest.New(t, twoSources(minute, minute), way)
		a, b := streamtest.Input[visit](job, "a"), streamtest.InputSplits[visit](job, "b", 3)
		out := streamtest.Output[visit](job, "out")
		want := func(step, want string) {
			t.Helper()
			if got := pages(out.Take()); got != want {
				t.Errorf("%s: got %q, want %q", step, got, want)
			}
		}
		a.Add(visit{"a", 100})
		a.Add(visit{"b", 101})
		want("the first of a split is read, to learn its time", "a")
		b.Split(0).Add(visit{"c", 10})
		b.Split(1).Add(visit{"d", 200})
		b.Split(1).Add(visit{"e", 201})
		want("the others have nothing", "cd")
		b.Split(2).Add(visit{"f", 100})
		want("at 10 seconds up to 70 may be read", "f")
		b.Split(0).Add(visit{"g", 41})
		want("up to 101", "bg")
		b.Split(0).Add(visit{"h", 300})
		want("the lowest is at 100 now", "h")
		a.Add(visit{"i", 141})
		b.Split(2).End()
		want("the lowest is at 141", "ei")
		job.Advance(29 * time.Second)
		want("nothing new", "")
		b.Split(0).Add(visit{"j", 301})
		want("a at 141 is not idle yet", "")
		job.Finish()
		want("nothing is left", "j")
	})
}

// TestAlignIdle: an idle split does not hold back the others, until it has records again.
func TestAlignIdle(t *testing.T) {
	minute := stream.Align("shop", time.Minute)
	for _, opts := range [][]streamtest.Option{nil, {streamtest.Parallelism(2), streamtest.Processes(2)}} {
		job := streamtest.New(t, twoSources(minute, minute), opts...)
		a, b := streamtest.Input[visit](job, "a"), streamtest.InputSplits[visit](job, "b", 2)
		out := streamtest.Output[visit](job, "out")
		b.Split(1).Add(visit{"x", 9000})
		a.Add(visit{"a", 10})
		a.Add(visit{"b", 500})
		b.Split(1).Add(visit{"y", 9001})
		out.WantInAnyOrder(visit{"x", 9000}, visit{"a", 10}) // split 0 of b has nothing
		job.Advance(30 * time.Second)
		out.WantInAnyOrder(visit{"b", 500}) // it is idle, and a is the lowest
		b.Split(0).Add(visit{"c", 20})
		a.Add(visit{"d", 560})
		out.WantInAnyOrder(visit{"c", 20}) // it holds back a now
		b.Split(0).Add(visit{"e", 600})
		out.WantInAnyOrder(visit{"d", 560}, visit{"e", 600})
	}
}

// TestAlignGroups: sources of different groups, or of none, do not wait for each other, and
// each source has its own drift.
func TestAlignGroups(t *testing.T) {
	none := stream.Parallelism(1)
	for name, c := range map[string]struct {
		first, second stream.Option
		want          string
	}{
		"one group":     {stream.Align("x", time.Minute), stream.Align("x", time.Minute), "ac"},
		"other groups":  {stream.Align("x", time.Minute), stream.Align("y", time.Minute), "abc"},
		"one is free":   {none, stream.Align("y", time.Minute), "abc"},
		"a wider drift": {stream.Align("x", time.Hour), stream.Align("x", time.Minute), "abc"},
	} {
		t.Run(name, func(t *testing.T) {
			job := streamtest.New(t, twoSources(c.first, c.second))
			a, b, out := streamtest.Input[visit](job, "a"), streamtest.Input[visit](job, "b"), streamtest.Output[visit](job, "out")
			a.Add(visit{"a", 1000})
			b.Add(visit{"c", 10})
			a.Add(visit{"b", 1001})
			if got := pages(out.Take()); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
