package stream_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

var (
	early  = stream.NewSide[event]("early")
	names  = stream.NewSide[string]("names")
	unused = stream.NewSide[string]("unused")
)

// sorter sends records before time 15 to one side, all keys to another, and what is
// left on. The last goes to a side that nobody wants.
type sorter struct {
	stream.NoTimers[string, event]
	early         *stream.SideOutput[event]
	names, unused *stream.SideOutput[string]
}

func (s *sorter) Open(set *stream.Setup) error {
	s.early, s.names, s.unused = stream.OpenSide(set, early), stream.OpenSide(set, names), stream.OpenSide(set, unused)
	return nil
}

func (s *sorter) sort(out *stream.Emitter[event], e event) {
	s.names.EmitAt(e.Key, e.T+1000)
	s.unused.Emit(e.Key)
	if e.T < 15 {
		s.early.Emit(e)
	} else {
		out.Emit(e)
	}
}

func (s *sorter) Process(ctx *stream.Context[string, event], e event) error {
	s.sort(&ctx.Emitter, e)
	return nil
}

// plainSorter is sorter for records without keys.
type plainSorter struct{ sorter }

func (s *plainSorter) Process(out *stream.Emitter[event], e event) error {
	s.sort(out, e)
	return nil
}

func TestSideOutputs(t *testing.T) {
	for _, keyed := range []bool{true, false} {
		rest, earlies, named := enginetest.NewSink[event](), enginetest.NewSink[event](), enginetest.NewSink[string]()
		runOnce(t, func(p *stream.Pipeline) {
			src := &enginetest.Source[event]{Slices: [][]event{fourEvents}}
			s := stream.From(p, "in", src, stream.UID("in"), stream.TimestampsMillis(eventTime), stream.Monotonic())
			var sideEarly stream.Stream[event]
			var sideNames stream.Stream[string]
			opts := []stream.Option{stream.UID("sort"), stream.SideTo(names, &sideNames), stream.SideTo(early, &sideEarly)}
			var sorted stream.Stream[event]
			if keyed {
				k := stream.KeyBy(s, func(e event) string { return e.Key })
				sorted = stream.Process(k, "sort", func() stream.Processor[string, event, event] { return &sorter{} }, opts...)
			} else {
				sorted = stream.Apply(s, "sort", func() stream.Function[event, event] { return &plainSorter{} }, opts...)
			}
			stream.To(sorted, "out", rest, stream.UID("out"))
			stream.To(stream.Apply(sideEarly, "times", func() stream.Function[event, event] { return timeOf{} }, stream.UID("times")), "early", earlies, stream.UID("early"))
			stream.To(sideNames, "names", named, stream.UID("names"))
		})
		if got := rest.Committed(); !slices.Equal(got, fourEvents[2:]) {
			t.Errorf("keyed %v: on went %v, want %v", keyed, got, fourEvents[2:])
		}
		if got := earlies.Committed(); !slices.Equal(got, fourEvents[:2]) {
			t.Errorf("keyed %v: early are %v, want %v, at their own times", keyed, got, fourEvents[:2])
		}
		if got := named.Committed(); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
			t.Errorf("keyed %v: names are %v", keyed, got)
		}
	}
}

// timeOf gives each event the time that it came with.
type timeOf struct{}

func (timeOf) Open(*stream.Setup) error { return nil }

func (timeOf) Process(out *stream.Emitter[event], e event) error {
	out.Emit(event{e.Key, out.Time()})
	return nil
}

func TestSideBadOptions(t *testing.T) {
	p := stream.NewPipeline("test")
	s := stream.From(p, "in", &enginetest.Source[event]{}, stream.UID("in"))
	var side, again stream.Stream[event]
	var poison stream.Stream[stream.Poison]
	s = stream.Map(s, "copy", func(e event) event { return e }, stream.SideTo(early, &side))
	k := stream.KeyBy(s, func(e event) string { return e.Key })
	s = stream.Process(k, "sort", func() stream.Processor[string, event, event] { return &sorter{} }, stream.UID("sort"),
		stream.SideTo(early, &side), stream.SideTo(early, &again))
	s = stream.Apply(s, "plain", func() stream.Function[event, event] { return &plainSorter{} }, stream.UID("plain"),
		stream.SideTo[event](nil, &again))
	stream.To(s, "out", enginetest.NewSink[event](), stream.UID("out"), stream.PoisonTo(&poison))
	_, err := p.Program()
	if err == nil {
		t.Fatal("a job full of problems is accepted")
	}
	for _, want := range []string{
		`operator "copy": copy is an operator without state: it takes no [SideTo]`, `operator "sort": SideTo is there twice for side output "early"`,
		`operator "plain": SideTo has no side output`, `operator "out": out is a sink: it takes no [PoisonTo]`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not told:\n%v", want, err)
		}
	}
}

// TestNilSide: a side output that was never made is told when it is opened.
func TestNilSide(t *testing.T) {
	err := enginetest.New(1, 1).Run(t.Context(), program(t, func(p *stream.Pipeline) {
		s := stream.From(p, "in", &enginetest.Source[event]{Slices: [][]event{fourEvents}}, stream.UID("in"))
		s = stream.Apply(s, "sort", func() stream.Function[event, event] { return forgetful{} }, stream.UID("sort"))
		stream.To(s, "out", enginetest.NewSink[event](), stream.UID("out"))
	}))
	if err == nil || !strings.Contains(err.Error(), `operator "sort": side output: it is nil`) {
		t.Errorf("got %v", err)
	}
}

type forgetful struct{ timeOf }

func (forgetful) Open(s *stream.Setup) error {
	stream.OpenSide[event](s, nil)
	return nil
}
