package stream_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sort"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// service answers lookups in random order, some of them with errors.
type service struct {
	asks     chan ask
	under    atomic.Int64
	mostEver atomic.Int64
}

type ask struct {
	rec    rec
	answer chan<- error
}

var errBusy = errors.New("the service is busy")

// run answers until ctx ends.
func (s *service) run(ctx context.Context, r *rand.Rand) {
	var pool []ask
	for {
		if len(pool) == 0 {
			select {
			case a := <-s.asks:
				pool = append(pool, a)
			case <-ctx.Done():
				return
			}
		}
		select {
		case a := <-s.asks:
			pool = append(pool, a)
		case <-ctx.Done():
			return
		default:
			pool = answerOne(pool, r)
		}
		runtime.Gosched() // so that more may ask
	}
}

func answerOne(pool []ask, r *rand.Rand) []ask {
	i, last := r.IntN(len(pool)), len(pool)-1
	var err error
	if r.IntN(20) == 0 {
		err = errBusy
	}
	pool[i].answer <- err
	pool[i] = pool[last]
	return pool[:last]
}

func (s *service) lookup(ctx context.Context, v rec) (rec, error) {
	now := s.under.Add(1)
	defer s.under.Add(-1)
	for most := s.mostEver.Load(); now > most && !s.mostEver.CompareAndSwap(most, now); most = s.mostEver.Load() {
	}
	answer := make(chan error, 1)
	select {
	case s.asks <- ask{v, answer}:
	case <-ctx.Done():
		return rec{}, ctx.Err()
	}
	select {
	case err := <-answer:
		v.N = -v.N - 1
		return v, err
	case <-ctx.Done():
		return rec{}, ctx.Err()
	}
}

// asyncProgram is the model's job with a lookup in the middle of a chain, and another behind it.
func (m model) asyncProgram(t *testing.T, parallelism int, o stream.AsyncOptions, s *service, sink, late *enginetest.Sink[rec], windows *enginetest.Sink[stream.WindowResult[int, int]]) *engine.Program {
	t.Helper()
	return program(t, func(p *stream.Pipeline) {
		p.Parallelism(parallelism)
		src := &enginetest.Source[rec]{Slices: m.slices, Chunk: 7}
		in := stream.From(p, "in", src, stream.UID("in"), stream.TimestampsMillis(func(r rec) int64 { return r.Time }), stream.Monotonic())
		if m.shape == 1 {
			in = stream.Rebalance(in)
		}
		same := func(r rec) rec { return r }
		asked := stream.Async(stream.Map(in, "before", same), "first", s.lookup, o, stream.UID("first"))
		asked = stream.Async(stream.Map(asked, "between", same), "second", s.lookup, o, stream.UID("second"))
		stream.To(asked, "out", sink, stream.UID("out"))
		agg := stream.Aggregate[rec, int, int]{Init: func() int { return 0 }, Add: func(n int, _ rec) int { return n + 1 }, Result: func(n int) int { return n }}
		var tooLate stream.Stream[rec]
		keyed := stream.KeyBy(asked, func(r rec) int { return r.Key })
		w := stream.Window(keyed, "w", stream.Tumbling(50*time.Millisecond), agg, stream.UID("w"), stream.LateTo(&tooLate))
		stream.To(w, "windows", windows, stream.UID("windows"))
		stream.To(tooLate, "late", late, stream.UID("late"))
	})
}

// TestModelAsync runs random jobs with lookups and random faults: each record comes out
// once, in order if that was asked for, and behind no watermark that it was before.
func TestModelAsync(t *testing.T) {
	runs := uint64(12)
	if testing.Short() {
		runs = 4
	}
	base := uint64(time.Now().UnixNano()) % 1_000_000
	restored := 0
	for i := range runs {
		seed := base + i
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { restored += runAsyncModel(t, newModel(seed)) })
	}
	if restored == 0 && !testing.Short() {
		t.Error("no run restored a record in flight")
	}
}

func runAsyncModel(t *testing.T, m model) (restored int) {
	r := rand.New(rand.NewPCG(m.seed, 3))
	c := enginetest.New(m.seed, 1+r.IntN(3))
	c.AbortOneIn = 4
	o := stream.AsyncOptions{Ordered: m.window, InFlight: 1 + r.IntN(20), Retries: 50, Backoff: time.Microsecond}
	s := &service{asks: make(chan ask)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go s.run(ctx, rand.New(rand.NewPCG(m.seed, 4)))
	sink, late, windows := enginetest.NewSink[rec](), enginetest.NewSink[rec](), enginetest.NewSink[stream.WindowResult[int, int]]()
	var writes, killAt atomic.Int64
	sink.OnWrite = func() {
		if writes.Add(1) == killAt.Load() {
			c.Kill()
		}
	}
	kills := 1 + r.IntN(3)
	parallelism, rescaled := m.parallelism, m.seed%2 == 0
	for attempt := 0; ; attempt++ {
		killAt.Store(0)
		if attempt < kills {
			killAt.Store(writes.Load() + 5 + int64(r.IntN(200)))
		}
		restored += inFlight(c.Restore())
		err := c.Run(t.Context(), m.asyncProgram(t, parallelism, o, s, sink, late, windows))
		if n := s.under.Load(); n != 0 {
			t.Fatalf("attempt %d: %d lookups outlive it", attempt+1, n)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, enginetest.ErrKilled) {
			t.Fatalf("attempt %d: %v", attempt+1, err)
		}
		if rescaled {
			parallelism = 1 + r.IntN(4)
		}
	}
	m.checkAsync(t, sink.Committed(), windows.Committed(), o.Ordered && !rescaled && m.shape != 1)
	if got := late.Committed(); len(got) > 0 {
		t.Errorf("watermarks overtook %d records, such as %+v", len(got), got[0])
	}
	if most := s.mostEver.Load(); most > int64(2*4*o.InFlight) {
		t.Errorf("%d lookups were under way at once, want at most %d in each of 2 operators and 4 subtasks", most, o.InFlight)
	}
	t.Logf("shape %d, %+v, %d processes, %d kills, %d checkpoints, %d records restored in flight, %d lookups at once", m.shape, o, c.Processes, kills, c.Completed, restored, s.mostEver.Load())
	return restored
}

// checkAsync compares the output with the input.
func (m model) checkAsync(t *testing.T, got []rec, windows []stream.WindowResult[int, int], ordered bool) {
	t.Helper()
	var have, want []string
	counts := map[[2]int64]int{}
	for _, slice := range m.slices {
		for _, r := range slice {
			want = append(want, fmt.Sprint(r))
			counts[[2]int64{int64(r.Key), r.Time / 50 * 50}]++
		}
	}
	next := map[int]int{}
	for _, r := range got {
		have = append(have, fmt.Sprint(r))
		if ordered && r.N != next[r.Split] {
			t.Fatalf("record %d of split %d comes where %d is due", r.N, r.Split, next[r.Split])
		}
		next[r.Split]++
	}
	for at, n := range counts {
		want = append(want, fmt.Sprint("window ", at, n))
	}
	for _, w := range windows {
		have = append(have, fmt.Sprint("window ", [2]int64{int64(w.Key), w.Start}, w.Value))
	}
	sort.Strings(have)
	sort.Strings(want)
	compare(t, have, want)
}
