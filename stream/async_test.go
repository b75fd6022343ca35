package stream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/stream"
)

// desk answers lookups when the test says so.
type desk struct {
	mu      sync.Mutex
	waiting map[string]chan error
}

func (d *desk) ask(ctx context.Context, e event) (string, error) {
	answer := make(chan error, 1)
	d.mu.Lock()
	d.waiting[e.Key] = answer
	d.mu.Unlock()
	select {
	case err := <-answer:
		return "<" + e.Key + ">", err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// release answers a lookup, and returns when the job has nothing left to do.
func (d *desk) release(key string, err error) {
	synctest.Wait()
	d.mu.Lock()
	answer := d.waiting[key]
	delete(d.waiting, key)
	d.mu.Unlock()
	answer <- err
	synctest.Wait()
}

// asked is whose lookups are under way.
func (d *desk) asked() []string {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	var keys []string
	for k := range d.waiting {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// runDesk runs a job of one lookup over events, while the test answers. Its batches
// have two records, with a watermark behind each.
func runDesk(t *testing.T, events []event, o stream.AsyncOptions, answer func(d *desk)) ([]string, error) {
	t.Helper()
	d := &desk{waiting: map[string]chan error{}}
	sink := enginetest.NewSink[string]()
	c := enginetest.New(1, 1)
	c.OnlyFinal = true
	src := &enginetest.Source[event]{Chunk: 2, Slices: [][]event{events}}
	done := make(chan error, 1)
	go func() {
		done <- c.Run(t.Context(), program(t, func(p *stream.Pipeline) {
			s := stream.From(p, "in", src, stream.UID("in"), stream.TimestampsMillis(eventTime), stream.Monotonic())
			stream.To(stream.Async(s, "ask", d.ask, o, stream.UID("ask")), "out", sink, stream.UID("out"))
		}))
	}()
	answer(d)
	err := <-done
	return sink.Committed(), err
}

var fourEvents = []event{{"a", 10}, {"b", 10}, {"c", 20}, {"d", 20}}

func TestAsyncOrder(t *testing.T) {
	for _, c := range []struct {
		ordered bool
		want    []string
	}{
		{true, []string{"<a>", "<b>", "<c>", "<d>"}},
		{false, []string{"<b>", "<a>", "<d>", "<c>"}}, // d waits for the watermark before it
	} {
		synctest.Test(t, func(t *testing.T) {
			got, err := runDesk(t, fourEvents, stream.AsyncOptions{Ordered: c.ordered}, func(d *desk) {
				for _, key := range []string{"d", "b", "a", "c"} {
					d.release(key, nil)
				}
			})
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("ordered %v: got %v, %v, want %v", c.ordered, got, err, c.want)
			}
		})
	}
}

// TestAsyncBound: no more lookups than InFlight, counting those whose results wait
// for their turn, and the source is not read meanwhile.
func TestAsyncBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := append(slices.Clone(fourEvents), event{"e", 30}, event{"f", 30})
		_, err := runDesk(t, events, stream.AsyncOptions{Ordered: true, InFlight: 3}, func(d *desk) {
			expect := func(want ...string) {
				if got := d.asked(); !slices.Equal(got, want) {
					t.Errorf("lookups %v are under way, want %v", got, want)
				}
			}
			expect("a", "b", "c")
			d.release("b", nil)
			expect("a", "c")
			d.release("a", nil)
			expect("c", "d", "e")
			for _, key := range []string{"c", "d", "e", "f"} {
				d.release(key, nil)
			}
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestAsyncFailureNamesTheOperator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := runDesk(t, fourEvents, stream.AsyncOptions{}, func(d *desk) { d.release("a", errors.New("gone")) })
		if err == nil || !strings.Contains(err.Error(), `operator "ask": lookup: try 1, of at most 30s: gone`) {
			t.Errorf("got %v", err)
		}
	})
}

// runAsync runs a job of one lookup on virtual time.
func runAsync(t *testing.T, lookup func(context.Context, event) (string, error), o stream.AsyncOptions, opts ...stream.Option) ([]string, error) {
	t.Helper()
	sink := enginetest.NewSink[string]()
	c := enginetest.New(1, 1)
	c.OnlyFinal = true
	err := c.Run(t.Context(), program(t, func(p *stream.Pipeline) {
		s := stream.From(p, "in", &enginetest.Source[event]{Slices: [][]event{fourEvents}}, stream.UID("in"))
		stream.To(stream.Async(s, "ask", lookup, o, append(opts, stream.UID("ask"))...), "out", sink, stream.UID("out"))
	}))
	return sink.Committed(), err
}

func TestAsyncRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		var tries []time.Duration // of b
		got, err := runAsync(t, func(ctx context.Context, e event) (string, error) {
			if e.Key != "b" {
				return e.Key, nil
			}
			mu.Lock()
			defer mu.Unlock()
			tries = append(tries, time.Since(start))
			switch len(tries) {
			case 1:
				return "", errors.New("busy")
			case 2:
				<-ctx.Done() // hangs: the try's time is up
				return "", ctx.Err()
			}
			return e.Key, nil
		}, stream.AsyncOptions{Ordered: true, Retries: 2, Timeout: time.Second, Backoff: 50 * time.Millisecond})
		if err != nil || !slices.Equal(got, []string{"a", "b", "c", "d"}) {
			t.Errorf("got %v, %v", got, err)
		}
		if want := []time.Duration{0, 50 * time.Millisecond, 1150 * time.Millisecond}; !slices.Equal(tries, want) {
			t.Errorf("tries at %v, want %v", tries, want)
		}
	})
}

func TestAsyncTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := runAsync(t, func(ctx context.Context, _ event) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}, stream.AsyncOptions{Retries: 2, Timeout: time.Second})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), `operator "ask": lookup: try 3`) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAsyncPanic(t *testing.T) {
	var under atomic.Int64
	_, err := runAsync(t, func(ctx context.Context, e event) (string, error) {
		under.Add(1)
		defer under.Add(-1)
		if e.Key == "d" {
			panic("no such customer")
		}
		<-ctx.Done()
		return "", ctx.Err()
	}, stream.AsyncOptions{})
	var op *engine.OperatorError
	var p *engine.PanicError
	if !errors.As(err, &op) || op.UID != "ask" || !errors.As(err, &p) || !strings.Contains(string(p.Stack), "TestAsyncPanic") {
		t.Errorf("got %v, want a panic of operator ask", err)
	}
	if n := under.Load(); n != 0 {
		t.Errorf("%d lookups outlive the attempt", n)
	}
}

func TestAsyncPoison(t *testing.T) {
	bad := enginetest.NewSink[stream.Poison]()
	good := enginetest.NewSink[string]()
	runOnce(t, func(p *stream.Pipeline) {
		s := stream.From(p, "in", &enginetest.Source[event]{Slices: [][]event{fourEvents}}, stream.UID("in"))
		var side stream.Stream[stream.Poison]
		asked := stream.Async(s, "ask", func(_ context.Context, e event) (string, error) {
			switch e.Key {
			case "b":
				return "", errors.New("unknown")
			case "c":
				panic("strange")
			}
			return e.Key, nil
		}, stream.AsyncOptions{Ordered: true}, stream.UID("ask"), stream.PoisonTo(&side))
		stream.To(asked, "out", good, stream.UID("out"))
		stream.To(side, "bad", bad, stream.UID("bad"))
	})
	if got := good.Committed(); !slices.Equal(got, []string{"a", "d"}) {
		t.Errorf("got %v", got)
	}
	got := bad.Committed()
	if len(got) != 2 || got[0].Record != `{"Key":"b","T":10}` || !strings.HasSuffix(got[0].Error, ": unknown") || got[0].Stack != "" || got[0].UID != "ask" {
		t.Fatalf("poison %+v", got)
	}
	if got[1].Error != "panic: strange" || !strings.Contains(got[1].Stack, "TestAsyncPoison") {
		t.Errorf("poison %+v", got[1])
	}
}

func TestAsyncBadOptions(t *testing.T) {
	p := stream.NewPipeline("test")
	s := stream.From(p, "in", &enginetest.Source[func()]{}, stream.UID("in"))
	asked := stream.Async(s, "ask", func(context.Context, func()) (string, error) { return "", nil },
		stream.AsyncOptions{InFlight: -1, Timeout: -1, Retries: -1, Backoff: -1}, stream.LateTo(new(stream.Stream[string])))
	stream.To(asked, "out", enginetest.NewSink[string](), stream.UID("out"))
	_, err := p.Program()
	if err == nil {
		t.Fatal("a job full of problems is accepted")
	}
	for _, want := range []string{
		"InFlight is -1", "Timeout is -1ns", "Retries is -1", "Backoff is -1ns", "records in flight are state", "it takes no [LateTo]",
		`operator "ask" keeps state and has no uid`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not told:\n%v", want, err)
		}
	}
}

// committedSink tells of commits.
type committedSink struct {
	*enginetest.Sink[event]
	commits func()
}

func (s committedSink) Commit(ctx context.Context, env connector.Env, txns []snapshot.Transaction) error {
	s.commits()
	return s.Sink.Commit(ctx, env, txns)
}

// TestAsyncDoesNotHoldUpCheckpoints: checkpoints complete while all lookups hang, with
// what is in flight, and a restore asks for that again.
func TestAsyncDoesNotHoldUpCheckpoints(t *testing.T) {
	c := enginetest.New(1, 2)
	sink, counted := enginetest.NewSink[string](), enginetest.NewSink[event]()
	var commits, asked, under atomic.Int64
	var answering atomic.Bool
	ask := func(ctx context.Context, e event) (string, error) {
		asked.Add(1)
		under.Add(1)
		defer under.Add(-1)
		if answering.Load() {
			return e.Key, nil
		}
		<-ctx.Done()
		return "", ctx.Err()
	}
	prog := func() *engine.Program {
		return program(t, func(p *stream.Pipeline) {
			s := stream.From(p, "in", &enginetest.Source[event]{Chunk: 2, Slices: [][]event{fourEvents}}, stream.UID("in"))
			stream.To(stream.Async(s, "ask", ask, stream.AsyncOptions{InFlight: 3}, stream.UID("ask")), "out", sink, stream.UID("out"))
			other := &enginetest.Source[event]{Chunk: 1, Slices: [][]event{slices.Repeat(fourEvents, 100)}}
			// Each checkpoint after the lookups began has something to commit.
			other.Hold = func(_, position int) bool { return asked.Load() < 3 || int64(position) > 10*commits.Load() }
			count := committedSink{counted, func() {
				if commits.Add(1) == 3 {
					c.Kill()
				}
			}}
			stream.To(stream.From(p, "other", other, stream.UID("other")), "count", count, stream.UID("count"))
		})
	}
	if err := c.Run(t.Context(), prog()); !errors.Is(err, enginetest.ErrKilled) {
		t.Fatal(err)
	}
	if under.Load() != 0 || asked.Load() != 3 {
		t.Errorf("%d lookups are under way after the attempt, %d were asked for, want 0 and 3", under.Load(), asked.Load())
	}
	if n := inFlight(c.Restore()); n != 4 {
		t.Errorf("%d records are in flight in the checkpoint, want 4", n)
	}
	answering.Store(true)
	if err := c.Run(t.Context(), prog()); err != nil {
		t.Fatal(err)
	}
	got := sink.Committed()
	slices.Sort(got)
	if !slices.Equal(got, []string{"a", "b", "c", "d"}) || asked.Load() != 7 {
		t.Errorf("got %v after %d lookups, want a to d after 7", got, asked.Load())
	}
}

// inFlight counts the records in flight in a checkpoint.
func inFlight(r *engine.Restore) (n int) {
	if r == nil {
		return 0
	}
	for _, p := range r.Processes {
		for _, s := range p.Subtasks {
			for _, o := range s.Operators {
				n += len(o.Lists["in-flight"])
			}
		}
	}
	return n
}

// BenchmarkAsync is the cost of a lookup that answers at once.
func BenchmarkAsync(b *testing.B) {
	for _, ordered := range []bool{true, false} {
		b.Run(fmt.Sprintf("ordered=%v", ordered), func(b *testing.B) {
			benchmark(b, 1, func(s stream.Stream[int64]) stream.Stream[int64] {
				ask := func(_ context.Context, v int64) (int64, error) { return v, nil }
				return stream.Async(s, "ask", ask, stream.AsyncOptions{Ordered: ordered}, stream.UID("ask"))
			})
		})
	}
}

// TestAsyncIsNotIdle: a subtask whose splits are idle still holds back the watermark for
// the records that it has in flight.
func TestAsyncIsNotIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{waiting: map[string]chan error{}}
		var over atomic.Bool
		src := &enginetest.Source[event]{Chunk: 1, Slices: [][]event{{{"slow", 10}, {"end", 900}}, {{"fast", 20}, {"fast too", 800}, {"end too", 900}}}}
		src.Hold = func(split, position int) bool { return !over.Load() && position == split+1 }
		results, late := enginetest.NewSink[stream.WindowResult[string, int]](), enginetest.NewSink[string]()
		c := enginetest.New(1, 1)
		c.OnlyFinal = true
		done := make(chan error, 1)
		go func() {
			done <- c.Run(t.Context(), program(t, func(p *stream.Pipeline) {
				p.Parallelism(2)
				s := stream.From(p, "in", src, stream.UID("in"), stream.TimestampsMillis(eventTime), stream.Monotonic(), stream.IdleAfter(time.Second))
				asked := stream.Async(s, "ask", d.ask, stream.AsyncOptions{Timeout: time.Hour}, stream.UID("ask"))
				agg := stream.Aggregate[string, int, int]{Init: func() int { return 0 }, Add: func(n int, _ string) int { return n + 1 }, Result: func(n int) int { return n }}
				var tooLate stream.Stream[string]
				k := stream.KeyBy(asked, func(string) string { return "all" })
				w := stream.Window(k, "w", stream.Tumbling(100*time.Millisecond), agg, stream.UID("w"), stream.LateTo(&tooLate))
				stream.To(w, "out", results, stream.UID("out"))
				stream.To(tooLate, "late", late, stream.UID("late"))
			}))
		}()
		d.release("fast", nil)
		d.release("fast too", nil)
		time.Sleep(time.Minute) // both splits are silent and idle; one has a record in flight
		d.release("slow", nil)
		time.Sleep(time.Minute)
		over.Store(true)
		time.Sleep(time.Minute)
		d.release("end", nil)
		d.release("end too", nil)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if got := late.Committed(); len(got) > 0 {
			t.Errorf("late: %v, want none", got)
		}
		if got := results.Committed(); len(got) != 3 || got[0].Value != 2 {
			t.Errorf("windows %v, want 3, the first with 2 records", got)
		}
	})
}
