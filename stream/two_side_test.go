package stream_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// twoSides tells its side output of each record of either input, and fails at key "b".
type twoSides struct {
	stream.NoTimers[string, event]
	names *stream.SideOutput[string]
}

func (c *twoSides) Open(s *stream.Setup) error {
	c.names = stream.OpenSide(s, names)
	return nil
}

func (c *twoSides) take(input string, e event) error {
	c.names.Emit(input + " " + e.Key)
	if e.Key == "b" {
		return errors.New("no b in " + input)
	}
	return nil
}

func (c *twoSides) ProcessFirst(_ *stream.Context[string, event], e event) error {
	return c.take("first", e)
}

func (c *twoSides) ProcessSecond(_ *stream.Context[string, event], e event) error {
	return c.take("second", e)
}

// broadcastSides is twoSides with a second stream that all subtasks get.
type broadcastSides struct{ twoSides }

func (c *broadcastSides) Process(_ *stream.Context[string, event], e event) error {
	return c.take("first", e)
}

func (c *broadcastSides) ProcessBroadcast(_ *stream.Emitter[event], e event) error {
	c.names.Emit("second " + e.Key)
	return nil
}

// stamped puts the time that a record came with behind it.
type stamped struct{}

func (stamped) Open(*stream.Setup) error { return nil }

func (stamped) Process(out *stream.Emitter[string], s string) error {
	out.Emit(fmt.Sprint(s, " at ", out.Time()))
	return nil
}

// TestSidesOfTwoInputs: side outputs and poison have the times of the records of whichever
// input.
func TestSidesOfTwoInputs(t *testing.T) {
	poison := []string{"first: no b in first", "second: no b in second"}
	for name, c := range map[string]struct {
		build  func(a, b stream.Keyed[string, event], plain stream.Stream[event], opts ...stream.Option) stream.Stream[event]
		poison []string
	}{
		"two keyed": {func(a, b stream.Keyed[string, event], _ stream.Stream[event], opts ...stream.Option) stream.Stream[event] {
			return stream.CoProcess(a, b, "sides", func() stream.CoProcessor[string, event, event, event] { return &twoSides{} }, opts...)
		}, poison},
		"broadcast": {func(a, _ stream.Keyed[string, event], plain stream.Stream[event], opts ...stream.Option) stream.Stream[event] {
			return stream.WithBroadcast(a, plain, "sides", func() stream.BroadcastProcessor[string, event, event, event] { return &broadcastSides{} }, opts...)
		}, poison[:1]},
	} {
		t.Run(name, func(t *testing.T) {
			sides, bad := enginetest.NewSink[string](), enginetest.NewSink[string]()
			runOnce(t, func(p *stream.Pipeline) {
				from := func(uid string, later int64) stream.Stream[event] {
					src := &enginetest.Source[event]{Slices: [][]event{fourEvents[:2]}}
					return stream.From(p, uid, src, stream.UID(uid), stream.TimestampsMillis(func(e event) int64 { return e.T + later }), stream.Monotonic())
				}
				key := func(e event) string { return e.Key }
				a, b := from("a", 0), from("b", 500)
				var side stream.Stream[string]
				var aside stream.Stream[stream.Poison]
				done := c.build(stream.KeyBy(a, key), stream.KeyBy(b, key), b, stream.UID("sides"), stream.SideTo(names, &side), stream.PoisonTo(&aside))
				stream.To(done, "out", nothingOf[event]{}, stream.UID("out"))
				with := stream.Apply(side, "times", func() stream.Function[string, string] { return stamped{} }, stream.UID("times"))
				stream.To(with, "sides out", sides, stream.UID("sides out"))
				text := stream.Map(aside, "text", func(p stream.Poison) string { return p.Error[len("no b in "):] + ": " + p.Error })
				stream.To(text, "bad", bad, stream.UID("bad"))
			})
			got := sides.Committed()
			slices.Sort(got)
			if want := []string{"first a at 10", "first b at 10", "second a at 510", "second b at 510"}; !slices.Equal(got, want) {
				t.Errorf("the side output has %q, want %q", got, want)
			}
			got = bad.Committed()
			slices.Sort(got)
			if !slices.Equal(got, c.poison) {
				t.Errorf("poison %q, want %q", got, c.poison)
			}
		})
	}
}
