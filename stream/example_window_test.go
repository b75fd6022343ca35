package stream_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// visit is a visit of a page, with the second it was at.
type visit struct {
	Page   string
	Second int64
}

func visitTime(v visit) time.Time { return time.Unix(v.Second, 0) }

// countVisits counts; with Merge it does for every kind of window.
func countVisits() stream.Aggregate[visit, int64, int64] {
	return stream.Aggregate[visit, int64, int64]{
		Init:   func() int64 { return 0 },
		Add:    func(n int64, _ visit) int64 { return n + 1 },
		Merge:  func(a, b int64) int64 { return a + b },
		Result: func(n int64) int64 { return n },
	}
}

// showVisits runs a job over the visits "page second page second ..." of one window, and
// prints what it gives.
func showVisits(visits string, w stream.Windows, opts ...stream.Option) {
	src := &enginetest.Source[visit]{Chunk: 1, Slices: [][]visit{nil}}
	for words := strings.NewReader(visits); ; {
		var v visit
		if _, err := fmt.Fscan(words, &v.Page, &v.Second); err == io.EOF {
			break
		} else if err != nil {
			fmt.Println(err)
			return
		}
		src.Slices[0] = append(src.Slices[0], v)
	}
	sink := enginetest.NewSink[string]()
	job := func(p *stream.Pipeline, _ []string) error {
		p.Options(dataflow.Options{BatchRows: 1}) // so that time goes on after each visit
		in := stream.From(p, "visits", src, stream.UID("visits"), stream.Timestamps(visitTime), stream.Monotonic())
		byPage := stream.KeyBy(in, func(v visit) string { return v.Page })
		counts := stream.Window(byPage, "count", w, countVisits(), append(opts, stream.UID("count"))...)
		lines := stream.Map(counts, "line", func(r stream.WindowResult[string, int64]) string {
			return fmt.Sprintf("%s %d-%d: %d, %v", r.Key, r.Start/1000, r.End/1000, r.Value, r.Pane)
		})
		stream.To(lines, "out", sink, stream.UID("out"))
		return nil
	}
	if err := runJob(job); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.Join(sink.Committed(), "\n"))
}

// runJob runs a job in this process, in a folder that is gone afterwards.
func runJob(job stream.Builder) error {
	dir, err := os.MkdirTemp("", "job")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return stream.Run(context.Background(), "visits", []string{"--cairn.dir=" + dir}, job)
}

// Visits of each page in each ten seconds.
func ExampleWindow() {
	showVisits("home 1 home 4 home 12 home 13 home 25", stream.Tumbling(10*time.Second))
	// Output:
	// home 0-10: 2, on time
	// home 10-20: 2, on time
	// home 20-30: 1, on time
}

// Visits of the last ten seconds, every five.
func ExampleSliding() {
	showVisits("home 1 home 6 home 12", stream.Sliding(10*time.Second, 5*time.Second))
	// Output:
	// home -5-5: 1, on time
	// home 0-10: 2, on time
	// home 5-15: 2, on time
	// home 10-20: 1, on time
}

// Visits until there was none for half a minute.
func ExampleSession() {
	showVisits("home 0 home 10 home 35 home 90 home 100", stream.Session(30*time.Second))
	// Output:
	// home 0-65: 3, on time
	// home 90-130: 2, on time
}

// All visits, in an input that ends, with an early result after each three.
func ExampleGlobal() {
	src := &enginetest.Source[visit]{Slices: [][]visit{{{"home", 1}, {"home", 2}, {"home", 3}, {"home", 4}}}}
	sink := enginetest.NewSink[string]()
	err := runJob(func(p *stream.Pipeline, _ []string) error {
		byPage := stream.KeyBy(stream.From(p, "visits", src, stream.UID("visits")), func(v visit) string { return v.Page })
		counts := stream.Window(byPage, "count", stream.Global(), countVisits(), stream.UID("count"), stream.On(stream.AtCount(3)))
		lines := stream.Map(counts, "line", func(r stream.WindowResult[string, int64]) string {
			return fmt.Sprintf("%s: %d, %v", r.Key, r.Value, r.Pane)
		})
		stream.To(lines, "out", sink, stream.UID("out"))
		return nil
	})
	fmt.Println(strings.Join(sink.Committed(), "\n"), err)
	// Output:
	// home: 3, early
	// home: 4, on time <nil>
}

// A visit that is told of after its window has ended still counts for twenty seconds.
func ExampleAllowedLateness() {
	showVisits("home 1 home 2 home 15 home 3", stream.Tumbling(10*time.Second), stream.AllowedLateness(20*time.Second))
	// Output:
	// home 0-10: 2, on time
	// home 0-10: 3, late
	// home 10-20: 1, on time
}

// A minute's visits so far, every ten seconds in which there were any.
func ExampleEveryEventTime() {
	showVisits("home 1 home 5 home 12 home 45 home 50 home 61", stream.Tumbling(time.Minute), stream.On(stream.EveryEventTime(10*time.Second)))
	// Output:
	// home 0-60: 3, early
	// home 0-60: 4, early
	// home 0-60: 5, early
	// home 0-60: 5, on time
	// home 60-120: 1, on time
}

// Visits by twos, and what is left of them in each minute.
func ExamplePurging() {
	showVisits("home 1 home 5 home 12 home 61", stream.Tumbling(time.Minute), stream.On(stream.Purging(stream.AtCount(2))))
	// Output:
	// home 0-60: 2, early
	// home 0-60: 1, on time
	// home 60-120: 1, on time
}
