package files_test

import (
	"io"
	"testing"
	"testing/fstest"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/connector/files"
)

// BenchmarkRead reads a file with one reader; MB/s are of the encoded file.
func BenchmarkRead(b *testing.B) {
	for format, source := range formats {
		b.Run(format, func(b *testing.B) {
			const n = 100_000
			data := content(b, format, rows(n))
			s := source("x")
			s.FS = fstest.MapFS{"x": {Data: data}}
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if got := drain(b, s); got != n {
					b.Fatalf("%d rows", got)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func drain(b *testing.B, s *files.Source[row]) (n int) {
	b.Helper()
	splits, err := s.Splits(b.Context(), connector.Env{})
	if err != nil {
		b.Fatal(err)
	}
	r, err := s.Open(b.Context(), connector.Env{}, splits[0], nil)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	var got connector.Records[row]
	for err == nil {
		got.Values, got.Times = got.Values[:0], got.Times[:0]
		_, err = r.Next(b.Context(), 1024, &got)
		n += len(got.Values)
	}
	if err != io.EOF {
		b.Fatal(err)
	}
	return n
}
