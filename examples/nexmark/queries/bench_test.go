package queries_test

import (
	"testing"

	"github.com/cairnstream/cairn/connector/blackhole"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
	"github.com/cairnstream/cairn/examples/nexmark/queries"
)

// BenchmarkQuery runs b.N events through each query, making the events included, and reports the
// cost of one. What a job allocates when it starts is spread over all events: with
// -benchtime=2000000x nothing is left of it.
func BenchmarkQuery(b *testing.B) {
	for _, q := range queries.All {
		b.Run(q.Name, func(b *testing.B) {
			src := nexmark.Source{Generator: nexmark.Generator{Seed: 1}, Count: int64(b.N)}
			prog := program(b, q, src, 1, queries.Outputs{Digests: blackhole.Sink[queries.Digest]{}})
			c := enginetest.New(1, 1)
			c.Options, c.OnlyFinal = dataflow.Options{}, true
			b.ReportAllocs()
			b.ResetTimer()
			if err := c.Run(b.Context(), prog); err != nil {
				b.Fatal(err)
			}
		})
	}
}
