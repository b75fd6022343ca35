package stream_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// nothingOf is a sink that drops what it gets.
type nothingOf[T any] struct{}

func (nothingOf[T]) Open(context.Context, connector.Env) (connector.Writer[T], error) {
	return nothingOf[T]{}, nil
}
func (nothingOf[T]) Write([]T, []int64) error { return nil }
func (nothingOf[T]) Prepare(dataflow.CheckpointID) (func(context.Context) ([][]byte, error), error) {
	return nil, nil
}
func (nothingOf[T]) Close() error { return nil }

// trade is a record of the benchmarks: of 32 bytes, without pointers.
type trade struct{ ID, Account, Price, At int64 }

// trades is a source of n trades, of which 100 come in a millisecond.
type trades struct{ n int }

func (s trades) Splits(context.Context, connector.Env) ([]connector.Split, error) {
	return []connector.Split{{ID: "all"}}, nil
}

func (s trades) Open(context.Context, connector.Env, connector.Split, []byte) (connector.Reader[trade], error) {
	return &tradeReader{n: s.n}, nil
}

type tradeReader struct{ at, n int }

func (r *tradeReader) Next(_ context.Context, limit int, out *connector.Records[trade]) (time.Duration, error) {
	for range min(limit, r.n-r.at) {
		id := int64(r.at)
		out.Values = append(out.Values, trade{ID: id, Account: id * 2654435761 >> 8, Price: id % 1000, At: id / 100})
		out.Times = append(out.Times, id/100)
		r.at++
	}
	if r.at == r.n {
		return 0, io.EOF
	}
	return 0, nil
}

func (r *tradeReader) Position() []byte { return nil }
func (r *tradeReader) Close() error     { return nil }

// benchmarkJoin runs b.N trades through a job with a join, of which every fourth is on the first side: about three
// match each, as persons and auctions do in Nexmark.
func benchmarkJoin(b *testing.B, accounts int64, join func(first, second stream.Keyed[int64, trade]) stream.Stream[trade]) {
	p := stream.NewPipeline("bench")
	in := stream.From(p, "in", trades{b.N}, stream.UID("in"), stream.Monotonic())
	account := func(t trade) int64 { return t.Account % accounts }
	first := stream.KeyBy(stream.Filter(in, "first", func(t trade) bool { return t.ID%4 == 0 }), account)
	second := stream.KeyBy(stream.Filter(in, "second", func(t trade) bool { return t.ID%4 != 0 }), account)
	stream.To(join(first, second), "out", nothingOf[trade]{})
	prog, err := p.Program()
	if err != nil {
		b.Fatal(err)
	}
	c := enginetest.New(1, 1)
	c.Options, c.OnlyFinal = dataflow.Options{}, true
	b.ReportAllocs()
	b.ResetTimer()
	if err := c.Run(b.Context(), prog); err != nil {
		b.Fatal(err)
	}
}

func pairOf(a, b trade) trade { return trade{a.ID, b.ID, b.Price, a.At} }

// The shape of Nexmark's q3: a join that remembers both sides. As many accounts as records, so that most
// records find few partners.
func BenchmarkJoin(b *testing.B) {
	benchmarkJoin(b, int64(b.N), func(first, second stream.Keyed[int64, trade]) stream.Stream[trade] {
		return stream.Join(first, second, "join", 0, pairOf, stream.UID("join"))
	})
}

// The shape of Nexmark's q8: a tumbling window of 10 s that asks whether there is a match.
func BenchmarkWindowJoinFirstMatch(b *testing.B) {
	benchmarkJoin(b, 1_000_000, func(first, second stream.Keyed[int64, trade]) stream.Stream[trade] {
		return stream.WindowJoin(first, second, "join", stream.Tumbling(10*time.Second), pairOf, stream.FirstMatch(), stream.UID("join"))
	})
}

// Pairs within a second, of 100,000 accounts.
func BenchmarkIntervalJoin(b *testing.B) {
	benchmarkJoin(b, 100_000, func(first, second stream.Keyed[int64, trade]) stream.Stream[trade] {
		return stream.IntervalJoin(first, second, "join", 0, time.Second, pairOf, stream.UID("join"))
	})
}

// Each fourth record waits for the version as of its time, of 100,000 accounts.
func BenchmarkTemporalJoin(b *testing.B) {
	benchmarkJoin(b, 100_000, func(first, second stream.Keyed[int64, trade]) stream.Stream[trade] {
		return stream.TemporalJoin(first, second, "join", func(a, v trade, found bool) (trade, bool) { return pairOf(a, v), found }, stream.UID("join"))
	})
}
