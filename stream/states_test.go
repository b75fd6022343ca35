package stream_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// keeper keeps what comes in states of every sort, and tells them all when the last
// record of a key has come.
type keeper struct {
	list *stream.ListOf[int64]
	sum  *stream.Reducing[int64]
	mean *stream.Aggregating[int64, [2]int64, string]
	last *stream.Value[event]
}

func (k *keeper) Open(s *stream.Setup) error {
	k.list = stream.ListState[int64](s, "list")
	k.sum = stream.ReducingState(s, "sum", func(a, b int64) int64 { return a + b })
	k.mean = stream.AggregatingState(s, "mean", stream.Aggregate[int64, [2]int64, string]{
		Init:   func() [2]int64 { return [2]int64{} },
		Add:    func(a [2]int64, n int64) [2]int64 { return [2]int64{a[0] + 1, a[1] + n} },
		Result: func(a [2]int64) string { return fmt.Sprint(a[1], "/", a[0]) },
	})
	k.last = stream.ValueState[event](s, "last")
	return nil
}

func (k *keeper) Process(ctx *stream.Context[string, string], e event) error {
	ctx.SetTimer(1<<40, "end")
	return errors.Join(k.list.Append(e.T), k.sum.Add(e.T), k.mean.Add(e.T), k.last.Set(e))
}

func (k *keeper) OnTimer(ctx *stream.Context[string, string], _ stream.Timer) error {
	list, err1 := k.list.All()
	sum, _, err2 := k.sum.Get()
	mean, _, err3 := k.mean.Get()
	last, _, err4 := k.last.Get()
	ctx.Emit(fmt.Sprintf("%s %v %d %s %d", ctx.Key(), list, sum, mean, last.T))
	return errors.Join(err1, err2, err3, err4)
}

// TestStatesSurvive runs a job with states of every sort through kills and rescales.
func TestStatesSurvive(t *testing.T) {
	for _, backend := range []string{dataflow.BackendMemory, dataflow.BackendLSM} {
		t.Run(backend, func(t *testing.T) { statesSurvive(t, backend) })
	}
}

func statesSurvive(t *testing.T, backend string) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	const keys, each = 7, 200
	src := &enginetest.Source[event]{Chunk: 9, Slices: [][]event{nil}}
	for n := range int64(keys * each) {
		src.Slices[0] = append(src.Slices[0], event{fmt.Sprint("k", n%keys), n})
	}
	sink := enginetest.NewSink[string]()
	c := enginetest.New(seed, 2)
	c.Options.State.Backend = backend
	var reads, killAt atomic.Int64
	src.Hold = func(int, int) bool {
		if reads.Add(1) == killAt.Load() {
			c.Kill()
		}
		return false
	}
	for attempt := 0; ; attempt++ {
		killAt.Store(0)
		if attempt < 3 {
			killAt.Store(reads.Load() + 1 + int64(r.IntN(100)))
		}
		parallelism := 1 + r.IntN(4)
		err := c.Run(t.Context(), program(t, func(p *stream.Pipeline) {
			p.Parallelism(parallelism)
			s := stream.From(p, "in", src, stream.UID("in"), stream.Parallelism(1))
			k := stream.KeyBy(s, func(e event) string { return e.Key })
			stream.To(stream.Process(k, "keep", func() stream.Processor[string, event, string] { return &keeper{} }, stream.UID("keep")), "out", sink, stream.UID("out"))
		}))
		if err == nil {
			break
		}
		if !errors.Is(err, enginetest.ErrKilled) {
			t.Fatal(err)
		}
	}
	var want []string
	for k := range int64(keys) {
		var list []int64
		var sum int64
		for n := k; n < keys*each; n += keys {
			list, sum = append(list, n), sum+n
		}
		want = append(want, fmt.Sprintf("k%d %v %d %d/%d %d", k, list, sum, sum, each, list[each-1]))
	}
	got := sink.Committed()
	slices.Sort(got)
	compare(t, got, want)
}

// spreader keeps what it gets in operator state of every sort.
type spreader struct {
	setup *stream.Setup
	kept  *stream.OperatorList[event]
	seen  *stream.OperatorList[string]
	rules *stream.Broadcasted[string, int64]
}

func (s *spreader) Open(set *stream.Setup) error {
	s.setup = set
	s.kept = stream.SplitList[event](set, "kept")
	s.seen = stream.UnionList[string](set, "seen")
	s.rules = stream.BroadcastState[string, int64](set, "rules")
	return nil
}

// Process keeps a batch of records before it sends them on; all subtasks see all of them,
// and each keeps its share.
func (s *spreader) Process(out *stream.Emitter[string], e event) error {
	n, of := s.setup.Subtask()
	s.rules.Put(e.Key, e.T)
	if e.Key == "what" {
		if n == 0 {
			out.Emit(fmt.Sprint("rules ", s.rules.Len()))
		}
		for _, e := range s.kept.Items() {
			out.Emit(fmt.Sprint(e.Key, e.T))
		}
		for _, text := range s.seen.Items() {
			out.Emit(fmt.Sprint("seen in ", n, ": ", text))
		}
		s.kept.Replace(nil)
		return nil
	}
	if int(e.T)%of == n {
		s.kept.Add(e)
	}
	return nil
}

// TestOperatorStateIsRedistributed stops a job and goes on with another parallelism.
func TestOperatorStateIsRedistributed(t *testing.T) {
	var events []event
	for n := range int64(10) {
		events = append(events, event{fmt.Sprint("r", n%4), n})
	}
	events = append(events, event{"what", 0})
	sink := enginetest.NewSink[string]()
	c := enginetest.New(1, 2)
	run := func(parallelism, upTo int) error {
		src := newPausing(events, upTo, c.Kill)
		return c.Run(t.Context(), program(t, func(p *stream.Pipeline) {
			s := stream.Broadcast(stream.From(p, "in", src, stream.UID("in"), stream.Parallelism(1)))
			f := stream.Apply(s, "spread", func() stream.Function[event, string] { return &spreader{} }, stream.UID("spread"), stream.Parallelism(parallelism))
			stream.To(f, "out", sink, stream.UID("out"), stream.Parallelism(1))
		}))
	}
	if err := run(3, 10); !errors.Is(err, enginetest.ErrKilled) {
		t.Fatal(err)
	}
	if err := run(2, -1); err != nil {
		t.Fatal(err)
	}
	got := sink.Committed()
	slices.Sort(got)
	want := []string{"r00", "r04", "r08", "r11", "r15", "r19", "r22", "r26", "r33", "r37", "rules 5"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// ager counts each key's records in state that expires.
type ager struct {
	stream.NoTimers[string, string]
	n *stream.Value[int64]
}

func (a *ager) Open(s *stream.Setup) error {
	a.n = stream.ValueState[int64](s, "n", stream.TTL(time.Second))
	return nil
}

func (a *ager) Process(ctx *stream.Context[string, string], e event) error {
	return a.n.Update(func(n *int64, _ bool) {
		*n++
		ctx.Emit(fmt.Sprint(e.Key, " ", *n))
	})
}

// TestTTLByProcessingTime: each record has the pause before it in T.
func TestTTLByProcessingTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := []event{{"a", 0}, {"b", 0}, {"a", 600}, {"a", 600}, {"b", 0}, {"a", 1000}, {"b", 999}}
		src := &enginetest.Source[event]{Chunk: 1, Slices: [][]event{events}}
		sink := enginetest.NewSink[string]()
		c := enginetest.New(1, 1)
		c.OnlyFinal = true
		due := time.Now()
		waits := 0
		src.Hold = func(_, position int) bool {
			if position >= waits {
				due, waits = due.Add(time.Duration(events[position].T)*time.Millisecond), position+1
			}
			return time.Now().Before(due)
		}
		err := c.Run(t.Context(), program(t, func(p *stream.Pipeline) {
			k := stream.KeyBy(stream.From(p, "in", src, stream.UID("in")), func(e event) string { return e.Key })
			stream.To(stream.Process(k, "age", func() stream.Processor[string, event, string] { return &ager{} }, stream.UID("age")), "out", sink, stream.UID("out"))
		}))
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"a 1", "b 1", "a 2", "a 3", "b 1", "a 1", "b 1"}
		if got := sink.Committed(); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// opens is a Processor that only opens.
type opens struct {
	stream.NoTimers[string, string]
	open func(*stream.Setup)
}

func (o *opens) Open(s *stream.Setup) error                         { o.open(s); return nil }
func (*opens) Process(*stream.Context[string, string], event) error { return nil }

// TestStatesThatCanNotBe: the job does not start, and says why.
func TestStatesThatCanNotBe(t *testing.T) {
	run := func(open func(*stream.Setup)) error {
		src := &enginetest.Source[event]{Slices: [][]event{{{"a", 1}}}}
		return enginetest.New(1, 1).Run(t.Context(), program(t, func(p *stream.Pipeline) {
			k := stream.KeyBy(stream.From(p, "in", src, stream.UID("in")), func(e event) string { return e.Key })
			s := stream.Process(k, "open", func() stream.Processor[string, event, string] { return &opens{open: open} }, stream.UID("open"))
			stream.To(s, "out", enginetest.NewSink[string](), stream.UID("out"))
		}))
	}
	for _, tc := range []struct {
		open func(*stream.Setup)
		want string
	}{
		{func(s *stream.Setup) { stream.ValueState[func()](s, "f") }, `value state "f": func()`},
		{func(s *stream.Setup) { stream.MapState[[]int, int](s, "m") }, `map state "m": key: []int`},
		{func(s *stream.Setup) { stream.ValueState[int](s, "v", stream.TTL(-1)) }, `state "v": a TTL of -1ns`},
		{func(s *stream.Setup) { stream.SplitList[int](s, "watermark") }, "the engine uses that name itself"},
		{func(s *stream.Setup) { stream.AggregatingState(s, "a", stream.Aggregate[int, int, int]{}) }, "needs Init, Add and Result"},
		{func(s *stream.Setup) { stream.ValueState[int](s, "v"); stream.MapState[int, int](s, "v") }, `state "v": state incompatible`},
	} {
		err := run(tc.open)
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), `operator "open"`) {
			t.Errorf("got %v, want %q of operator open", err, tc.want)
		}
	}
}

type keyless struct{}

func (keyless) Open(s *stream.Setup) error { stream.ValueState[int](s, "v"); return nil }
func (keyless) Process(*stream.Emitter[event], event) error {
	return nil
}

func TestKeyedStateNeedsKeys(t *testing.T) {
	src := &enginetest.Source[event]{Slices: [][]event{{{"a", 1}}}}
	err := enginetest.New(1, 1).Run(t.Context(), program(t, func(p *stream.Pipeline) {
		s := stream.From(p, "in", src, stream.UID("in"))
		s = stream.Apply(s, "f", func() stream.Function[event, event] { return keyless{} }, stream.UID("f"))
		stream.To(s, "out", enginetest.NewSink[event](), stream.UID("out"))
	}))
	if err == nil || !strings.Contains(err.Error(), `state "v": the operator's records have no keys`) {
		t.Errorf("got %v", err)
	}
}
