package stream_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// windowModel is a random job of one window: what it reads, how it is cut, when it
// gives results.
type windowModel struct {
	seed     uint64
	slices   [][]rec
	kind     int // of windows
	size     int64
	slide    int64
	offset   int64
	bound    int64 // of the watermark; below disorder, records are late
	disorder int64
	trigger  stream.Trigger
	purging  bool
	early    bool
	variable bool // accumulators of no fixed size
}

const (
	modelTumbling = iota
	modelSliding
	modelSession
	modelGlobal
	modelKinds
)

func newWindowModel(seed uint64) windowModel {
	r := rand.New(rand.NewPCG(seed, 3))
	m := windowModel{
		seed: seed, kind: r.IntN(modelKinds), size: 1 + r.Int64N(200), slide: 1 + r.Int64N(100), disorder: r.Int64N(50), variable: r.IntN(3) == 0,
	}
	if m.kind < modelSession {
		m.offset = r.Int64N(100) - 50
	}
	m.bound = m.disorder
	if r.IntN(2) == 0 && m.kind != modelGlobal {
		m.bound /= 2
	}
	m.trigger = []stream.Trigger{
		stream.AtWatermark(), stream.AtWatermark(), stream.AtCount(1 + r.Int64N(5)), stream.EveryEventTime(ms(1 + r.Int64N(70))), stream.EveryProcessingTime(time.Millisecond),
	}[r.IntN(5)]
	m.early = m.trigger != stream.AtWatermark()
	if r.IntN(3) == 0 && (m.kind != modelSliding || m.slide >= m.size) {
		m.trigger, m.purging = stream.Purging(m.trigger), true
	}
	for s := range 1 + r.IntN(4) {
		var slice []rec
		now := r.Int64N(300) - 100
		for n := range r.IntN(1000) {
			if now += r.Int64N(3); r.IntN(50) == 0 {
				now += r.Int64N(300)
			}
			slice = append(slice, rec{Key: r.IntN(10), Split: s, N: n, Time: now - r.Int64N(m.disorder+1)})
		}
		m.slices = append(m.slices, slice)
	}
	return m
}

func ms(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

func (m windowModel) windows() stream.Windows {
	switch m.kind {
	case modelTumbling:
		return stream.Tumbling(ms(m.size)).Offset(ms(m.offset))
	case modelSliding:
		return stream.Sliding(ms(m.size), ms(m.slide)).Offset(ms(m.offset))
	case modelSession:
		return stream.Session(ms(m.size))
	}
	return stream.Global()
}

// summed is how many records, and the sum of their numbers.
type summed struct{ Count, Sum int64 }

func number(r rec) int64 { return int64(r.Split)*10_000 + int64(r.N) }

func sums() stream.Aggregate[rec, summed, summed] {
	return stream.Aggregate[rec, summed, summed]{
		Init: func() summed { return summed{} }, Result: func(a summed) summed { return a },
		Add:   func(a summed, r rec) summed { return summed{a.Count + 1, a.Sum + number(r)} },
		Merge: func(a, b summed) summed { return summed{a.Count + b.Count, a.Sum + b.Sum} },
	}
}

// lists is sums with an accumulator that grows.
func lists() stream.Aggregate[rec, []int64, summed] {
	return stream.Aggregate[rec, []int64, summed]{
		Init: func() []int64 { return nil },
		Add:  func(a []int64, r rec) []int64 { return append(a, number(r)) },
		Merge: func(a, b []int64) []int64 {
			return append(slices.Clip(a), b...)
		},
		Result: func(a []int64) (t summed) {
			for _, n := range a {
				t = summed{t.Count + 1, t.Sum + n}
			}
			return t
		},
	}
}

type sumResult = stream.WindowResult[int, summed]

func (m windowModel) program(t *testing.T, parallelism int, sink *enginetest.Sink[sumResult], lates *enginetest.Sink[rec]) *engine.Program {
	t.Helper()
	return program(t, func(p *stream.Pipeline) {
		p.Parallelism(parallelism)
		s := stream.From(p, "in", &enginetest.Source[rec]{Slices: m.slices, Chunk: 7}, stream.UID("in"),
			stream.TimestampsMillis(func(r rec) int64 { return r.Time }), stream.BoundedOutOfOrderness(ms(m.bound)))
		keyed := stream.KeyBy(s, func(r rec) int { return r.Key })
		opts := []stream.Option{stream.UID("w"), stream.On(m.trigger)}
		var late stream.Stream[rec]
		if m.kind != modelGlobal {
			opts = append(opts, stream.LateTo(&late), stream.AllowedLateness(ms(m.disorder-m.bound)))
		}
		var out stream.Stream[sumResult]
		if m.variable {
			out = stream.Window(keyed, "w", m.windows(), lists(), opts...)
		} else {
			out = stream.Window(keyed, "w", m.windows(), sums(), opts...)
		}
		stream.To(out, "out", sink, stream.UID("out"))
		if m.kind != modelGlobal {
			stream.To(late, "late", lates, stream.UID("late"))
		}
	})
}

// want is the reference: each record's windows one by one.
func (m windowModel) want() []string {
	byKey := map[int][]rec{}
	for _, slice := range m.slices {
		for _, r := range slice {
			byKey[r.Key] = append(byKey[r.Key], r)
		}
	}
	all := map[string]summed{}
	for key, records := range byKey {
		for _, r := range records {
			for _, begin := range m.begins(r, records) {
				name := fmt.Sprintf("%d [%d, %d)", key, begin[0], begin[1])
				all[name] = summed{all[name].Count + 1, all[name].Sum + number(r)}
			}
		}
	}
	return lines(all)
}

func lines(all map[string]summed) []string {
	var lines []string
	for name, a := range all {
		lines = append(lines, fmt.Sprint(name, " ", a))
	}
	sort.Strings(lines)
	return lines
}

// begins is the windows that a record is in: every begin is tried.
func (m windowModel) begins(r rec, others []rec) (all [][2]int64) {
	switch m.kind {
	case modelGlobal:
		return [][2]int64{{math.MinInt64, math.MaxInt64}}
	case modelSession:
		return [][2]int64{m.session(r, others)}
	}
	slide := m.slide
	if m.kind == modelTumbling {
		slide = m.size
	}
	for begin := r.Time - m.size + 1; begin <= r.Time; begin++ {
		if (begin-m.offset)%slide == 0 {
			all = append(all, [2]int64{begin, begin + m.size})
		}
	}
	return all
}

// session is the session of a record: it grows until no record touches it.
func (m windowModel) session(r rec, others []rec) [2]int64 {
	s := [2]int64{r.Time, r.Time + m.size}
	for grown := true; grown; {
		grown = false
		for _, o := range others {
			if o.Time < s[1] && o.Time+m.size > s[0] && (o.Time < s[0] || o.Time+m.size > s[1]) {
				s = [2]int64{min(s[0], o.Time), max(s[1], o.Time+m.size)}
				grown = true
			}
		}
	}
	return s
}

// got is what the results say of each window in the end, and whether their panes make
// sense.
func (m windowModel) got(t *testing.T, results []sumResult) []string {
	t.Helper()
	all, closed := map[string]summed{}, map[string]bool{}
	moving := m.kind == modelSession && (m.early || m.bound < m.disorder) // sessions grow together
	if moving {
		results = finalSessions(results)
	}
	for _, r := range results {
		name := fmt.Sprintf("%d [%d, %d)", r.Key, r.Start, r.End)
		switch {
		case r.Pane == stream.Early && !m.early, r.Pane == stream.Late && m.bound == m.disorder:
			t.Fatalf("%s: %v, without a reason", name, r)
		case r.Pane != stream.Late && closed[name] && !moving:
			t.Fatalf("%s: %v after the end", name, r)
		}
		closed[name] = r.Pane != stream.Early
		if m.purging {
			r.Value = summed{r.Value.Count + all[name].Count, r.Value.Sum + all[name].Sum}
		} else if r.Value.Count < all[name].Count && !moving {
			t.Fatalf("%s: %v after %v", name, r, all[name])
		}
		all[name] = r.Value
	}
	return lines(all)
}

// TestWindowModel runs random windows with random faults: what they say in the end
// must be what one loop over the input does.
func TestWindowModel(t *testing.T) {
	runs := uint64(60)
	if testing.Short() {
		runs = 16
	}
	base := uint64(time.Now().UnixNano()) % 1_000_000
	for i := range runs {
		seed := base + i
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { runWindowModel(t, newWindowModel(seed)) })
	}
}

func runWindowModel(t *testing.T, m windowModel) {
	t.Logf("%v, %+v, purging %v, disorder %d, bound %d", m.windows(), m.trigger, m.purging, m.disorder, m.bound)
	r := rand.New(rand.NewPCG(m.seed, 4))
	c := enginetest.New(m.seed, 1+r.IntN(2))
	c.AbortOneIn = 4
	if m.seed%4 == 1 {
		c.Options.State.Backend = dataflow.BackendLSM
	}
	var writes, killAt atomic.Int64
	sink, lates := enginetest.NewSink[sumResult](), enginetest.NewSink[rec]()
	sink.OnWrite = func() {
		if writes.Add(1) == killAt.Load() {
			c.Kill()
		}
	}
	kills := r.IntN(4)
	for attempt := 0; ; attempt++ {
		killAt.Store(0)
		if attempt < kills {
			killAt.Store(writes.Load() + 1 + int64(r.IntN(30)))
		}
		err := c.Run(t.Context(), m.program(t, 1+r.IntN(4), sink, lates))
		if err == nil {
			break
		}
		if !errors.Is(err, enginetest.ErrKilled) {
			t.Fatalf("attempt %d: %v", attempt+1, err)
		}
	}
	if late := lates.Committed(); len(late) > 0 {
		t.Errorf("late: %v, want none", late)
	}
	compare(t, m.got(t, sink.Committed()), m.want())
	for _, p := range c.Restore().Processes {
		for _, s := range p.Subtasks {
			for _, o := range s.Operators {
				if o.Keyed != nil && o.Keyed.Entries > 0 {
					t.Errorf("%d entries of state are left at the end", o.Keyed.Entries)
				}
			}
		}
	}
}

// finalSessions names results after the session that theirs has become part of.
func finalSessions(results []sumResult) []sumResult {
	final := map[int][][2]int64{}
	for _, r := range results {
		merged, rest := [2]int64{r.Start, r.End}, [][2]int64(nil)
		for _, s := range final[r.Key] {
			if s[0] < merged[1] && s[1] > merged[0] {
				merged = [2]int64{min(s[0], merged[0]), max(s[1], merged[1])}
			} else {
				rest = append(rest, s)
			}
		}
		final[r.Key] = append(rest, merged)
	}
	results = slices.Clone(results)
	for i := range results {
		r := &results[i]
		for _, s := range final[r.Key] {
			if s[0] <= r.Start && r.End <= s[1] {
				r.Start, r.End = s[0], s[1]
			}
		}
	}
	return results
}
