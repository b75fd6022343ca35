package stream_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// TestTemporalJoinExactlyOnce: each record meets the version as of its time, or none.
func TestTemporalJoinExactlyOnce(t *testing.T) {
	line := func(a, v rec, found bool) string {
		if !found {
			return fmt.Sprintf("%d: %d/%d at %d and nothing", a.Key, a.Split, a.N, a.Time)
		}
		return pairLine(a, v)
	}
	forSeeds(t, 900, 20, func(t *testing.T, m twoModel) {
		latest := map[[2]int]rec{} // of each record of the left side
		m.pairsOf(func(a, v rec) {
			k := [2]int{a.Split, a.N}
			if best, ok := latest[k]; v.Time <= a.Time && (!ok || v.Time > best.Time) {
				latest[k] = v
			}
		})
		var want []string
		for _, a := range slices.Concat(m.left...) {
			v, found := latest[[2]int{a.Split, a.N}]
			want = append(want, line(a, v, found))
		}
		c := m.check(t, want, func(a, b stream.Keyed[int, rec]) stream.Stream[string] {
			return stream.TemporalJoin(a, b, "as of", func(a, v rec, found bool) (string, bool) { return line(a, v, found), true }, stream.UID("as of"))
		})
		keys := map[int]bool{}
		for _, v := range slices.Concat(m.right...) {
			keys[v.Key] = true
		}
		if n := entries(c, "as of"); n != int64(len(keys)) {
			t.Errorf("%d entries are left, want the last version of each of %d keys", n, len(keys))
		}
	})
}

// TestTemporalJoinByHand: versions that come behind the watermark count from then on,
// unless a newer one does already.
func TestTemporalJoinByHand(t *testing.T) {
	var joined atomic.Bool // the watermark has come to 70, and nothing fired before
	src := &enginetest.Source[event]{Chunk: 1, Slices: [][]event{{
		{"A", 10}, {"A", 20}, {"a", 5}, {"a", 15}, {"a", 20}, {"a", 171},
		{"A", 15}, {"A", 50}, {"a", 69}, {"a", 200},
	}}}
	src.Hold = func(_, position int) bool { return position == 6 && !joined.Load() }
	sink := enginetest.NewSink[string]()
	sink.OnWrite = func() { joined.Store(true) }
	c := enginetest.New(1, 1)
	err := c.Run(t.Context(), program(t, func(p *stream.Pipeline) {
		a, b := sides(stream.From(p, "in", src, stream.UID("in"), stream.TimestampsMillis(eventTime), stream.BoundedOutOfOrderness(100*time.Millisecond)))
		out := stream.TemporalJoin(a, b, "as of", func(a, v event, found bool) (string, bool) {
			return fmt.Sprint(a.T, v.T, found), a.T != 15
		}, stream.UID("as of"))
		stream.To(out, "out", sink, stream.UID("out"))
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"5 0 false", "20 20 true", "171 50 true", "200 50 true"}
	if got := sink.Committed(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if n := entries(c, "as of"); n != 1 {
		t.Errorf("%d entries are left, want the last version", n)
	}
}
