package stream_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

func deduplicated(p *stream.Pipeline, src *enginetest.Source[event], within, outOfOrder time.Duration, opts ...stream.Option) stream.Stream[event] {
	s := stream.From(p, "in", src, stream.UID("in"), stream.TimestampsMillis(eventTime), stream.BoundedOutOfOrderness(outOfOrder))
	k := stream.KeyBy(s, func(e event) string { return e.Key })
	return stream.Deduplicate(k, "once", within, append(opts, stream.UID("once"))...)
}

func TestDeduplicate(t *testing.T) {
	for name, c := range map[string]struct {
		within, outOfOrder time.Duration
		in, want, late     []event
	}{
		"firsts and repeats": {
			100 * time.Millisecond, 0,
			[]event{{"a", 0}, {"b", 50}, {"a", 99}, {"a", 100}, {"b", 149}, {"a", 199}, {"a", 250}},
			[]event{{"a", 0}, {"b", 50}, {"a", 100}, {"a", 250}}, nil,
		},
		"before the epoch": {
			100 * time.Millisecond, 0,
			[]event{{"a", -150}, {"a", -51}, {"a", -50}, {"a", 49}, {"a", 50}},
			[]event{{"a", -150}, {"a", -50}, {"a", 50}}, nil,
		},
		"out of order": {
			100 * time.Millisecond, time.Second,
			[]event{{"a", 500}, {"a", 401}, {"a", 400}, {"a", 599}, {"a", 600}, {"a", 250}, {"a", 349}, {"a", 300}},
			[]event{{"a", 500}, {"a", 400}, {"a", 600}, {"a", 250}}, nil,
		},
		"late": {
			100 * time.Millisecond, 20 * time.Millisecond,
			[]event{{"a", 0}, {"x", 200}, {"b", 179}, {"b", 180}, {"a", 150}, {"a", 181}},
			[]event{{"a", 0}, {"x", 200}, {"b", 180}, {"a", 181}}, []event{{"b", 179}, {"a", 150}},
		},
		"for ever": {
			0, 0,
			[]event{{"a", 0}, {"b", 1}, {"a", 1_000_000_000}, {"c", 7}, {"c", 7}},
			[]event{{"a", 0}, {"b", 1}, {"c", 7}}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			sink, lates := enginetest.NewSink[event](), enginetest.NewSink[event]()
			one := enginetest.New(1, 1)
			one.Options.BatchRows = 1 // the watermark follows each record
			err := one.Run(t.Context(), program(t, func(p *stream.Pipeline) {
				src := &enginetest.Source[event]{Chunk: 1, Slices: [][]event{c.in}}
				var late stream.Stream[event]
				stream.To(deduplicated(p, src, c.within, c.outOfOrder, stream.LateTo(&late)), "out", sink, stream.UID("out"))
				stream.To(late, "late", lates, stream.UID("late"))
			}))
			if got := sink.Committed(); err != nil || !slices.Equal(got, c.want) {
				t.Errorf("got %v, %v, want %v", got, err, c.want)
			}
			if got := lates.Committed(); !slices.Equal(got, c.late) {
				t.Errorf("late are %v, want %v", got, c.late)
			}
		})
	}
}

// TestDeduplicateForgets: what is remembered goes with the watermark.
func TestDeduplicateForgets(t *testing.T) {
	var in []event
	for i := range int64(2000) {
		in = append(in, event{fmt.Sprint(i), i})
	}
	sink := enginetest.NewSink[event]()
	c := enginetest.New(1, 1)
	c.OnlyFinal = true
	err := c.Run(t.Context(), program(t, func(p *stream.Pipeline) {
		src := &enginetest.Source[event]{Slices: [][]event{in}}
		stream.To(deduplicated(p, src, 50*time.Millisecond, 0), "out", sink, stream.UID("out"))
	}))
	if err != nil || len(sink.Committed()) != len(in) {
		t.Fatalf("got %d records, %v", len(sink.Committed()), err)
	}
	for _, p := range c.Restore().Processes {
		for _, s := range p.Subtasks {
			for _, o := range s.Operators {
				if o.Keyed != nil && o.Keyed.Entries != 0 {
					t.Errorf("%d entries of %s are left at the end of time", o.Keyed.Entries, o.UID)
				}
			}
		}
	}
}

// TestModelDeduplicate: keys come in bursts, spread over splits of which some run
// ahead. One record of each burst goes on, whatever happens, also when a restart brings
// another time to remember.
func TestModelDeduplicate(t *testing.T) {
	eachSeed(t, 12, func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 5))
		const within, period = 300, 1000
		src := &enginetest.Source[event]{Chunk: 7, Slices: make([][]event, 1+r.IntN(4))}
		want := map[string]bool{}
		for range 3000 {
			burst, key := int64(r.IntN(50)), fmt.Sprint(r.IntN(30))
			split := r.IntN(len(src.Slices))
			src.Slices[split] = append(src.Slices[split], event{key, burst*period + r.Int64N(within)})
			want[fmt.Sprint(key, " in ", burst)] = true
		}
		for _, slice := range src.Slices {
			sort.Slice(slice, func(i, j int) bool { return slice[i].T < slice[j].T })
		}
		sink := enginetest.NewSink[event]()
		underFaults(t, seed, sink, 40, func(p *stream.Pipeline) {
			longer := time.Duration(within+r.IntN(period-2*within)) * time.Millisecond // bursts are further apart
			stream.To(deduplicated(p, src, longer, 0), "out", sink, stream.UID("out"))
		})
		var got, expected []string
		for _, e := range sink.Committed() {
			got = append(got, fmt.Sprint(e.Key, " in ", e.T/period))
		}
		for line := range want {
			expected = append(expected, line)
		}
		sort.Strings(got)
		sort.Strings(expected)
		compare(t, got, expected)
	})
}

func TestDeduplicateBadInput(t *testing.T) {
	p := stream.NewPipeline("test")
	deduplicated(p, &enginetest.Source[event]{}, -time.Second, 0)
	k := stream.KeyBy(stream.From(p, "more", &enginetest.Source[event]{}, stream.UID("more")), func(e event) string { return e.Key })
	stream.Deduplicate(k, "small", time.Microsecond, stream.Monotonic())
	_, err := p.Program()
	if err == nil {
		t.Fatal("a job full of problems is accepted")
	}
	for _, want := range []string{"within is -1s", "within is 1µs", "takes no [Monotonic]", `operator "small" keeps state and has no uid`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not told:\n%v", want, err)
		}
	}
	err = enginetest.New(1, 1).Run(t.Context(), program(t, func(p *stream.Pipeline) {
		s := stream.From(p, "in", &enginetest.Source[event]{Slices: [][]event{fourEvents}}, stream.UID("in"))
		k := stream.KeyBy(s, func(e event) string { return e.Key })
		stream.To(stream.Deduplicate(k, "once", time.Second, stream.UID("once")), "out", enginetest.NewSink[event](), stream.UID("out"))
	}))
	if err == nil || !strings.Contains(err.Error(), `operator "once": key "a": record without event time`) {
		t.Errorf("got %v", err)
	}
}

// BenchmarkDeduplicate is the cost of a record, half of them repeats, of 100,000 keys at
// a time.
func BenchmarkDeduplicate(b *testing.B) {
	benchmark(b, 1, func(s stream.Stream[int64]) stream.Stream[int64] {
		k := stream.KeyBy(s, func(v int64) int64 { return v/200_000*100_000 + v%100_000 })
		return stream.Deduplicate(k, "once", 500*time.Second, stream.UID("once"))
	})
}
