package stream_test

import (
	"context"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// bids is a source of the numbers of n bids, 100 to a millisecond of event time, as
// Nexmark has them.
type bids struct{ n int }

func (s bids) Splits(context.Context, connector.Env) ([]connector.Split, error) {
	return []connector.Split{{ID: "all"}}, nil
}

func (s bids) Open(context.Context, connector.Env, connector.Split, []byte) (connector.Reader[int64], error) {
	return &bidReader{n: s.n}, nil
}

type bidReader struct{ at, n int }

func (r *bidReader) Next(_ context.Context, limit int, out *connector.Records[int64]) (time.Duration, error) {
	for range min(limit, r.n-r.at) {
		out.Values = append(out.Values, int64(r.at))
		out.Times = append(out.Times, int64(r.at)/100)
		r.at++
	}
	if r.at == r.n {
		return 0, io.EOF
	}
	return 0, nil
}

func (r *bidReader) Position() []byte { return nil }
func (r *bidReader) Close() error     { return nil }

func mixed(n int64) int64 { return int64(uint64(n) * 0x9E3779B97F4A7C15 >> 40) }

// auction is the auction of a bid: one in two is for the hot one of the last hundred, the
// others for any of these. There are 3 auctions for 46 bids.
func auction(n int64) int64 {
	last := n * 3 / 46
	if n%2 == 0 {
		return last / 100 * 100
	}
	return max(0, last-mixed(n)%100)
}

// bidder is who bids: three in four times the hot one of the last hundred, else any of the last
// thousand. There is one for 46 bids.
func bidder(n int64) int64 {
	last := n / 46
	if n%4 > 0 {
		return last/100*100 + 1
	}
	return max(0, last-mixed(n)%1000)
}

func bidCount() stream.Aggregate[int64, int64, int64] {
	return stream.Aggregate[int64, int64, int64]{
		Init: func() int64 { return 0 }, Result: func(n int64) int64 { return n },
		Add:   func(n, _ int64) int64 { return n + 1 },
		Merge: func(a, b int64) int64 { return a + b },
	}
}

// discard is a sink that drops what it gets.
type discard[T any] struct{ nothing }

func (discard[T]) Open(context.Context, connector.Env) (connector.Writer[T], error) {
	return discard[T]{}, nil
}
func (discard[T]) Write([]T, []int64) error { return nil }

// benchmarkBids runs b.N bids through a job and reports the cost of each.
func benchmarkBids[T any](b *testing.B, build func(stream.Stream[int64]) stream.Stream[T]) {
	p := stream.NewPipeline("bench")
	bids := stream.From(p, "in", bids{b.N}, stream.UID("in"), stream.Monotonic())
	stream.To(build(bids), "out", discard[T]{})
	prog, err := p.Program()
	if err != nil {
		b.Fatal(err)
	}
	c := enginetest.New(1, 1)
	c.Options, c.OnlyFinal = dataflow.Options{}, true
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	if err := c.Run(b.Context(), prog); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// cpuTime is what this process has used so far.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// What the source, the hand-over by key and the sink cost without a window.
func BenchmarkBids(b *testing.B) {
	benchmarkBids(b, func(s stream.Stream[int64]) stream.Stream[int64] {
		return stream.Process(stream.KeyBy(s, auction), "none", func() stream.Processor[int64, int64, int64] { return dropper{} }, stream.UID("none"))
	})
}

type dropper struct {
	stream.NoTimers[int64, int64]
}

func (dropper) Open(*stream.Setup) error                           { return nil }
func (dropper) Process(*stream.Context[int64, int64], int64) error { return nil }

func benchmarkWindow[K, Acc, Out any](b *testing.B, key func(int64) K, w stream.Windows, agg stream.Aggregate[int64, Acc, Out], opts ...stream.Option) {
	benchmarkBids(b, func(s stream.Stream[int64]) stream.Stream[stream.WindowResult[K, Out]] {
		return stream.Window(stream.KeyBy(s, key), "w", w, agg, append(opts, stream.UID("w"))...)
	})
}

// Bids per auction in ten seconds.
func BenchmarkWindowTumbling(b *testing.B) {
	benchmarkWindow(b, auction, stream.Tumbling(10*time.Second), bidCount())
}

// The same, of all ten seconds that begin every two: Nexmark's q5.
func BenchmarkWindowSliding(b *testing.B) {
	benchmarkWindow(b, auction, stream.Sliding(10*time.Second, 2*time.Second), bidCount())
}

// Bids per bidder until ten seconds are without: Nexmark's q11.
func BenchmarkWindowSession(b *testing.B) {
	benchmarkWindow(b, bidder, stream.Session(10*time.Second), bidCount())
}

// highest is the highest price of some bids, and which they were.
type highest struct {
	Price int64
	Bids  []int64
}

// The highest bids in ten seconds, as rows: Nexmark's q7.
func BenchmarkWindowHighest(b *testing.B) {
	benchmarkWindow(b, func(int64) int64 { return 0 }, stream.Tumbling(10*time.Second), stream.Aggregate[int64, highest, highest]{
		Init: func() highest { return highest{} }, Result: func(h highest) highest { return h },
		Add: func(h highest, n int64) highest {
			switch price := mixed(n) % 1e6; {
			case price > h.Price:
				return highest{price, []int64{n}}
			case price == h.Price:
				h.Bids = append(h.Bids, n)
			}
			return h
		},
	})
}

// Early results every second.
func BenchmarkWindowEarly(b *testing.B) {
	benchmarkWindow(b, auction, stream.Tumbling(10*time.Second), bidCount(), stream.On(stream.EveryEventTime(time.Second)))
}

// Late records are allowed, and there are none.
func BenchmarkWindowLateness(b *testing.B) {
	benchmarkWindow(b, auction, stream.Sliding(10*time.Second, 2*time.Second), bidCount(), stream.AllowedLateness(5*time.Second))
}
