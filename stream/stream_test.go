package stream_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/stream"
)

// event is a record of the tests below: T is its time in milliseconds.
type event struct {
	Key string
	T   int64
}

func eventTime(e event) int64 { return e.T }

func count() stream.Aggregate[event, int, int] {
	return stream.Aggregate[event, int, int]{
		Init: func() int { return 0 }, Add: func(n int, _ event) int { return n + 1 }, Result: func(n int) int { return n },
	}
}

func program(t *testing.T, build func(p *stream.Pipeline)) *engine.Program {
	t.Helper()
	p := stream.NewPipeline("test")
	p.KeyGroups(16)
	build(p)
	prog, err := p.Program()
	if err != nil {
		t.Fatal(err)
	}
	return prog
}

func runOnce(t *testing.T, build func(p *stream.Pipeline)) {
	t.Helper()
	if err := enginetest.New(1, 1).Run(t.Context(), program(t, build)); err != nil {
		t.Fatal(err)
	}
}

func TestWindowLateRecords(t *testing.T) {
	// Batches of one, so that the watermark moves after every record.
	c := enginetest.New(1, 1)
	c.Options.BatchRows = 1
	src := &enginetest.Source[event]{Chunk: 1, Slices: [][]event{{{"a", 10}, {"a", 90}, {"a", 130}, {"a", 50}, {"a", 230}, {"a", 129}}}}
	results, lates := enginetest.NewSink[stream.WindowResult[string, int]](), enginetest.NewSink[event]()
	err := c.Run(t.Context(), program(t, func(p *stream.Pipeline) {
		s := stream.From(p, "in", src, stream.UID("in"), stream.TimestampsMillis(eventTime), stream.BoundedOutOfOrderness(20*time.Millisecond))
		var late stream.Stream[event]
		k := stream.KeyBy(s, func(e event) string { return e.Key })
		w := stream.Window(k, "hundreds", stream.Tumbling(100*time.Millisecond), count(), stream.UID("w"), stream.LateTo(&late))
		stream.To(w, "results", results, stream.UID("results"))
		stream.To(late, "late", lates, stream.UID("late"))
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := []stream.WindowResult[string, int]{{"a", 0, 100, 2, stream.OnTime}, {"a", 100, 200, 1, stream.OnTime}, {"a", 200, 300, 1, stream.OnTime}}
	if got := results.Committed(); !slices.Equal(got, want) {
		t.Errorf("windows %v, want %v", got, want)
	}
	if got, want := lates.Committed(), []event{{"a", 50}, {"a", 129}}; !slices.Equal(got, want) {
		t.Errorf("late %v, want %v", got, want)
	}
}

func TestWindowOffsetsAndTimesBeforeTheEpoch(t *testing.T) {
	src := &enginetest.Source[event]{Slices: [][]event{{{"a", -101}, {"a", -1}, {"a", 29}, {"a", 30}}}}
	results := enginetest.NewSink[stream.WindowResult[string, int]]()
	runOnce(t, func(p *stream.Pipeline) {
		s := stream.From(p, "in", src, stream.UID("in"), stream.TimestampsMillis(eventTime), stream.Monotonic())
		w := stream.Tumbling(100 * time.Millisecond).Offset(30 * time.Millisecond)
		k := stream.KeyBy(s, func(e event) string { return e.Key })
		stream.To(stream.Window(k, "w", w, count(), stream.UID("w")), "out", results, stream.UID("out"))
	})
	want := []stream.WindowResult[string, int]{{"a", -170, -70, 1, stream.OnTime}, {"a", -70, 30, 2, stream.OnTime}, {"a", 30, 130, 1, stream.OnTime}}
	if got := results.Committed(); !slices.Equal(got, want) {
		t.Errorf("windows %v, want %v", got, want)
	}
}

func TestWindowWithoutEventTime(t *testing.T) {
	src := &enginetest.Source[event]{Slices: [][]event{{{"a", 1}}}}
	err := enginetest.New(1, 1).Run(t.Context(), program(t, func(p *stream.Pipeline) {
		k := stream.KeyBy(stream.From(p, "in", src, stream.UID("in")), func(e event) string { return e.Key })
		w := stream.Window(k, "w", stream.Tumbling(time.Second), count(), stream.UID("w"))
		stream.To(w, "out", enginetest.NewSink[stream.WindowResult[string, int]](), stream.UID("out"))
	}))
	if !errors.Is(err, stream.ErrNoEventTime) || !strings.Contains(err.Error(), `operator "w"`) {
		t.Errorf("got %v, want ErrNoEventTime of operator w", err)
	}
}

// badSource is a Source in which some rows are bad.
type badSource struct{ *enginetest.Source[event] }

func (s badSource) Open(ctx context.Context, env connector.Env, split connector.Split, position []byte) (connector.Reader[event], error) {
	r, err := s.Source.Open(ctx, env, split, position)
	return &badReader{Reader: r, left: 2}, err
}

type badReader struct {
	connector.Reader[event]
	left int
}

func (r *badReader) TakeBad() []connector.BadRecord {
	if r.left == 0 {
		return nil
	}
	r.left--
	return []connector.BadRecord{{Split: "slice-0", Where: "line 17", Error: "no number"}}
}

func TestBadRecords(t *testing.T) {
	src := badSource{&enginetest.Source[event]{Chunk: 1, Slices: [][]event{{{"a", 1}, {"b", 2}, {"c", 3}}}}}
	good, bad := enginetest.NewSink[event](), enginetest.NewSink[connector.BadRecord]()
	runOnce(t, func(p *stream.Pipeline) {
		var side stream.Stream[connector.BadRecord]
		stream.To(stream.From(p, "in", src, stream.UID("in"), stream.BadRecordsTo(&side)), "good", good, stream.UID("good"))
		stream.To(side, "bad", bad, stream.UID("bad"))
	})
	if len(good.Committed()) != 3 || len(bad.Committed()) != 2 {
		t.Errorf("%d good and %d bad records, want 3 and 2", len(good.Committed()), len(bad.Committed()))
	}
	err := enginetest.New(1, 1).Run(t.Context(), program(t, func(p *stream.Pipeline) {
		stream.To(stream.From(p, "in", src, stream.UID("in"), stream.FailOnBadRecord()), "good", enginetest.NewSink[event](), stream.UID("good"))
	}))
	if err == nil || !strings.Contains(err.Error(), "line 17") {
		t.Errorf("FailOnBadRecord: got %v, want the bad line", err)
	}
}

func TestPanicNamesItsOperator(t *testing.T) {
	src := &enginetest.Source[event]{Slices: [][]event{{{"a", 1}}}}
	err := enginetest.New(1, 1).Run(t.Context(), program(t, func(p *stream.Pipeline) {
		s := stream.Map(stream.From(p, "in", src, stream.UID("in")), "first", func(e event) event { return e })
		s = stream.Map(s, "second", func(e event) event { panic("the second one is broken") }, stream.UID("second"))
		stream.To(s, "out", enginetest.NewSink[event](), stream.UID("out"))
	}))
	var op *engine.OperatorError
	var p *engine.PanicError
	if !errors.As(err, &op) || op.UID != "second" || !errors.As(err, &p) {
		t.Fatalf("got %v, want a panic of operator second", err)
	}
	if !strings.HasSuffix(err.Error(), `subtask 0/0: operator "second": panic: the second one is broken`) {
		t.Errorf("the error is %q", err)
	}
	if !strings.Contains(string(p.Stack), "TestPanicNamesItsOperator") {
		t.Errorf("the stack is %s", p.Stack)
	}
}

// TestNothingStaysStaged ends a job at once when its last commit is known.
func TestNothingStaysStaged(t *testing.T) {
	src := &enginetest.Source[event]{Slices: [][]event{{{"a", 1}}, {{"b", 2}}}}
	sink := enginetest.NewSink[event]()
	err := enginetest.New(2, 2).Run(t.Context(), program(t, func(p *stream.Pipeline) {
		stream.To(stream.From(p, "in", src, stream.UID("in")), "out", sink, stream.UID("out"))
	}))
	if err != nil {
		t.Fatal(err)
	}
	if len(sink.Committed()) != 2 || sink.Staged() != 0 {
		t.Errorf("%d records are committed and %d transactions still staged, want 2 and 0", len(sink.Committed()), sink.Staged())
	}
}

func TestProblemsAreAllTold(t *testing.T) {
	p := stream.NewPipeline("test")
	src := &enginetest.Source[event]{}
	s := stream.From(p, "reader", src, stream.TimestampsMillis(func(string) int64 { return 0 }))
	s = stream.Map(s, "copy", func(e event) event { return e }, stream.Monotonic())
	k := stream.KeyBy(s, func(event) func() { return nil })
	stream.To(stream.Window(k, "counting", stream.Tumbling(0), count()), "out", enginetest.NewSink[stream.WindowResult[func(), int]]())
	_, err := p.Program()
	if err == nil {
		t.Fatal("a job full of problems is accepted")
	}
	for _, want := range []string{
		`operator "reader" keeps state and has no uid`, `operator "counting" keeps state and has no uid`, `operator "out" keeps state and has no uid`,
		`operator "reader": Timestamps`, `operator "copy": copy is an operator without state: it takes no [Monotonic]`,
		`operator "counting": key:`, `at least 1ms`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not told:\n%v", want, err)
		}
	}
}

func TestRestoreRefusesUnknownState(t *testing.T) {
	prog := program(t, func(p *stream.Pipeline) {
		stream.To(stream.From(p, "in", &enginetest.Source[event]{}, stream.UID("in")), "out", enginetest.NewSink[event](), stream.UID("out"))
	})
	c := enginetest.New(1, 1)
	c.RestoreFrom(&engine.Restore{Checkpoint: 7, Processes: []snapshot.Process{{Subtasks: []snapshot.Subtask{{Operators: []snapshot.Operator{
		{UID: "gone", Transactions: []snapshot.Transaction{{Checkpoint: 7, Payload: []byte("x")}}},
	}}}}}})
	if err := c.Run(t.Context(), prog); !errors.Is(err, engine.ErrUnknownUID) || !strings.Contains(err.Error(), `"gone"`) {
		t.Errorf("got %v, want ErrUnknownUID of gone", err)
	}
}

type jobConfig struct {
	From     string        `help:"where to read"`
	Rate     float64       `flag:"per-second"`
	MaxDelay time.Duration `help:"how late"`
	Fast     bool
	Rows     int
}

func TestFlags(t *testing.T) {
	var got jobConfig
	build := stream.With(jobConfig{Rows: 7}, func(_ *stream.Pipeline, c jobConfig) { got = c })
	err := build(stream.NewPipeline("test"), []string{"--from", "x", "--per-second=2.5", "--max-delay", "3s", "--fast"})
	if want := (jobConfig{"x", 2.5, 3 * time.Second, true, 7}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, args := range [][]string{{"--nope"}, {"--rows", "many"}, {"stray"}} {
		err := build(stream.NewPipeline("test"), args)
		if !errors.Is(err, stream.ErrUsage) || !strings.Contains(err.Error(), "-max-delay") {
			t.Errorf("%v: got %v, want ErrUsage that lists the flags", args, err)
		}
	}
	err = build(stream.NewPipeline("test"), []string{"--help"})
	if !errors.Is(err, flag.ErrHelp) || !strings.HasPrefix(err.Error(), "Usage of test:") || !strings.Contains(err.Error(), "--cairn.dir") {
		t.Errorf("help: %v", err)
	}
}

func TestJobThatGivesUpSaysWhyAlone(t *testing.T) {
	p := stream.NewPipeline("test")
	p.Fail(errors.New("no such query"))
	if _, err := p.Program(); err == nil || err.Error() != "no such query" {
		t.Errorf("got %v", err)
	}
}

func TestPlan(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan.json")
	t.Setenv(stream.EnvPlan, path)
	build := stream.With(struct{ Wide int }{1}, func(p *stream.Pipeline, c struct{ Wide int }) {
		p.Parallelism(c.Wide)
		stream.To(stream.From(p, "in", &enginetest.Source[event]{}, stream.UID("in")), "out", enginetest.NewSink[event](), stream.UID("out"))
	})
	if err := stream.Run(t.Context(), "test", []string{"--wide", "3"}, build); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var g dataflow.Graph
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	if in, ok := g.Operator("in"); !ok || in.Parallelism != 3 || g.Validate() != nil {
		t.Errorf("plan %s", data)
	}
	if err := stream.Run(t.Context(), "test", nil, func(*stream.Pipeline, []string) error { return nil }); err == nil || !strings.Contains(err.Error(), "no operators") {
		t.Errorf("an empty job's plan: %v", err)
	}
}

// TestSubmittedParallelism: what a submit says wins over the program's general
// choice, and not over an operator's own.
func TestSubmittedParallelism(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan.json")
	t.Setenv(stream.EnvPlan, path)
	t.Setenv(stream.EnvParallelism, "5")
	build := func(p *stream.Pipeline, _ []string) error {
		early := stream.From(p, "early", &enginetest.Source[event]{}, stream.UID("early"))
		p.Parallelism(2)
		own := stream.Map(stream.Rebalance(early), "own", func(e event) event { return e }, stream.UID("own"), stream.Parallelism(3))
		stream.To(own, "late", enginetest.NewSink[event](), stream.UID("late"))
		return nil
	}
	if err := stream.Run(t.Context(), "test", nil, build); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var g dataflow.Graph
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	for uid, want := range map[dataflow.UID]int{"early": 5, "own": 3, "late": 5} {
		if o, ok := g.Operator(uid); !ok || o.Parallelism != want {
			t.Errorf("operator %s: %+v, want parallelism %d", uid, o, want)
		}
	}
	for _, wrong := range []string{"0", "-1", "many"} {
		t.Setenv(stream.EnvParallelism, wrong)
		if err := stream.Run(t.Context(), "test", nil, build); err == nil || !strings.Contains(err.Error(), "CAIRN_PARALLELISM="+wrong) {
			t.Errorf("%s: got %v", wrong, err)
		}
	}
}

func TestRunHere(t *testing.T) {
	sink := enginetest.NewSink[event]()
	build := func(p *stream.Pipeline, args []string) error {
		if !slices.Equal(args, []string{"--mine"}) {
			t.Errorf("the job got %q", args)
		}
		src := &enginetest.Source[event]{Slices: [][]event{{{"a", 1}, {"b", 2}}}}
		stream.To(stream.From(p, "in", src, stream.UID("in")), "out", sink, stream.UID("out"))
		return nil
	}
	if err := stream.Run(t.Context(), "test", []string{"--cairn.dir=" + t.TempDir(), "--cairn.new", "--mine"}, build); err != nil {
		t.Fatal(err)
	}
	if len(sink.Committed()) != 2 {
		t.Errorf("%d records are out, want 2", len(sink.Committed()))
	}
	if err := stream.Run(t.Context(), "test", []string{"--cairn.what"}, build); !errors.Is(err, stream.ErrUsage) {
		t.Errorf("got %v, want ErrUsage", err)
	}
}
