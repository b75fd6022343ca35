package stream_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// fussy fails at the keys "error" and "panic", after it has counted them.
func fussy(key string) error {
	switch key {
	case "error":
		return errors.New("not that one")
	case "panic":
		panic("what is this")
	}
	return nil
}

// fussyCounter is fussy with state. What it counts before it fails stays.
type fussyCounter struct {
	stream.NoTimers[string, string]
	n *stream.Value[int64]
}

func (c *fussyCounter) Open(s *stream.Setup) error {
	c.n = stream.ValueState[int64](s, "n")
	return nil
}

func (c *fussyCounter) Process(ctx *stream.Context[string, string], e event) error {
	return c.n.Update(func(n *int64, _ bool) {
		if *n++; e.T%2 == 0 {
			if err := fussy(e.Key); err != nil {
				panic(err)
			}
		}
		ctx.Emit(fmt.Sprint(e.Key, *n))
	})
}

// fussyFunction is fussy without state.
type fussyFunction struct{ timeOf }

func (fussyFunction) Process(out *stream.Emitter[string], e event) error {
	if err := fussy(e.Key); err != nil {
		return err
	}
	out.Emit(e.Key)
	return nil
}

// poisoned runs an operator over records and returns what went on and what did not.
func poisoned(t *testing.T, events []event, build func(s stream.Stream[event], opts ...stream.Option) stream.Stream[string]) ([]string, []stream.Poison) {
	t.Helper()
	good, bad := enginetest.NewSink[string](), enginetest.NewSink[stream.Poison]()
	runOnce(t, func(p *stream.Pipeline) {
		src := &enginetest.Source[event]{Slices: [][]event{events}}
		s := stream.From(p, "in", src, stream.UID("in"), stream.TimestampsMillis(eventTime), stream.Monotonic())
		var side stream.Stream[stream.Poison]
		stream.To(build(s, stream.UID("fussy"), stream.PoisonTo(&side)), "out", good, stream.UID("out"))
		stream.To(side, "bad", bad, stream.UID("bad"))
	})
	return good.Committed(), bad.Committed()
}

func TestPoison(t *testing.T) {
	events := []event{{"panic", 2}, {"a", 3}, {"error", 4}, {"error", 6}, {"b", 7}, {"panic", 8}}
	key := func(e event) string { return e.Key }
	onlyPanics := func(e event) string {
		if err := fussy(e.Key); err != nil {
			panic(err)
		}
		return e.Key
	}
	for name, build := range map[string]func(s stream.Stream[event], opts ...stream.Option) stream.Stream[string]{
		"map": func(s stream.Stream[event], opts ...stream.Option) stream.Stream[string] {
			return stream.Map(s, "fussy", onlyPanics, opts...)
		},
		"filter": func(s stream.Stream[event], opts ...stream.Option) stream.Stream[string] {
			return stream.Map(stream.Filter(s, "fussy", func(e event) bool { onlyPanics(e); return true }, opts...), "key", key)
		},
		"flatmap": func(s stream.Stream[event], opts ...stream.Option) stream.Stream[string] {
			return stream.FlatMap(s, "fussy", func(e event, emit func(string)) { emit(onlyPanics(e)) }, opts...)
		},
		"trymap": func(s stream.Stream[event], opts ...stream.Option) stream.Stream[string] {
			return stream.TryMap(s, "fussy", func(e event) (string, error) { return e.Key, fussy(e.Key) }, opts...)
		},
		"tryflatmap": func(s stream.Stream[event], opts ...stream.Option) stream.Stream[string] {
			return stream.TryFlatMap(s, "fussy", func(e event, emit func(string)) error {
				if err := fussy(e.Key); err != nil {
					return err
				}
				emit(e.Key)
				return nil
			}, opts...)
		},
		"apply": func(s stream.Stream[event], opts ...stream.Option) stream.Stream[string] {
			return stream.Apply(s, "fussy", func() stream.Function[event, string] { return fussyFunction{} }, opts...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			good, bad := poisoned(t, events, build)
			if !slices.Equal(good, []string{"a", "b"}) {
				t.Errorf("on went %q, want a and b", good)
			}
			var got []string
			for _, p := range bad {
				got = append(got, p.Record)
				if panicked := strings.HasPrefix(p.Error, "panic: "); p.UID != "fussy" || p.Key != "" || panicked != (p.Stack != "") {
					t.Errorf("poison %+v", p)
				}
				if p.Stack != "" && !strings.Contains(p.Stack, "stream_test.") {
					t.Errorf("the stack is not the author's:\n%s", p.Stack)
				}
			}
			want := []string{`{"Key":"panic","T":2}`, `{"Key":"error","T":4}`, `{"Key":"error","T":6}`, `{"Key":"panic","T":8}`}
			if !slices.Equal(got, want) {
				t.Errorf("poison %q, want %q", got, want)
			}
		})
	}
}

// TestPoisonOfAKey: the poison tells the key, and what the record had changed stays.
func TestPoisonOfAKey(t *testing.T) {
	events := []event{{"a", 1}, {"error", 2}, {"error", 3}, {"panic", 4}, {"panic", 5}}
	good, bad := poisoned(t, events, func(s stream.Stream[event], opts ...stream.Option) stream.Stream[string] {
		k := stream.KeyBy(s, func(e event) string { return e.Key })
		return stream.Process(k, "fussy", func() stream.Processor[string, event, string] { return &fussyCounter{} }, opts...)
	})
	if !slices.Equal(good, []string{"a1", "error2", "panic2"}) {
		t.Errorf("on went %q", good)
	}
	if len(bad) != 2 || bad[0].Key != `"error"` || bad[0].Error != "panic: not that one" || bad[1].Key != `"panic"` {
		t.Errorf("poison %+v", bad)
	}
}

// TestPoisonIsOnesOwn: a panic in an operator that is chained to one with PoisonTo is
// not that one's.
func TestPoisonIsOnesOwn(t *testing.T) {
	src := &enginetest.Source[event]{Slices: [][]event{slices.Repeat(fourEvents, 1000)}}
	err := enginetest.New(1, 1).Run(t.Context(), program(t, func(p *stream.Pipeline) {
		var side stream.Stream[stream.Poison]
		s := stream.From(p, "in", src, stream.UID("in"))
		// It fills its batch in the middle of its own.
		s = stream.FlatMap(s, "three", func(e event, emit func(event)) { emit(e); emit(e); emit(e) }, stream.PoisonTo(&side))
		s = stream.Map(s, "broken", func(e event) event { panic("broken") }, stream.UID("broken"))
		stream.To(s, "out", enginetest.NewSink[event](), stream.UID("out"))
		stream.To(side, "bad", enginetest.NewSink[stream.Poison](), stream.UID("bad"))
	}))
	var op *engine.OperatorError
	if !errors.As(err, &op) || op.UID != "broken" {
		t.Errorf("got %v, want a panic of operator broken", err)
	}
}

func TestPoisonIsBounded(t *testing.T) {
	long := strings.Repeat("é", 5000)
	_, bad := poisoned(t, []event{{"x" + long, 1}}, func(s stream.Stream[event], opts ...stream.Option) stream.Stream[string] {
		type odd struct {
			Name string
			NaN  float64
		}
		odds := stream.Map(s, "odd", func(e event) odd { return odd{e.Key, math.NaN()} })
		return stream.Map(odds, "fussy", func(o odd) string { panic(o.Name) }, opts...)
	})
	if len(bad) != 1 {
		t.Fatalf("%d poison records, want 1", len(bad))
	}
	for _, text := range []string{bad[0].Record, bad[0].Error, bad[0].Stack} {
		if len(text) > 4096 || !utf8.ValidString(text) {
			t.Errorf("%d bytes, valid %v", len(text), utf8.ValidString(text))
		}
	}
	if !strings.HasPrefix(bad[0].Record, "{Name:xé") {
		t.Errorf("the record is %.40q", bad[0].Record)
	}
}

// TestErrorsNameTheKey: an error and a panic of keyed code, and one of a timer.
func TestErrorsNameTheKey(t *testing.T) {
	for key, want := range map[string]string{
		"error": `subtask 1/0: operator "failing": key "error": not that one`,
		"panic": `subtask 1/0: operator "failing": key "panic": panic: what is this`,
		"timer": `subtask 1/0: operator "failing": key "timer": at 11`,
	} {
		src := &enginetest.Source[event]{Slices: [][]event{{{"a", 10}, {key, 11}, {"b", 12}}}}
		err := enginetest.New(1, 1).Run(t.Context(), program(t, func(p *stream.Pipeline) {
			s := stream.From(p, "in", src, stream.UID("in"), stream.TimestampsMillis(eventTime), stream.Monotonic())
			k := stream.KeyBy(s, func(e event) string { return e.Key })
			f := stream.Process(k, "failing", func() stream.Processor[string, event, string] { return failing{} }, stream.UID("failing"))
			stream.To(f, "out", enginetest.NewSink[string](), stream.UID("out"))
		}))
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		var p *engine.PanicError
		if key == "panic" && (!errors.As(err, &p) || !strings.HasPrefix(string(p.Stack), "goroutine ") || strings.Contains(string(p.Stack), "debug.Stack")) {
			t.Errorf("the stack is %s", p.Stack)
		}
	}
}

type failing struct{}

func (failing) Open(*stream.Setup) error { return nil }

func (failing) Process(ctx *stream.Context[string, string], e event) error {
	if e.Key == "timer" {
		ctx.SetTimer(e.T, "")
	}
	return fussy(e.Key)
}

func (failing) OnTimer(_ *stream.Context[string, string], timer stream.Timer) error {
	return fmt.Errorf("at %d", timer.At)
}

// BenchmarkPoison is BenchmarkChain with PoisonTo.
func BenchmarkPoison(b *testing.B) {
	benchmark(b, 1, func(s stream.Stream[int64]) stream.Stream[int64] {
		return stream.Map(s, "plus", plusOne, stream.PoisonTo(new(stream.Stream[stream.Poison])))
	})
}

// choosy fails at every seventh record of a split, in one way or the other.
type choosy struct {
	stream.NoTimers[int, rec]
	n *stream.Value[int]
}

func (c *choosy) Open(s *stream.Setup) error {
	c.n = stream.ValueState[int](s, "n")
	return nil
}

func (c *choosy) Process(ctx *stream.Context[int, rec], r rec) error {
	if err := c.n.Update(func(n *int, _ bool) { *n++ }); err != nil {
		return err
	}
	switch r.N % 14 {
	case 0:
		return errors.New("every seventh")
	case 7:
		panic("every other seventh")
	}
	ctx.Emit(r)
	return nil
}

// TestModelPoison: under faults, each record goes on or aside, once.
func TestModelPoison(t *testing.T) {
	eachSeed(t, 8, func(t *testing.T, seed uint64) {
		m := newModel(seed)
		good, bad := enginetest.NewSink[rec](), enginetest.NewSink[string]()
		underFaults(t, seed, good, 100, func(p *stream.Pipeline) {
			var side stream.Stream[stream.Poison]
			s := stream.From(p, "in", &enginetest.Source[rec]{Slices: m.slices, Chunk: 7}, stream.UID("in"))
			k := stream.KeyBy(s, func(r rec) int { return r.Key })
			on := stream.Process(k, "choosy", func() stream.Processor[int, rec, rec] { return &choosy{} }, stream.UID("choosy"), stream.PoisonTo(&side))
			stream.To(on, "good", good, stream.UID("good"))
			texts := stream.Map(side, "text", func(p stream.Poison) string { return p.Key + ": " + p.Record })
			stream.To(texts, "bad", bad, stream.UID("bad"))
		})
		var got, want []string
		for _, r := range good.Committed() {
			got = append(got, fmt.Sprintf("%+v", r))
		}
		got = append(got, bad.Committed()...)
		for _, slice := range m.slices {
			for _, r := range slice {
				if r.N%7 > 0 {
					want = append(want, fmt.Sprintf("%+v", r))
				} else {
					want = append(want, fmt.Sprintf(`%d: {"Key":%d,"Split":%d,"N":%d,"Time":%d}`, r.Key, r.Key, r.Split, r.N, r.Time))
				}
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		compare(t, got, want)
	})
}
