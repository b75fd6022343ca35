package stream_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/connector/blackhole"
	"github.com/cairnstream/cairn/connector/generator"
	"github.com/cairnstream/cairn/stream"
	"github.com/cairnstream/cairn/stream/streamtest"
)

// numberedKey is a record of the jobs below.
type numberedKey struct {
	Key  int
	Time int64
	N    int
}

// lateJoin is a join, and what it is in a plain loop.
type lateJoin struct {
	name string
	join func(a, b stream.Keyed[int, numberedKey]) stream.Stream[string]
	// late tells whether a record of a side is dropped.
	late func(side int, t, wm int64) bool
	// meet tells whether two records are joined as soon as both are there; nil: none are.
	meet func(a, b numberedKey) bool
	// reach is what is joined when the watermark goes on.
	reach func(as, bs []numberedKey, before, wm int64) []string
}

func onePair(a, b numberedKey) string { return fmt.Sprintf("%d+%d", a.N, b.N) }

func nothingReached([]numberedKey, []numberedKey, int64, int64) []string { return nil }

// lateInterval is an IntervalJoin.
func lateInterval(r *rand.Rand) lateJoin {
	lower, width := r.Int64N(40)-30, r.Int64N(30)
	return lateJoin{
		name: fmt.Sprintf("interval %d to %d", lower, lower+width),
		join: func(a, b stream.Keyed[int, numberedKey]) stream.Stream[string] {
			return stream.IntervalJoin(a, b, "join", ms(lower), ms(lower+width), onePair, stream.UID("join"))
		},
		late:  func(_ int, t, wm int64) bool { return t <= wm },
		meet:  func(a, b numberedKey) bool { return a.Time+lower <= b.Time && b.Time <= a.Time+lower+width },
		reach: nothingReached,
	}
}

// lateWindows is a WindowJoin.
func lateWindows(r *rand.Rand) lateJoin {
	size, slide, offset := 1+r.Int64N(30), 1+r.Int64N(20), r.Int64N(40)-20
	last := func(t int64) int64 { return t - ((t-offset)%slide+slide)%slide }
	return lateJoin{
		name: fmt.Sprintf("windows of %d every %d from %d", size, slide, offset),
		join: func(a, b stream.Keyed[int, numberedKey]) stream.Stream[string] {
			return stream.WindowJoin(a, b, "join", stream.Sliding(ms(size), ms(slide)).Offset(ms(offset)), onePair, stream.UID("join"))
		},
		late: func(_ int, t, wm int64) bool { return last(t)+size-1 <= wm },
		reach: func(as, bs []numberedKey, before, wm int64) (out []string) {
			for _, a := range as {
				for begin := last(a.Time); begin+size > a.Time; begin -= slide {
					if end := begin + size - 1; end <= before || end > wm {
						continue
					}
					for _, b := range bs {
						if a.Key == b.Key && begin <= b.Time && b.Time < begin+size {
							out = append(out, onePair(a, b))
						}
					}
				}
			}
			return out
		},
	}
}

// lateVersions is a TemporalJoin. A late version is older than the one that counts, or counts.
func lateVersions(*rand.Rand) lateJoin {
	return lateJoin{
		name: "versions",
		join: func(a, b stream.Keyed[int, numberedKey]) stream.Stream[string] {
			return stream.TemporalJoin(a, b, "join", func(a, b numberedKey, found bool) (string, bool) { return onePair(a, b), found }, stream.UID("join"))
		},
		late: func(side int, t, wm int64) bool { return side == 0 && t <= wm },
		reach: func(as, bs []numberedKey, before, wm int64) (out []string) {
			for _, a := range as {
				if a.Time <= before || a.Time > wm {
					continue
				}
				var version *numberedKey
				for i := range bs {
					if b := &bs[i]; b.Key == a.Key && b.Time <= a.Time && (version == nil || b.Time >= version.Time) {
						version = b
					}
				}
				if version != nil {
					out = append(out, onePair(a, *version))
				}
			}
			return out
		},
	}
}

// TestLateRecordsOfJoins: joins with records that come too late give at each step what a plain loop does.
func TestLateRecordsOfJoins(t *testing.T) {
	base := uint64(time.Now().UnixNano()) % 1_000_000
	for i := range uint64(9) {
		seed := base + i
		j := []func(*rand.Rand) lateJoin{lateInterval, lateWindows, lateVersions}[i%3](rand.New(rand.NewPCG(seed, 6)))
		t.Run(fmt.Sprintf("%s seed=%d", j.name, seed), func(t *testing.T) { runLateJoin(t, seed, j) })
	}
}

func runLateJoin(t *testing.T, seed uint64, j lateJoin) {
	r := rand.New(rand.NewPCG(seed, 7))
	job := streamtest.New(t, func(p *stream.Pipeline) {
		input := func(uid string) stream.Keyed[int, numberedKey] {
			in := stream.From(p, uid, &generator.Source[numberedKey]{}, stream.UID(uid), stream.TimestampsMillis(func(d numberedKey) int64 { return d.Time }))
			return stream.KeyBy(in, func(d numberedKey) int { return d.Key })
		}
		stream.To(j.join(input("a"), input("b")), "out", blackhole.Sink[string]{}, stream.UID("out"))
	})
	ins := []*streamtest.In[numberedKey]{streamtest.Input[numberedKey](job, "a"), streamtest.Input[numberedKey](job, "b")}
	out := streamtest.Output[string](job, "out")
	now, wm := r.Int64N(200)-100, int64(-1<<40)
	var kept [2][]numberedKey
	for step := range 200 {
		var want []string
		switch n := r.IntN(20); {
		case n == 0:
			job.Rescale(1 + r.IntN(3))
		case n < 5:
			now += 1 + r.Int64N(15)
			for _, in := range ins {
				in.Watermark(time.UnixMilli(now))
			}
			want = j.reach(kept[0], kept[1], wm, now)
			wm = now
		default:
			d, side := numberedKey{r.IntN(3), now + r.Int64N(80) - 40, step}, r.IntN(2)
			ins[side].Add(d)
			if j.late(side, d.Time, wm) {
				break
			}
			kept[side] = append(kept[side], d)
			for _, other := range kept[1-side] {
				a, b := d, other
				if side == 1 {
					a, b = b, a
				}
				if j.meet != nil && a.Key == b.Key && j.meet(a, b) {
					want = append(want, onePair(a, b))
				}
			}
		}
		got := out.Take()
		sort.Strings(got)
		if sort.Strings(want); !slices.Equal(got, want) {
			t.Fatalf("step %d, watermark %d: got\n%s\nwant\n%s", step, wm, strings.Join(got, " "), strings.Join(want, " "))
		}
	}
}
