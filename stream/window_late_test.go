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

// lateModel is windows of one kind, one by one, in a plain loop: what each record and each
// watermark makes them give, with records that are too late.
type lateModel struct {
	size, slide, offset, lateness int64 // slide 0: sessions
	every                         int   // AtCount; 0: none
	wm                            int64
	open                          map[int][]*lateWindow // by key
}

type lateWindow struct {
	begin, end, count int64
	pending           int
}

// take returns what a record makes the windows give.
func (m *lateModel) take(key int, t int64) (out []string) {
	if m.slide == 0 {
		return m.takeSession(key, t)
	}
	late := true
	for begin := t - m.size + 1; begin <= t; begin++ {
		if (begin-m.offset)%m.slide != 0 {
			continue
		}
		if begin+m.size-1+m.lateness <= m.wm {
			continue
		}
		late = false
		out = append(out, m.give(key, m.window(key, begin))...)
	}
	if late && m.covered(t) {
		return []string{fmt.Sprintf("%d at %d is late", key, t)}
	}
	return out
}

func (m *lateModel) covered(t int64) bool {
	for begin := t - m.size + 1; begin <= t; begin++ {
		if (begin-m.offset)%m.slide == 0 {
			return true
		}
	}
	return false
}

func (m *lateModel) window(key int, begin int64) *lateWindow {
	for _, w := range m.open[key] {
		if w.begin == begin {
			return w
		}
	}
	w := &lateWindow{begin: begin, end: begin + m.size}
	m.open[key] = append(m.open[key], w)
	return w
}

// takeSession merges the sessions that a record touches.
func (m *lateModel) takeSession(key int, t int64) []string {
	merged := &lateWindow{begin: t, end: t + m.size}
	var rest []*lateWindow
	for _, w := range m.open[key] {
		if t >= w.end || t+m.size <= w.begin {
			rest = append(rest, w)
			continue
		}
		merged.begin, merged.end = min(merged.begin, w.begin), max(merged.end, w.end)
		merged.count, merged.pending = merged.count+w.count, merged.pending+w.pending
	}
	if merged.count == 0 && merged.end-1+m.lateness <= m.wm {
		return []string{fmt.Sprintf("%d at %d is late", key, t)}
	}
	m.open[key] = append(rest, merged)
	return m.give(key, merged)
}

// give adds a record to a window and returns the result that it gives at once.
func (m *lateModel) give(key int, w *lateWindow) []string {
	w.count++
	w.pending++
	switch {
	case w.end-1 <= m.wm:
		w.pending = 0
		return []string{lateLine(key, w, stream.Late)}
	case m.every > 0 && w.pending >= m.every:
		w.pending = 0
		return []string{lateLine(key, w, stream.Early)}
	}
	return nil
}

func lateLine(key int, w *lateWindow, pane stream.Pane) string {
	return fmt.Sprintf("%d [%d, %d) %d %v", key, w.begin, w.end, w.count, pane)
}

// reach returns what ends when the watermark goes on.
func (m *lateModel) reach(wm int64) (out []string) {
	for key, all := range m.open {
		for _, w := range all {
			if w.end-1 > m.wm && w.end-1 <= wm {
				w.pending = 0
				out = append(out, lateLine(key, w, stream.OnTime))
			}
		}
		m.open[key] = slices.DeleteFunc(all, func(w *lateWindow) bool { return w.end-1+m.lateness <= wm })
	}
	m.wm = wm
	return out
}

// datedKey is a record of the job below.
type datedKey struct {
	Key  int
	Time int64
}

// TestLateRecordsModel gives random windows random records, many of them too late, and watermarks, with
// restarts in between: at each step they give what the plain loop gives.
func TestLateRecordsModel(t *testing.T) {
	base := uint64(time.Now().UnixNano()) % 1_000_000
	for i := range uint64(8) {
		seed := base + i
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { runLateModel(t, seed) })
	}
}

func runLateModel(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 5))
	m := &lateModel{size: 1 + r.Int64N(30), slide: r.Int64N(20), offset: r.Int64N(40) - 20, lateness: r.Int64N(3) * 10, every: r.IntN(4), wm: -1 << 40, open: map[int][]*lateWindow{}}
	w := stream.Sliding(ms(m.size), ms(m.slide)).Offset(ms(m.offset))
	if m.slide == 0 {
		w = stream.Session(ms(m.size))
	}
	t.Logf("size %d, slide %d, offset %d, lateness %d, every %d", m.size, m.slide, m.offset, m.lateness, m.every)
	job := streamtest.New(t, func(p *stream.Pipeline) {
		in := stream.From(p, "in", &generator.Source[datedKey]{}, stream.UID("in"), stream.TimestampsMillis(func(d datedKey) int64 { return d.Time }))
		var late stream.Stream[datedKey]
		opts := []stream.Option{stream.UID("w"), stream.AllowedLateness(ms(m.lateness)), stream.LateTo(&late)}
		if m.every > 0 {
			opts = append(opts, stream.On(stream.AtCount(int64(m.every))))
		}
		agg := stream.Aggregate[datedKey, int64, int64]{
			Init: func() int64 { return 0 }, Add: func(n int64, _ datedKey) int64 { return n + 1 },
			Merge: func(a, b int64) int64 { return a + b }, Result: func(n int64) int64 { return n },
		}
		counts := stream.Window(stream.KeyBy(in, func(d datedKey) int { return d.Key }), "w", w, agg, opts...)
		lines := stream.Map(counts, "line", func(r stream.WindowResult[int, int64]) string {
			return lateLine(r.Key, &lateWindow{begin: r.Start, end: r.End, count: r.Value}, r.Pane)
		})
		lates := stream.Map(late, "late", func(d datedKey) string { return fmt.Sprintf("%d at %d is late", d.Key, d.Time) })
		stream.To(stream.Union(lines, lates), "out", blackhole.Sink[string]{}, stream.UID("out"))
	})
	in, out := streamtest.Input[datedKey](job, "in"), streamtest.Output[string](job, "out")
	now := r.Int64N(200) - 100
	for step := range 200 {
		var want []string
		switch n := r.IntN(20); {
		case n == 0:
			job.Rescale(1 + r.IntN(3))
		case n < 5:
			now += 1 + r.Int64N(15)
			in.Watermark(time.UnixMilli(now))
			want = m.reach(now)
		default:
			d := datedKey{r.IntN(3), now + r.Int64N(80) - 50}
			in.Add(d)
			want = m.take(d.Key, d.Time)
		}
		got := out.Take()
		sort.Strings(got)
		if sort.Strings(want); !slices.Equal(got, want) {
			t.Fatalf("step %d, watermark %d: got\n%s\nwant\n%s", step, m.wm, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}
