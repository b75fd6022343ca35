package stream_test

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// bid is a record to be ranked: by price, and if that is the same by nothing.
type bid struct {
	Item, Price, Bidder int
	T                   int64
}

type rankedBid = stream.Ranked[int, bid]

func topBids(p *stream.Pipeline, src *enginetest.Source[bid], n int, windows stream.Windows) stream.Stream[rankedBid] {
	s := stream.From(p, "in", src, stream.UID("in"), stream.TimestampsMillis(func(b bid) int64 { return b.T }), stream.Monotonic())
	k := stream.KeyBy(s, func(b bid) int { return b.Item })
	better := func(a, b bid) bool { return a.Price > b.Price }
	return stream.TopN(k, "top", n, windows, better, stream.UID("top"))
}

func TestTopN(t *testing.T) {
	src := &enginetest.Source[bid]{Slices: [][]bid{{
		{1, 5, 1, 10}, {1, 9, 2, 20}, {1, 7, 3, 30}, {2, 1, 4, 30}, {1, 6, 5, 99}, {1, 1, 6, 100},
	}}}
	sink := enginetest.NewSink[rankedBid]()
	runOnce(t, func(p *stream.Pipeline) {
		stream.To(topBids(p, src, 2, stream.Tumbling(100*time.Millisecond)), "out", sink, stream.UID("out"))
	})
	got := sink.Committed()
	slices.SortStableFunc(got, func(a, b rankedBid) int { return int(a.Start-b.Start)*10 + a.Key - b.Key })
	want := []rankedBid{
		{1, 0, 100, 1, bid{1, 9, 2, 20}, stream.OnTime}, {1, 0, 100, 2, bid{1, 7, 3, 30}, stream.OnTime},
		{2, 0, 100, 1, bid{2, 1, 4, 30}, stream.OnTime}, {1, 100, 200, 1, bid{1, 1, 6, 100}, stream.OnTime},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestModelTopN: many prices are the same, and the ranks are the same in every run.
func TestModelTopN(t *testing.T) {
	eachSeed(t, 12, func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 6))
		n := 1 + r.IntN(5)
		src := &enginetest.Source[bid]{Chunk: 7, Slices: make([][]bid, 1+r.IntN(4))}
		cut, overlap := stream.Tumbling(100*time.Millisecond), int64(1)
		if r.IntN(2) == 0 {
			cut, overlap = stream.Sliding(100*time.Millisecond, 25*time.Millisecond), 4
		}
		slide := 100 / overlap
		windows := map[[2]int64][]bid{}
		for i := range 4000 {
			b := bid{Item: r.IntN(10), Price: r.IntN(20), Bidder: r.IntN(1000), T: int64(i / 4)}
			split := r.IntN(len(src.Slices))
			src.Slices[split] = append(src.Slices[split], b)
			for i := range overlap {
				at := [2]int64{int64(b.Item), b.T/slide*slide - i*slide}
				windows[at] = append(windows[at], b)
			}
		}
		sink := enginetest.NewSink[rankedBid]()
		underFaults(t, seed, sink, 10, func(p *stream.Pipeline) {
			stream.To(topBids(p, src, n, cut), "out", sink, stream.UID("out"))
		})
		var got, want []string
		for _, b := range sink.Committed() {
			got = append(got, fmt.Sprintf("%d at %d: %d is %d by %d at %d", b.Key, b.Start, b.Rank, b.Value.Price, b.Value.Bidder, b.Value.T))
		}
		for at, all := range windows {
			slices.SortFunc(all, byPrice(t))
			for i, b := range all[:min(n, len(all))] {
				want = append(want, fmt.Sprintf("%d at %d: %d is %d by %d at %d", at[0], at[1], i+1, b.Price, b.Bidder, b.T))
			}
		}
		sort.Strings(got)
		sort.Strings(want)
		compare(t, got, want)
	})
}

// byPrice orders bids by price, and those of one price by their encodings.
func byPrice(t *testing.T) func(a, b bid) int {
	t.Helper()
	encoding, err := codec.For[bid]()
	if err != nil {
		t.Fatal(err)
	}
	return func(a, b bid) int {
		return cmp.Or(b.Price-a.Price, bytes.Compare(encoding.Append(nil, &a), encoding.Append(nil, &b)))
	}
}

func TestTopNBadOptions(t *testing.T) {
	p := stream.NewPipeline("test")
	s := stream.From(p, "in", &enginetest.Source[event]{}, stream.UID("in"))
	k := stream.KeyBy(s, func(e event) string { return e.Key })
	stream.TopN(k, "top", 0, stream.Tumbling(0), nil, stream.IdleAfter(time.Second))
	_, err := p.Program()
	if err == nil {
		t.Fatal("a job full of problems is accepted")
	}
	for _, want := range []string{"the best 0: give at least 1", "which record is better", "at least 1ms", "takes no [IdleAfter]", `operator "top" keeps state and has no uid`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not told:\n%v", want, err)
		}
	}
}

// BenchmarkTopN is the cost of a record, in windows of 10,000 of them, of 100 keys.
func BenchmarkTopN(b *testing.B) {
	benchmark(b, 1, func(s stream.Stream[int64]) stream.Stream[int64] {
		k := stream.KeyBy(s, func(v int64) int64 { return v % 100 })
		best := stream.TopN(k, "top", 10, stream.Tumbling(10*time.Second), func(a, b int64) bool { return a*7919%10007 > b*7919%10007 }, stream.UID("top"))
		return stream.Map(best, "value", func(r stream.Ranked[int64, int64]) int64 { return r.Value })
	})
}
