package stream_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// listed is the times of a window's events, in the order in which they were merged.
func listed() stream.Aggregate[event, []int64, string] {
	return stream.Aggregate[event, []int64, string]{
		Init:   func() []int64 { return nil },
		Add:    func(a []int64, e event) []int64 { return append(a, e.T) },
		Merge:  func(a, b []int64) []int64 { return append(slices.Clip(a), b...) },
		Result: func(a []int64) string { return strings.Trim(fmt.Sprint(a), "[]") },
	}
}

// runWindow gives the results of a window over events that come one by one, and what was
// late. The watermark follows right behind each event.
func runWindow(t *testing.T, w stream.Windows, times []int64, opts ...stream.Option) (results []string, late []int64) {
	t.Helper()
	c := enginetest.New(1, 1)
	c.Options.BatchRows = 1
	src := &enginetest.Source[event]{Chunk: 1, Slices: [][]event{nil}}
	for _, at := range times {
		src.Slices[0] = append(src.Slices[0], event{"a", at})
	}
	sink, lates := enginetest.NewSink[stream.WindowResult[string, string]](), enginetest.NewSink[event]()
	err := c.Run(t.Context(), program(t, func(p *stream.Pipeline) {
		s := stream.From(p, "in", src, stream.UID("in"), stream.TimestampsMillis(eventTime), stream.Monotonic())
		var side stream.Stream[event]
		if w != stream.Global() {
			opts = append(opts, stream.LateTo(&side))
		}
		k := stream.KeyBy(s, func(e event) string { return e.Key })
		stream.To(stream.Window(k, "w", w, listed(), append(opts, stream.UID("w"))...), "out", sink, stream.UID("out"))
		if w != stream.Global() {
			stream.To(side, "late", lates, stream.UID("late"))
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range sink.Committed() {
		results = append(results, fmt.Sprintf("%d-%d %v: %s", r.Start, r.End, r.Pane, r.Value))
	}
	for _, e := range lates.Committed() {
		late = append(late, e.T)
	}
	return results, late
}

func TestWindowsByHand(t *testing.T) {
	for name, tc := range map[string]struct {
		windows stream.Windows
		times   []int64
		opts    []stream.Option
		want    []string
		late    []int64
	}{
		"sliding": {
			windows: stream.Sliding(ms(10), ms(5)), times: []int64{1, 6, 12},
			want: []string{"-5-5 on time: 1", "0-10 on time: 1 6", "5-15 on time: 6 12", "10-20 on time: 12"},
		},
		"sliding, and slide does not divide size": {
			windows: stream.Sliding(ms(5), ms(3)), times: []int64{1, 2, 3, 4, 5, 6},
			want: []string{"-3-2 on time: 1", "0-5 on time: 1 2 3 4", "3-8 on time: 3 4 5 6", "6-11 on time: 6"},
		},
		"sliding with gaps": {
			windows: stream.Sliding(ms(2), ms(5)).Offset(ms(1)), times: []int64{0, 1, 2, 3, 5, 6, 9},
			want: []string{"1-3 on time: 1 2", "6-8 on time: 6"},
		},
		"an event that is late for one of its windows": {
			windows: stream.Sliding(ms(10), ms(5)), times: []int64{1, 10, 7, 3},
			want: []string{"-5-5 on time: 1", "0-10 on time: 1", "5-15 on time: 7 10", "10-20 on time: 10"}, late: []int64{3},
		},
		"lateness": {
			windows: stream.Tumbling(ms(10)), times: []int64{1, 12, 5, 19, 6, 20, 7}, opts: []stream.Option{stream.AllowedLateness(ms(10))},
			want: []string{"0-10 on time: 1", "0-10 late: 1 5", "0-10 late: 1 5 6", "10-20 on time: 12 19", "20-30 on time: 20"}, late: []int64{7},
		},
		"lateness of a window that had nothing": {
			windows: stream.Sliding(ms(10), ms(5)), times: []int64{21, 12, 13}, opts: []stream.Option{stream.AllowedLateness(ms(5))},
			want: []string{"10-20 late: 12", "10-20 late: 12 13", "15-25 on time: 21", "20-30 on time: 21"},
		},
		"session": {
			windows: stream.Session(ms(5)), times: []int64{1, 5, 9, 14, 20},
			want: []string{"1-14 on time: 1 5 9", "14-19 on time: 14", "20-25 on time: 20"},
		},
		"session that a late event goes on with": {
			windows: stream.Session(ms(5)), times: []int64{1, 7, 5, 17, 7}, opts: []stream.Option{stream.AllowedLateness(ms(6))},
			want: []string{"1-6 on time: 1", "1-12 on time: 1 7 5", "1-12 late: 1 7 5 7", "17-22 on time: 17"},
		},
		"session that is late for good": {
			windows: stream.Session(ms(5)), times: []int64{1, 20, 24, 3, 14, 15},
			want: []string{"1-6 on time: 1", "20-29 on time: 20 24"}, late: []int64{3, 14, 15},
		},
		"session that a late event joins": {
			windows: stream.Session(ms(5)), times: []int64{1, 20, 24, 16},
			want: []string{"1-6 on time: 1", "16-29 on time: 20 24 16"},
		},
		"sessions that an event joins": {
			windows: stream.Session(ms(5)), times: []int64{1, 8, 7, 4, 30}, opts: []stream.Option{stream.AllowedLateness(ms(20))},
			want: []string{"1-6 on time: 1", "1-13 on time: 1 8 7 4", "30-35 on time: 30"},
		},
		"global": {
			windows: stream.Global(), times: []int64{3, 1, 2},
			want: []string{fmt.Sprintf("%d-%d on time: 3 1 2", math.MinInt64, math.MaxInt64)},
		},
		"count": {
			windows: stream.Tumbling(ms(10)), times: []int64{1, 2, 3, 4, 5, 12}, opts: []stream.Option{stream.On(stream.AtCount(2))},
			want: []string{"0-10 early: 1 2", "0-10 early: 1 2 3 4", "0-10 on time: 1 2 3 4 5", "10-20 on time: 12"},
		},
		"count, purging": {
			windows: stream.Tumbling(ms(10)), times: []int64{1, 2, 3, 4, 12, 13}, opts: []stream.Option{stream.On(stream.Purging(stream.AtCount(3)))},
			want: []string{"0-10 early: 1 2 3", "0-10 on time: 4", "10-20 on time: 12 13"},
		},
		"count, purging, and nothing is left": {
			windows: stream.Session(ms(5)), times: []int64{1, 2, 3, 4, 20}, opts: []stream.Option{stream.On(stream.Purging(stream.AtCount(2)))},
			want: []string{"1-7 early: 1 2", "1-9 early: 3 4", "20-25 on time: 20"},
		},
		"purging and late": {
			windows: stream.Tumbling(ms(10)), times: []int64{1, 12, 5, 6}, opts: []stream.Option{stream.On(stream.Purging(stream.AtWatermark())), stream.AllowedLateness(ms(10))},
			want: []string{"0-10 on time: 1", "0-10 late: 5", "0-10 late: 6", "10-20 on time: 12"},
		},
		"count in windows that overlap": {
			windows: stream.Sliding(ms(10), ms(5)), times: []int64{1, 6, 7}, opts: []stream.Option{stream.On(stream.AtCount(2))},
			want: []string{"0-10 early: 1 6", "-5-5 on time: 1", "5-15 early: 6 7", "0-10 on time: 1 6 7", "5-15 on time: 6 7"},
		},
		"event time": {
			windows: stream.Tumbling(ms(10)), times: []int64{1, 2, 5, 8, 9, 13}, opts: []stream.Option{stream.On(stream.EveryEventTime(ms(4)))},
			want: []string{"0-10 early: 1 2 5", "0-10 early: 1 2 5 8", "0-10 on time: 1 2 5 8 9", "10-20 on time: 13"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, late := runWindow(t, tc.windows, tc.times, tc.opts...)
			if !slices.Equal(got, tc.want) || !slices.Equal(late, tc.late) {
				t.Errorf("got %q, late %v; want %q, late %v", got, late, tc.want, tc.late)
			}
		})
	}
}

// TestEveryProcessingTime: results come at the multiples of the period, of windows that have
// changed.
func TestEveryProcessingTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		src := &enginetest.Source[event]{Chunk: 1, Slices: [][]event{{{"a", 10}, {"b", 20}, {"a", 1500}, {"end", 3500}}}}
		src.Hold = func(_, position int) bool {
			return time.Since(start) < time.Duration(src.Slices[0][position].T)*time.Millisecond
		}
		results := enginetest.NewSink[string]()
		c := enginetest.New(1, 1)
		c.OnlyFinal = true
		err := c.Run(t.Context(), program(t, func(p *stream.Pipeline) {
			k := stream.KeyBy(stream.From(p, "in", src, stream.UID("in")), func(e event) string { return e.Key })
			w := stream.Window(k, "w", stream.Global(), count(), stream.UID("w"), stream.On(stream.EveryProcessingTime(time.Second)))
			said := stream.Map(w, "say", func(r stream.WindowResult[string, int]) string {
				return fmt.Sprintf("%s %d %v at %v", r.Key, r.Value, r.Pane, time.Since(start).Round(100*time.Millisecond))
			})
			stream.To(said, "out", results, stream.UID("out"))
		}))
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"a 1 early at 1s", "b 1 early at 1s", "a 2 early at 2s", "a 2 on time at 3.5s", "b 1 on time at 3.5s", "end 1 on time at 3.5s"}
		got := results.Committed()
		slices.SortStableFunc(got[3:], strings.Compare) // what ends together has no order
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// TestWindowOptionsThatCanNotBe: the job does not start, and says why.
func TestWindowOptionsThatCanNotBe(t *testing.T) {
	var late stream.Stream[event]
	noMerge := count()
	tumbling, sliding := stream.Tumbling(time.Second), stream.Sliding(time.Minute, time.Second)
	for _, tc := range []struct {
		windows stream.Windows
		agg     stream.Aggregate[event, int, int]
		opt     stream.Option
		want    string
	}{
		{stream.Tumbling(time.Microsecond), noMerge, nil, "windows are at least 1ms long"},
		{stream.Sliding(time.Second, 0), noMerge, nil, "Sliding windows begin at least 1ms apart"},
		{stream.Sliding(-time.Second, time.Second), noMerge, nil, "windows are at least 1ms long"},
		{stream.Session(0), noMerge, nil, "the gap of Session windows is at least 1ms"},
		{stream.Sliding(10*time.Millisecond, 2500*time.Microsecond), count(), nil, "event time is in whole milliseconds"},
		{stream.Tumbling(time.Second).Offset(time.Microsecond), noMerge, nil, "event time is in whole milliseconds"},
		{stream.Session(time.Second).Offset(time.Second), noMerge, nil, "Session windows have no Offset"},
		{stream.Global().Offset(time.Second), noMerge, nil, "Global windows have no Offset"},
		{sliding, noMerge, nil, "Sliding windows join accumulators: the Aggregate needs Merge"},
		{stream.Session(time.Second), noMerge, nil, "Session windows join accumulators: the Aggregate needs Merge"},
		{tumbling, stream.Aggregate[event, int, int]{}, nil, "needs Init, Add and Result"},
		{tumbling, noMerge, stream.AllowedLateness(-1), "AllowedLateness of -1ns"},
		{stream.Global(), noMerge, stream.AllowedLateness(time.Second), "nothing is late in a Global window"},
		{stream.Global(), noMerge, stream.LateTo(&late), "nothing is late in a Global window"},
		{tumbling, noMerge, stream.On(stream.AtCount(0)), "AtCount(0): want at least one record"},
		{tumbling, noMerge, stream.On(stream.AtCount(1 << 40)), "want at most 2147483647"},
		{tumbling, noMerge, stream.On(stream.EveryEventTime(time.Microsecond)), "the period of a trigger is at least 1ms"},
		{tumbling, noMerge, stream.On(stream.EveryProcessingTime(0)), "the period of a trigger is at least 1ms"},
		{sliding, noMerge, stream.On(stream.Purging(stream.AtWatermark())), "Purging: Sliding windows that overlap share their records"},
		{tumbling, noMerge, stream.IdleAfter(time.Second), "it takes no [IdleAfter]"},
	} {
		p := stream.NewPipeline("test")
		k := stream.KeyBy(stream.From(p, "in", &enginetest.Source[event]{}, stream.UID("in")), func(e event) string { return e.Key })
		opts := []stream.Option{stream.UID("w")}
		if tc.opt != nil {
			opts = append(opts, tc.opt)
		}
		stream.To(stream.Window(k, "w", tc.windows, tc.agg, opts...), "out", enginetest.NewSink[stream.WindowResult[string, int]](), stream.UID("out"))
		if _, err := p.Program(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: got %v, want %q", tc.windows, err, tc.want)
		}
	}
	p := stream.NewPipeline("test")
	stream.Map(stream.From(p, "in", &enginetest.Source[event]{}, stream.UID("in")), "m", func(e event) event { return e }, stream.On(stream.AtCount(1)), stream.AllowedLateness(1))
	if _, err := p.Program(); err == nil || !strings.Contains(err.Error(), "it takes no [On AllowedLateness]") {
		t.Errorf("a map: got %v", err)
	}
}

func TestPaneSaysWhatItIs(t *testing.T) {
	if got := fmt.Sprint(stream.OnTime, stream.Early, stream.Late, stream.Pane(7)); got != "on time early late Pane(7)" {
		t.Errorf("got %q", got)
	}
}
