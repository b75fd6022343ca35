package stream_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/stream"
)

// What a program keeps per key, in its first version and in later ones.
type (
	tallyV1 struct {
		N    int32
		Note string
		Sum  int32
	}
	tallyV2 struct {
		Total int64 `cairn:"was=Sum"`
		N     int32
		Max   int64
	}
	tallyV3 struct {
		Total int64 // the tag is gone
		N     int32
	}
	tallyBad struct {
		N string
	}
)

// tallier keeps a T per key and a map of Ts.
type tallier[T comparable] struct {
	stream.NoTimers[string, string]
	add   func(*T, event)
	opts  []stream.StateOption
	value *stream.Value[T]
	maps  *stream.MapOf[int64, T]
}

func (t *tallier[T]) Open(s *stream.Setup) error {
	t.value = stream.ValueState[T](s, "tally", t.opts...)
	t.maps = stream.MapState[int64, T](s, "tallies")
	return nil
}

func (t *tallier[T]) Process(ctx *stream.Context[string, string], e event) error {
	if e.T == 0 { // tell
		v, _, err := t.value.Get()
		if err != nil {
			return err
		}
		m, ok, err := t.maps.Get(7)
		if m != v || !ok {
			return fmt.Errorf("key %s: %v in the map, %v, %w", e.Key, m, v, err)
		}
		ctx.Emit(fmt.Sprintf("%s %+v", e.Key, v))
		return nil
	}
	err := t.value.Update(func(v *T, _ bool) { t.add(v, e) })
	return errors.Join(err, t.maps.Update(7, func(v *T, _ bool) { t.add(v, e) }))
}

// pausing is a Source that pauses before a position, and calls stop once a checkpoint
// has everything before it.
type pausing struct {
	*enginetest.Source[event]
	at   int
	stop func()
}

func newPausing(events []event, at int, stop func()) *pausing {
	p := &pausing{&enginetest.Source[event]{Chunk: 1, Slices: [][]event{events}}, at, stop}
	p.Hold = func(_, position int) bool { return position == at }
	return p
}

func (p *pausing) Open(ctx context.Context, env connector.Env, split connector.Split, position []byte) (connector.Reader[event], error) {
	r, err := p.Source.Open(ctx, env, split, position)
	return &pausingReader{Reader: r, p: p}, err
}

type pausingReader struct {
	connector.Reader[event]
	p    *pausing
	cuts int // while it pauses
}

// Position is asked for at each barrier, and the second one comes when the first
// checkpoint is complete.
func (r *pausingReader) Position() []byte {
	b := r.Reader.Position()
	if int(binary.BigEndian.Uint64(b)) == r.p.at {
		if r.cuts++; r.cuts == 2 {
			r.p.stop()
		}
	}
	return b
}

// tally runs a version of the program up to an event, or to the end.
func tally[T comparable](t *testing.T, c *enginetest.Cluster, upTo int, sink *enginetest.Sink[string], add func(*T, event), opts ...stream.StateOption) error {
	events := []event{{"a", 1}, {"b", 2}, {"a", 3}, {"a", 4}, {"b", 5}, {"c", 6}, {"c", 7}, {"a", 0}, {"b", 0}, {"c", 0}, {"d", 9}}
	src := newPausing(events, upTo, c.Kill)
	err := c.Run(t.Context(), program(t, func(p *stream.Pipeline) {
		k := stream.KeyBy(stream.From(p, "in", src, stream.UID("in")), func(e event) string { return e.Key })
		s := stream.Process(k, "tally", func() stream.Processor[string, event, string] { return &tallier[T]{add: add, opts: opts} }, stream.UID("tally"))
		stream.To(s, "out", sink, stream.UID("out"))
	}))
	if errors.Is(err, enginetest.ErrKilled) {
		return nil
	}
	return err
}

// TestProgramsEvolve takes a job's state through three versions of its program: fields
// are renamed, grow wider, come and go, and so does a tag and a TTL. A key that no
// version touches in between keeps its values all the same.
func TestProgramsEvolve(t *testing.T) {
	for _, backend := range []string{dataflow.BackendMemory, dataflow.BackendLSM} {
		t.Run(backend, func(t *testing.T) { evolve(t, backend) })
	}
}

func evolve(t *testing.T, backend string) {
	c, sink := enginetest.NewAligned(1, 2), enginetest.NewSink[string]()
	c.Options.State.Backend = backend
	v1 := func(v *tallyV1, e event) { *v = tallyV1{v.N + 1, "note", v.Sum + int32(e.T)} }
	v2 := func(v *tallyV2, e event) { *v = tallyV2{v.Total + e.T, v.N + 1, max(v.Max, e.T)} }
	v3 := func(v *tallyV3, e event) { *v = tallyV3{v.Total + e.T, v.N + 1} }
	for _, step := range []func() error{
		func() error { return tally(t, c, 3, sink, v1) },
		func() error { return tally(t, c, 4, sink, v2) },
		func() error { return tally(t, c, 5, sink, v2, stream.TTL(time.Hour)) },
		func() error { return tally(t, c, 7, sink, v3, stream.TTLOnRead(time.Hour)) },
		func() error { return tally(t, c, -1, sink, v3) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	got := sink.Committed()
	want := []string{"a {Total:8 N:3}", "b {Total:7 N:2}", "c {Total:13 N:2}"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestIncompatibleProgramIsRefused: before anything runs, with the field's name, and the
// version that fits goes on as if nothing had been.
func TestIncompatibleProgramIsRefused(t *testing.T) {
	c, sink := enginetest.NewAligned(1, 1), enginetest.NewSink[string]()
	v1 := func(v *tallyV1, e event) { *v = tallyV1{v.N + 1, "", v.Sum + int32(e.T)} }
	if err := tally(t, c, 7, sink, v1); err != nil {
		t.Fatal(err)
	}
	err := tally(t, c, -1, sink, func(*tallyBad, event) { t.Error("it runs") })
	if !errors.Is(err, state.ErrIncompatible) || !strings.Contains(err.Error(), `operator "tally"`) ||
		!strings.Contains(err.Error(), `state "tally"`) || !strings.Contains(err.Error(), "field N: int32 can't become string") {
		t.Errorf("got %v", err)
	}
	if err := tally(t, c, -1, sink, v1); err != nil {
		t.Fatal(err)
	}
	if n := len(sink.Committed()); n != 3 {
		t.Errorf("%d lines: %q", n, sink.Committed())
	}
}

// TestKeysStayAsTheyAre: a key of another type would find nothing.
func TestKeysStayAsTheyAre(t *testing.T) {
	c, sink := enginetest.NewAligned(1, 1), enginetest.NewSink[int64]()
	run := func(build func(stream.Stream[event]) stream.Stream[int64], upTo int) error {
		src := newPausing([]event{{"a", 1}, {"b", 2}}, upTo, c.Kill)
		return c.Run(t.Context(), program(t, func(p *stream.Pipeline) {
			stream.To(build(stream.From(p, "in", src, stream.UID("in"))), "out", sink, stream.UID("out"))
		}))
	}
	long := func(s stream.Stream[event]) stream.Stream[int64] {
		k := stream.KeyBy(stream.Map(s, "t", eventTime), func(v int64) int64 { return v })
		return stream.Process(k, "sum", func() stream.Processor[int64, int64, int64] { return &summer{} }, stream.UID("sum"))
	}
	text := func(s stream.Stream[event]) stream.Stream[int64] {
		k := stream.KeyBy(stream.Map(s, "t", eventTime), func(v int64) string { return fmt.Sprint(v) })
		return stream.Process(k, "sum", func() stream.Processor[string, int64, int64] { return &textSummer{} }, stream.UID("sum"))
	}
	if err := run(long, 1); !errors.Is(err, enginetest.ErrKilled) {
		t.Fatal(err)
	}
	err := run(text, -1)
	if !errors.Is(err, state.ErrIncompatible) || !strings.Contains(err.Error(), `operator "sum"`) || !strings.Contains(err.Error(), "stored as fixed int64, the program has string") {
		t.Errorf("got %v", err)
	}
}

// textSummer is a summer for keys that are text.
type textSummer struct {
	stream.NoTimers[string, int64]
	sum *stream.Value[int64]
}

func (s *textSummer) Open(set *stream.Setup) error {
	s.sum = stream.ValueState[int64](set, "sum")
	return nil
}

func (s *textSummer) Process(_ *stream.Context[string, int64], v int64) error { return s.sum.Set(v) }
