package stream_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// rec is an input record.
type rec struct {
	Key, Split, N int
	Time          int64
}

// out is an output record: of a Processor (Count is the running number of its
// key's records) or of a window (Time is its start).
type out struct {
	Key, Split, N, Count int
	Time                 int64
}

// counter emits each record with the running number of its key, and at the
// end of each 100 ms a timer emits how many there were so far.
type counter struct {
	n    *stream.Value[int]
	last *stream.MapOf[int, int] // by path: to check the order
	path func(rec) int           // records of one path stay in order; -1 is no path
}

func (c *counter) Open(s *stream.Setup) error {
	c.n = stream.ValueState[int](s, "n")
	c.last = stream.MapState[int, int](s, "last")
	return nil
}

func (c *counter) Process(ctx *stream.Context[int, out], r rec) error {
	n, _, err := c.n.Get()
	if err != nil {
		return err
	}
	if err := c.checkOrder(r); err != nil {
		return err
	}
	ctx.Emit(out{Key: r.Key, Split: r.Split, N: r.N, Count: n + 1})
	ctx.SetTimer(r.Time/100*100+99, "tick")
	return c.n.Set(n + 1)
}

func (c *counter) checkOrder(r rec) error {
	path := c.path(r)
	if path < 0 {
		return nil
	}
	last, ok, err := c.last.Get(path)
	if err != nil {
		return err
	}
	if ok && last >= r.N {
		return fmt.Errorf("key %d: record %d of split %d after record %d", r.Key, r.N, r.Split, last)
	}
	return c.last.Put(path, r.N)
}

func (c *counter) OnTimer(ctx *stream.Context[int, out], t stream.Timer) error {
	ctx.Emit(out{Key: ctx.Key(), Split: -1, Time: t.At})
	return nil
}

// model is a random job: what it reads, how it is built, and what must come out.
type model struct {
	seed        uint64
	slices      [][]rec
	window      bool
	parallelism int
	shape       int
}

func newModel(seed uint64) model {
	r := rand.New(rand.NewPCG(seed, 1))
	m := model{seed: seed, window: r.IntN(2) == 0, parallelism: 1 + r.IntN(4), shape: r.IntN(4)}
	for s := range 1 + r.IntN(5) {
		var slice []rec
		now := int64(0)
		for n := range r.IntN(2000) {
			now += int64(r.IntN(4))
			slice = append(slice, rec{Key: r.IntN(20), Split: s, N: n, Time: now})
		}
		m.slices = append(m.slices, slice)
	}
	return m
}

// copies is how often each record gets through the model's edges.
func (m model) copies() int {
	if m.shape == 2 {
		return 2
	}
	return 1
}

// path tells which records stay in order: those of a split that go the same
// way. Broadcast records are spread by a rebalance afterwards.
func (m model) path(r rec) int {
	switch m.shape {
	case 2:
		return 2*r.Split + r.N%2
	case 3:
		return -1
	}
	return r.Split
}

// program builds the job. parallelism may differ from one attempt to the next.
func (m model) program(t *testing.T, parallelism int, sink *enginetest.Sink[out]) *engine.Program {
	t.Helper()
	p := stream.NewPipeline("model")
	p.KeyGroups(16)
	p.Parallelism(parallelism)
	src := &enginetest.Source[rec]{Slices: m.slices, Chunk: 7}
	s := stream.From(p, "in", src, stream.UID("in"), stream.TimestampsMillis(func(r rec) int64 { return r.Time }), stream.Monotonic())
	switch m.shape {
	case 1:
		s = stream.Map(stream.Rebalance(s), "copy", func(r rec) rec { return r }, stream.Parallelism(1))
	case 2: // both ways to the same place
		odd := func(r rec) rec { r.N = 2*r.N + 1; return r }
		even := func(r rec) rec { r.N *= 2; return r }
		s = stream.Union(stream.Map(s, "odd", odd), stream.Map(s, "even", even))
	case 3: // to all, and one of them lets a record through
		s = stream.Broadcast(s)
		s = stream.Map(s, "one", func(r rec) rec { return r }, stream.Parallelism(1))
		s = stream.Filter(s, "all", func(rec) bool { return true })
	}
	keyed := stream.KeyBy(s, func(r rec) int { return r.Key })
	if !m.window {
		done := stream.Process(keyed, "count", func() stream.Processor[int, rec, out] { return &counter{path: m.path} }, stream.UID("count"))
		stream.To(done, "out", sink, stream.UID("out"))
	} else {
		agg := stream.Aggregate[rec, int, int]{Init: func() int { return 0 }, Add: func(n int, _ rec) int { return n + 1 }, Result: func(n int) int { return n }}
		w := stream.Window(keyed, "window", stream.Tumbling(50*time.Millisecond), agg, stream.UID("window"))
		flat := stream.Map(w, "flat", func(w stream.WindowResult[int, int]) out { return out{Key: w.Key, Time: w.Start, Count: w.Value} })
		stream.To(flat, "out", sink, stream.UID("out"))
	}
	prog, err := p.Program()
	if err != nil {
		t.Fatal(err)
	}
	return prog
}

// want is the reference: one loop over the input.
func (m model) want() []string {
	counts := map[[2]int64]int{}
	ticks := map[[2]int64]bool{}
	var lines []string
	perKey := map[int]int{}
	for _, slice := range m.slices {
		for _, r := range slice {
			for c := range m.copies() {
				counts[[2]int64{int64(r.Key), r.Time / 50 * 50}]++
				ticks[[2]int64{int64(r.Key), r.Time/100*100 + 99}] = true
				n := r.N
				if m.shape == 2 {
					n = 2*r.N + c
				}
				lines = append(lines, fmt.Sprintf("record %d %d %d", r.Key, r.Split, n))
				perKey[r.Key]++
				lines = append(lines, fmt.Sprintf("number %d of %d", perKey[r.Key], r.Key))
			}
		}
	}
	if m.window {
		lines = nil
		for k, n := range counts {
			lines = append(lines, fmt.Sprintf("window %d %d: %d", k[0], k[1], n))
		}
	} else {
		for k := range ticks {
			lines = append(lines, fmt.Sprintf("tick %d %d", k[0], k[1]))
		}
	}
	sort.Strings(lines)
	return lines
}

func (m model) got(sink *enginetest.Sink[out]) []string {
	var lines []string
	for _, o := range sink.Committed() {
		switch {
		case m.window:
			lines = append(lines, fmt.Sprintf("window %d %d: %d", o.Key, o.Time, o.Count))
		case o.Split < 0:
			lines = append(lines, fmt.Sprintf("tick %d %d", o.Key, o.Time))
		default:
			lines = append(lines, fmt.Sprintf("record %d %d %d", o.Key, o.Split, o.N), fmt.Sprintf("number %d of %d", o.Count, o.Key))
		}
	}
	sort.Strings(lines)
	return lines
}

// TestModelExactlyOnce runs random jobs with random faults: the committed
// output must be what one loop over the input makes.
func TestModelExactlyOnce(t *testing.T) {
	runs := uint64(40)
	if testing.Short() {
		runs = 10
	}
	base := uint64(time.Now().UnixNano()) % 1_000_000
	for i := range runs {
		seed := base + i
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { runModel(t, newModel(seed)) })
	}
}

var errPrepare = errors.New("the store is down for a moment")

func runModel(t *testing.T, m model) {
	r := rand.New(rand.NewPCG(m.seed, 2))
	c := enginetest.New(m.seed, 1+r.IntN(3))
	c.AbortOneIn = 4
	if m.shape == 3 {
		// Behind an operator of one subtask an edge is forward at parallelism 1 and not at others:
		// what was in flight has no place then, and the restore says so.
		c.Barriers = nil
	}
	if m.seed%4 == 1 {
		c.Options.State.Backend = dataflow.BackendLSM
	}
	if m.seed%3 > 0 {
		c.LocalDir = t.TempDir()
	}
	var writes, killAt atomic.Int64
	sink := enginetest.NewSink[out]()
	sink.OnWrite = func() {
		if writes.Add(1) == killAt.Load() {
			c.Kill()
		}
	}
	var prepares atomic.Int64
	sink.OnPrepare = func() error {
		if prepares.Add(1)%5 == 0 {
			return errPrepare
		}
		return nil
	}
	parallelism := m.parallelism
	kills := r.IntN(4)
	for attempt := 0; ; attempt++ {
		killAt.Store(0)
		if attempt < kills {
			killAt.Store(writes.Load() + 1 + int64(r.IntN(30)))
		}
		err := c.Run(t.Context(), m.program(t, parallelism, sink))
		if err == nil {
			break
		}
		if !errors.Is(err, enginetest.ErrKilled) {
			t.Fatalf("attempt %d: %v", attempt+1, err)
		}
		parallelism = 1 + r.IntN(4)
	}
	compare(t, m.got(sink), m.want())
	t.Logf("shape %d, window %v, %d processes, %d kills, %d checkpoints, %d aborted, %d objects deleted", m.shape, m.window, c.Processes, kills, c.Completed, c.Aborted, c.Deleted)
}

func compare(t *testing.T, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Fatalf("missing %q (%d lines, want %d)", want[i], len(got), len(want))
		case i >= len(want):
			t.Fatalf("too much: %q (%d lines, want %d)", got[i], len(got), len(want))
		case got[i] != want[i]:
			t.Fatalf("line %d is %q, want %q", i, got[i], want[i])
		}
	}
}
