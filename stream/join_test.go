package stream_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// TestJoinExactlyOnce: each pair comes once, whichever of the two came first.
func TestJoinExactlyOnce(t *testing.T) {
	forSeeds(t, 600, 40, func(t *testing.T, m twoModel) {
		var want []string
		m.pairsOf(func(a, b rec) { want = append(want, pairLine(a, b)) })
		m.check(t, want, func(a, b stream.Keyed[int, rec]) stream.Stream[string] {
			return stream.Join(a, b, "pair", 0, pairLine, stream.UID("pair"))
		})
	})
}

// TestJoinForgets: a record is not met by one that comes a TTL later; it is by one that
// comes before, also when others of its side have expired.
func TestJoinForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		// T is when a record comes, in milliseconds. Upper case is the second side.
		src := &enginetest.Source[event]{Chunk: 1, Slices: [][]event{{
			{"a", 0}, {"A", 60}, {"a", 80}, {"A", 120}, {"A", 179}, {"A", 180}, {"a", 400}, {"A", 401}, {"b", 500},
		}}}
		src.Hold = func(_, position int) bool {
			return time.Since(start) < time.Duration(src.Slices[0][position].T)*time.Millisecond
		}
		sink := enginetest.NewSink[string]()
		c := enginetest.New(1, 1)
		c.OnlyFinal, c.Options.BatchRows = true, 1
		c.Options.BatchLinger = time.Microsecond
		err := c.Run(t.Context(), program(t, func(p *stream.Pipeline) {
			s := stream.From(p, "in", src, stream.UID("in"))
			a, b := sides(s)
			pairs := stream.Join(a, b, "pair", 100*time.Millisecond, func(a, b event) string { return fmt.Sprint(a.T, b.T) }, stream.UID("pair"))
			stream.To(pairs, "out", sink, stream.UID("out"))
		}))
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"0 60", "80 60", "80 120", "80 179", "400 401"}
		if got := sink.Committed(); !slices.Equal(got, want) {
			t.Errorf("pairs %q, want %q", got, want)
		}
	})
}
