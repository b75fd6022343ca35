package streamtest_test

import (
	"testing"
	"time"

	"github.com/cairnstream/cairn/connector/blackhole"
	"github.com/cairnstream/cairn/connector/generator"
	"github.com/cairnstream/cairn/stream"
	"github.com/cairnstream/cairn/stream/streamtest"
)

// visit is a record of the tests below; At is in seconds.
type visit struct {
	Page string
	At   int64
}

type perMinute = stream.WindowResult[string, int]

// minute is the count of a page in minute m.
func minute(page string, m int64, n int) perMinute {
	return perMinute{Key: page, Start: m * 60_000, End: (m + 1) * 60_000, Value: n}
}

func second(n int64) time.Time { return time.Unix(n, 0) }

// visits counts the visits of each page by the minute.
func visits(opts ...stream.Option) func(*stream.Pipeline) {
	return func(p *stream.Pipeline) {
		opts := append([]stream.Option{stream.UID("visits")}, opts...)
		in := stream.From(p, "visits", &generator.Source[visit]{}, opts...)
		count := stream.Aggregate[visit, int, int]{
			Init: func() int { return 0 }, Add: func(n int, _ visit) int { return n + 1 }, Merge: func(a, b int) int { return a + b },
			Result: func(n int) int { return n },
		}
		var late stream.Stream[visit]
		w := stream.Window(stream.KeyBy(in, func(v visit) string { return v.Page }), "count", stream.Tumbling(time.Minute), count,
			stream.UID("count"), stream.LateTo(&late))
		stream.To(w, "out", blackhole.Sink[perMinute]{}, stream.UID("out"))
		stream.To(late, "late", blackhole.Sink[visit]{}, stream.UID("late"))
	}
}

func at(v visit) time.Time { return second(v.At) }

// TestEventTime: records set event time as the source's options say, and what comes
// after its window is late, whatever happens in between.
func TestEventTime(t *testing.T) {
	streamtest.EveryWay(t, func(t *testing.T, way streamtest.Option) {
		job := streamtest.New(t, visits(stream.Timestamps(at), stream.BoundedOutOfOrderness(10*time.Second)), way)
		in := streamtest.Input[visit](job, "visits")
		out, late := streamtest.Output[perMinute](job, "out"), streamtest.Output[visit](job, "late")

		in.Add(visit{"a", 5}, visit{"b", 59}, visit{"a", 69})
		out.Want() // event time is 59 s less 1 ms
		in.Add(visit{"a", 70})
		out.WantInAnyOrder(minute("a", 0, 1), minute("b", 0, 1))
		in.Add(visit{"b", 58}, visit{"b", 61})
		late.Want(visit{"b", 58})
		in.Watermark(second(119))
		out.Want()
		in.Watermark(second(120))
		out.WantInAnyOrder(minute("a", 1, 2), minute("b", 1, 1))
		in.Add(visit{"c", 130})
		job.Finish()
		got := out.TakeRecords()
		want := streamtest.Record[perMinute]{Value: minute("c", 2, 1), Time: time.UnixMilli(179_999).UTC()}
		if len(got) != 1 || got[0] != want {
			t.Errorf("at the end %v, want %v", got, want)
		}
	})
}

// TestTimesOfTheSource: a source without Timestamps has the times of AddAt.
func TestTimesOfTheSource(t *testing.T) {
	streamtest.EveryWay(t, func(t *testing.T, way streamtest.Option) {
		job := streamtest.New(t, visits(), way)
		in, out := streamtest.Input[visit](job, "visits"), streamtest.Output[perMinute](job, "out")
		job.Keep("late")
		in.AddAt(second(7), visit{Page: "a"}, visit{Page: "a"})
		in.AddAt(second(60), visit{Page: "a"})
		out.Want()
		in.Watermark(second(60))
		out.Want(minute("a", 0, 2))
	})
}

// TestSplitsHoldBackTime: each split has a watermark, and the lowest counts, until its
// split has ended or was silent for IdleAfter.
func TestSplitsHoldBackTime(t *testing.T) {
	streamtest.EveryWay(t, func(t *testing.T, way streamtest.Option) {
		job := streamtest.New(t, visits(stream.Timestamps(at), stream.Monotonic(), stream.IdleAfter(30*time.Second)), way)
		in, out := streamtest.InputSplits[visit](job, "visits", 3), streamtest.Output[perMinute](job, "out")
		job.Keep("late")
		in.Split(0).Add(visit{"a", 10}, visit{"a", 200})
		in.Split(1).Add(visit{"a", 20})
		in.Split(2).End()
		out.Want() // split 1 may have more
		in.Split(1).Add(visit{"a", 90})
		out.Want(minute("a", 0, 2))
		if job.Now() != time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Local() {
			t.Errorf("steps took until %v", job.Now())
		}
		in.Split(0).Add(visit{"a", 250})
		out.Want()
	})
}

// TestIdleSplit: a split that is silent for IdleAfter does not hold back event time; it
// does so again when it has a record.
func TestIdleSplit(t *testing.T) {
	for _, parallelism := range []int{1, 2} {
		job := streamtest.New(t, visits(stream.Timestamps(at), stream.Monotonic(), stream.IdleAfter(30*time.Second)), streamtest.Parallelism(parallelism))
		in, out := streamtest.InputSplits[visit](job, "visits", 2), streamtest.Output[perMinute](job, "out")
		late := streamtest.Output[visit](job, "late")
		in.Split(1).Add(visit{"a", 20})
		in.Split(0).Add(visit{"a", 10})
		job.Advance(29 * time.Second)
		in.Split(0).Add(visit{"a", 100})
		out.Want()
		job.Advance(time.Second)
		out.Want(minute("a", 0, 2))
		in.Split(1).Add(visit{"a", 30}, visit{"a", 101})
		late.Want(visit{"a", 30})
		in.Split(0).Add(visit{"a", 500})
		out.Want() // split 1 holds back time again, at 101 s
		job.Advance(30 * time.Second)
		out.Want(minute("a", 1, 2))
	}
}
