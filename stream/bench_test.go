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

// numbers is a source of n numbers.
type numbers struct{ n int }

func (s numbers) Splits(context.Context, connector.Env) ([]connector.Split, error) {
	return []connector.Split{{ID: "all"}}, nil
}

func (s numbers) Open(context.Context, connector.Env, connector.Split, []byte) (connector.Reader[int64], error) {
	return &numberReader{n: s.n}, nil
}

type numberReader struct{ at, n int }

func (r *numberReader) Next(_ context.Context, limit int, out *connector.Records[int64]) (time.Duration, error) {
	for range min(limit, r.n-r.at) {
		out.Values = append(out.Values, int64(r.at))
		out.Times = append(out.Times, int64(r.at))
		r.at++
	}
	if r.at == r.n {
		return 0, io.EOF
	}
	return 0, nil
}

func (r *numberReader) Position() []byte { return nil }
func (r *numberReader) Close() error     { return nil }

// nothing is a sink that drops what it gets.
type nothing struct{}

func (nothing) Open(context.Context, connector.Env) (connector.Writer[int64], error) {
	return nothing{}, nil
}
func (nothing) Write([]int64, []int64) error { return nil }
func (nothing) Prepare(dataflow.CheckpointID) (func(context.Context) ([][]byte, error), error) {
	return nil, nil
}
func (nothing) Close() error { return nil }

// benchmark runs b.N records through a job and reports the cost of each.
func benchmark(b *testing.B, processes int, build func(stream.Stream[int64]) stream.Stream[int64]) {
	p := stream.NewPipeline("bench")
	stream.To(build(stream.From(p, "in", numbers{b.N}, stream.UID("in"))), "out", nothing{})
	prog, err := p.Program()
	if err != nil {
		b.Fatal(err)
	}
	c := enginetest.New(1, processes)
	c.Options, c.OnlyFinal = dataflow.Options{}, true
	b.ReportAllocs()
	b.ResetTimer()
	if err := c.Run(b.Context(), prog); err != nil {
		b.Fatal(err)
	}
}

func plusOne(v int64) int64 { return v + 1 }

// One operator more in a chain.
func BenchmarkChain(b *testing.B) {
	benchmark(b, 1, func(s stream.Stream[int64]) stream.Stream[int64] { return stream.Map(s, "plus", plusOne) })
}

// One hand-over between two subtasks of a process.
func BenchmarkHandOver(b *testing.B) {
	benchmark(b, 1, func(s stream.Stream[int64]) stream.Stream[int64] {
		return stream.Map(stream.Rebalance(s), "plus", plusOne)
	})
}

// One hand-over between two processes: encoding and decoding included, the
// network not.
func BenchmarkRemoteHandOver(b *testing.B) {
	benchmark(b, 2, func(s stream.Stream[int64]) stream.Stream[int64] {
		return stream.Map(stream.Rebalance(s), "plus", plusOne)
	})
}

type summer struct {
	stream.NoTimers[int64, int64]
	sum *stream.Value[int64]
}

func (s *summer) Open(set *stream.Setup) error {
	s.sum = stream.ValueState[int64](set, "sum")
	return nil
}

func (s *summer) Process(ctx *stream.Context[int64, int64], v int64) error {
	sum, _, err := s.sum.Get()
	if err != nil {
		return err
	}
	ctx.Emit(sum + v)
	return s.sum.Set(sum + v)
}

// A hand-over by key, and a keyed state read and changed, of 10,000 keys.
func BenchmarkKeyedUpdate(b *testing.B) {
	benchmark(b, 1, func(s stream.Stream[int64]) stream.Stream[int64] {
		k := stream.KeyBy(s, func(v int64) int64 { return v % 10_000 })
		return stream.Process(k, "sum", func() stream.Processor[int64, int64, int64] { return &summer{} }, stream.UID("sum"))
	})
}

// totals is what adder keeps per key: 32 bytes that change in place.
type totals struct{ Count, Sum, Min, Max int64 }

type adder struct {
	stream.NoTimers[int64, int64]
	totals *stream.Value[totals]
}

func (a *adder) Open(s *stream.Setup) error {
	a.totals = stream.ValueState[totals](s, "totals")
	return nil
}

func (a *adder) Process(ctx *stream.Context[int64, int64], v int64) error {
	return a.totals.Update(func(t *totals, existed bool) {
		if !existed {
			t.Min, t.Max = v, v
		}
		*t = totals{t.Count + 1, t.Sum + v, min(t.Min, v), max(t.Max, v)}
		ctx.Emit(t.Sum)
	})
}

// A hand-over by key, and an aggregate of 32 bytes changed in place, of 1,000,000 keys.
func BenchmarkProcess(b *testing.B) {
	benchmark(b, 1, func(s stream.Stream[int64]) stream.Stream[int64] {
		k := stream.KeyBy(s, func(v int64) int64 { return v * 2654435761 % 1_000_000 })
		return stream.Process(k, "add", func() stream.Processor[int64, int64, int64] { return &adder{} }, stream.UID("add"))
	})
}
