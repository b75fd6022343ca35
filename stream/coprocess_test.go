package stream_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// bothSums are what summer2 has of a window, of each side.
type bothSums struct{ Left, Right int }

// summer2 adds up both sides per key and 100 ms, and tells of it when the time is over.
type summer2 struct {
	byWindow *stream.MapOf[int64, bothSums]
}

func (s *summer2) Open(set *stream.Setup) error {
	s.byWindow = stream.MapState[int64, bothSums](set, "by window")
	return nil
}

func (s *summer2) add(ctx *stream.Context[int, string], more bothSums) error {
	start := ctx.Time() / 100 * 100
	ctx.SetTimer(start+99, "end")
	return s.byWindow.Update(start, func(all *bothSums, _ bool) {
		all.Left += more.Left
		all.Right += more.Right
	})
}

func (s *summer2) ProcessFirst(ctx *stream.Context[int, string], r rec) error {
	return s.add(ctx, bothSums{Left: r.N})
}

func (s *summer2) ProcessSecond(ctx *stream.Context[int, string], r rec) error {
	return s.add(ctx, bothSums{Right: r.N})
}

func (s *summer2) OnTimer(ctx *stream.Context[int, string], t stream.Timer) error {
	start := t.At - 99
	all, _, err := s.byWindow.Get(start)
	ctx.Emit(fmt.Sprintf("%d at %d: %+v", ctx.Key(), start, all))
	s.byWindow.Delete(start)
	return err
}

// TestCoProcessExactlyOnce: state and timers are those of both inputs, and time is that
// of the one that is behind.
func TestCoProcessExactlyOnce(t *testing.T) {
	forSeeds(t, 1500, 20, func(t *testing.T, m twoModel) {
		all := map[[2]int64]bothSums{}
		for _, r := range slices.Concat(m.left...) {
			k := [2]int64{int64(r.Key), r.Time / 100 * 100}
			all[k] = bothSums{all[k].Left + r.N, all[k].Right}
		}
		for _, r := range slices.Concat(m.right...) {
			k := [2]int64{int64(r.Key), r.Time / 100 * 100}
			all[k] = bothSums{all[k].Left, all[k].Right + r.N}
		}
		var want []string
		for k, s := range all {
			want = append(want, fmt.Sprintf("%d at %d: %+v", k[0], k[1], s))
		}
		m.check(t, want, func(a, b stream.Keyed[int, rec]) stream.Stream[string] {
			return stream.CoProcess(a, b, "sum", func() stream.CoProcessor[int, rec, rec, string] { return &summer2{} }, stream.UID("sum"))
		})
	})
}

// TestBadInputsOfTwo: what is wrong with an operator of two inputs is told when the job is built.
func TestBadInputsOfTwo(t *testing.T) {
	p, other := stream.NewPipeline("one"), stream.NewPipeline("other")
	from := func(p *stream.Pipeline, uid string) stream.Keyed[string, event] {
		s := stream.From(p, uid, &enginetest.Source[event]{}, stream.UID(uid))
		return stream.KeyBy(s, func(e event) string { return e.Key })
	}
	a, b := from(p, "a"), from(other, "b")
	var late stream.Stream[event]
	pair := func(a, b event) event { return a }
	joined := stream.Join(a, b, "pair", -1, pair, stream.LateTo(&late), stream.FirstMatch())
	stream.To(joined, "out", nothingOf[event]{})
	_, err := p.Program()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`operator "pair": its inputs are streams of two jobs`,
		`operator "pair": a TTL of -1ns: use 1ms or more`,
		`pair is a join: it takes no [LateTo]`,
		`pair is a join: it takes no [FirstMatch]`,
		`operator "pair" keeps state and has no uid`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
}

// shouted are the records of the second side that loud takes.
var shouted = stream.NewSide[event]("shouted")

// loud sends the second side's records to a side output, and fails at keys that begin
// with x.
type loud struct {
	stream.NoTimers[string, event]
	shouted *stream.SideOutput[event]
}

func (l *loud) Open(s *stream.Setup) error {
	l.shouted = stream.OpenSide(s, shouted)
	return nil
}

func (l *loud) check(ctx *stream.Context[string, event]) error {
	if strings.HasPrefix(ctx.Key(), "x") {
		return fmt.Errorf("the key is %s", ctx.Key())
	}
	return nil
}

func (l *loud) ProcessFirst(ctx *stream.Context[string, event], e event) error {
	ctx.Emit(e)
	return l.check(ctx)
}

func (l *loud) ProcessSecond(ctx *stream.Context[string, event], e event) error {
	l.shouted.Emit(event{e.Key, ctx.Time()})
	return l.check(ctx)
}

func (l *loud) ProcessBroadcast(out *stream.Emitter[event], e event) error {
	l.shouted.Emit(event{e.Key, out.Time()})
	if e.Key == "X" {
		return errors.New("broadcast")
	}
	return nil
}

// broadLoud is loud as a BroadcastProcessor.
type broadLoud struct{ loud }

func (l *broadLoud) Process(ctx *stream.Context[string, event], e event) error {
	return l.ProcessFirst(ctx, e)
}

// TestSidesAndPoisonOfTwo: both inputs have the side outputs, each with the event times of
// its own records, and what fails is named by its own key.
func TestSidesAndPoisonOfTwo(t *testing.T) {
	src := &enginetest.Source[event]{Slices: [][]event{{{"a", 1}, {"A", 2}, {"x1", 3}, {"X2", 4}, {"b", 5}, {"B", 6}}}}
	out, side, poisons := enginetest.NewSink[event](), enginetest.NewSink[event](), enginetest.NewSink[stream.Poison]()
	runOnce(t, func(p *stream.Pipeline) {
		a, b := sides(stream.From(p, "in", src, stream.UID("in"), stream.TimestampsMillis(eventTime), stream.Monotonic()))
		var shout stream.Stream[event]
		var poison stream.Stream[stream.Poison]
		done := stream.CoProcess(a, b, "loud", func() stream.CoProcessor[string, event, event, event] { return &loud{} },
			stream.UID("loud"), stream.SideTo(shouted, &shout), stream.PoisonTo(&poison))
		stream.To(done, "out", out, stream.UID("out"))
		stream.To(shout, "side", side, stream.UID("side"))
		stream.To(poison, "poison", poisons, stream.UID("poison"))
	})
	if got, want := out.Committed(), []event{{"a", 1}, {"x1", 3}, {"b", 5}}; !slices.Equal(got, want) {
		t.Errorf("on went %v, want %v", got, want)
	}
	if got, want := side.Committed(), []event{{"A", 2}, {"X2", 4}, {"B", 6}}; !slices.Equal(got, want) {
		t.Errorf("the side has %v, want %v", got, want)
	}
	var keys []string
	for _, p := range poisons.Committed() {
		keys = append(keys, p.Key+": "+p.Error)
	}
	slices.Sort(keys)
	if want := []string{`"x1": the key is x1`, `"x2": the key is x2`}; !slices.Equal(keys, want) {
		t.Errorf("poison %q, want %q", keys, want)
	}
}

// TestErrorsOfTwoNameTheirKey: that of the input at hand, and none for a broadcast record.
func TestErrorsOfTwoNameTheirKey(t *testing.T) {
	for key, want := range map[string]string{
		"x1": `operator "loud": key "x1": the key is x1`,
		"X2": `operator "loud": key "x2": the key is x2`,
	} {
		err := runLoud(t, key, func(a, b stream.Keyed[string, event]) stream.Stream[event] {
			return stream.CoProcess(a, b, "loud", func() stream.CoProcessor[string, event, event, event] { return &loud{} }, stream.UID("loud"))
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", key, err, want)
		}
	}
	err := runLoud(t, "X", func(a, b stream.Keyed[string, event]) stream.Stream[event] {
		return stream.WithBroadcast(a, b.Stream(), "loud", func() stream.BroadcastProcessor[string, event, event, event] { return &broadLoud{} }, stream.UID("loud"))
	})
	if err == nil || !strings.HasSuffix(err.Error(), `operator "loud": broadcast`) {
		t.Errorf("broadcast: got %v", err)
	}
}

// runLoud runs a job of both inputs over a few records and one with that key.
func runLoud(t *testing.T, key string, build func(a, b stream.Keyed[string, event]) stream.Stream[event]) error {
	t.Helper()
	src := &enginetest.Source[event]{Slices: [][]event{{{"a", 1}, {"B", 2}, {key, 3}}}}
	return enginetest.New(1, 1).Run(t.Context(), program(t, func(p *stream.Pipeline) {
		a, b := sides(stream.From(p, "in", src, stream.UID("in"), stream.TimestampsMillis(eventTime), stream.Monotonic()))
		stream.To(build(a, b), "out", enginetest.NewSink[event](), stream.UID("out"))
	}))
}
