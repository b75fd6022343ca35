package stream_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/stream"
)

// stopped is a job that was stopped at a checkpoint.
type stopped struct {
	cluster *enginetest.Cluster
	sink    *enginetest.Sink[string]
}

// version builds what stands between the source and the sink of one version of a job.
type version func(p *stream.Pipeline, in stream.Stream[event]) stream.Stream[string]

// program builds a version whose source has the uid in and stops at an event; -1: nowhere.
func (s *stopped) program(t *testing.T, in string, upTo int, v version) *engine.Program {
	t.Helper()
	events := []event{{"a", 1}, {"b", 2}, {"a", 3}, {"c", 4}, {"a", 5}, {"b", 6}, {"c", 7}}
	return program(t, func(p *stream.Pipeline) {
		src := stream.From(p, "in", newPausing(events, upTo, s.cluster.Kill), stream.UID(in), stream.Parallelism(1),
			stream.Timestamps(func(e event) time.Time { return time.UnixMilli(e.T) }), stream.Monotonic())
		stream.To(v(p, src), "out", s.sink, stream.UID("out"), stream.Parallelism(1))
	})
}

// stop runs a version up to its fifth event.
func stop(t *testing.T, v version) *stopped {
	t.Helper()
	s := &stopped{enginetest.NewAligned(1, 2), enginetest.NewSink[string]()}
	if err := s.cluster.Run(t.Context(), s.program(t, "in", 4, v)); !errors.Is(err, enginetest.ErrKilled) {
		t.Fatal(err)
	}
	r := *s.cluster.Restore()
	r.KeyGroups = 16
	s.cluster.RestoreFrom(&r)
	return s
}

// match matches a program with the checkpoint.
func (s *stopped) match(t *testing.T, p *engine.Program, allow bool) *engine.Match {
	t.Helper()
	m, err := engine.MatchRestore(p, s.cluster.Restore(), engine.MatchOptions{AllowNonRestored: allow})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// matchLines are a match as text: "uid outcome [state kind outcome]...".
func matchLines(m *engine.Match) []string {
	var all []string
	for _, o := range m.Operators {
		line := fmt.Sprintf("%s %d>%d %s", o.UID, o.Before, o.Now, o.Outcome)
		for _, s := range o.States {
			if s.Kind == "timers" {
				continue // every operator with keys has them
			}
			line += fmt.Sprintf(" [%s %s %s]", s.Name, s.Kind, s.Outcome)
		}
		all = append(all, line)
	}
	return all
}

// tallying is a version of the tallier's job.
func tallying[T comparable](uid string, add func(*T, event), opts ...stream.Option) version {
	return func(_ *stream.Pipeline, in stream.Stream[event]) stream.Stream[string] {
		k := stream.KeyBy(in, func(e event) string { return e.Key })
		return stream.Process(k, "tally", func() stream.Processor[string, event, string] { return &tallier[T]{add: add} },
			append(opts, stream.UID(uid))...)
	}
}

func addV1(v *tallyV1, e event)   { *v = tallyV1{v.N + 1, "", v.Sum + int32(e.T)} }
func addV2(v *tallyV2, e event)   { *v = tallyV2{v.Total + e.T, v.N + 1, 0} }
func addBad(v *tallyBad, _ event) { v.N += "x" }

// otherKey tallies by a key of another type.
func otherKey(_ *stream.Pipeline, in stream.Stream[event]) stream.Stream[string] {
	k := stream.KeyBy(in, func(e event) int64 { return e.T })
	return stream.Process(k, "tally", func() stream.Processor[int64, event, string] { return &longKeyed{} }, stream.UID("tally"))
}

type longKeyed struct{ stream.NoTimers[int64, string] }

func (*longKeyed) Open(s *stream.Setup) error { stream.ValueState[tallyV1](s, "tally"); return nil }
func (*longKeyed) Process(*stream.Context[int64, string], event) error {
	return nil
}

// stateless keeps nothing under the tallier's uid.
func stateless(_ *stream.Pipeline, in stream.Stream[event]) stream.Stream[string] {
	return stream.Map(in, "tally", func(e event) string { return e.Key }, stream.UID("tally"))
}

// inWindows counts in windows of a size.
func inWindows(size time.Duration) version {
	return func(_ *stream.Pipeline, in stream.Stream[event]) stream.Stream[string] {
		k := stream.KeyBy(in, func(e event) string { return e.Key })
		w := stream.Window(k, "count", stream.Tumbling(size), count(), stream.UID("count"))
		return stream.Map(w, "line", func(r stream.WindowResult[string, int]) string { return fmt.Sprint(r.Key, r.Value) })
	}
}

// TestMatch: what a plan says of each operator and state, and that a restore is refused in the
// plan's words, or goes.
func TestMatch(t *testing.T) {
	tally1 := tallying("tally", addV1)
	for _, c := range []struct {
		name      string
		from, to  version
		source    string // uid; "in" if it is empty
		keyGroups int    // of the checkpoint; 16 if it is 0
		refusals  []string
		is        error
		want      []string // some of the lines
		allowed   bool     // it can be restored with AllowNonRestored
	}{
		{name: "the same", from: tally1, to: tally1, want: []string{
			"in 1>1 restored [splits source positions restored]",
			"tally 1>1 restored [tally value restored] [tallies map restored]",
			"out 1>1 restored",
		}},
		{name: "fields changed, another parallelism", from: tally1, to: tallying("tally", addV2, stream.Parallelism(3)), want: []string{
			"tally 1>3 restored [tally value restored] [tallies map restored]",
		}},
		{name: "a type that can't become", from: tally1, to: tallying("tally", addBad), is: state.ErrIncompatible, refusals: []string{
			`operator "tally": state "tally": state incompatible: types are incompatible: field N: int32 can't become string (stored as`,
			`operator "tally": state "tallies": state incompatible: types are incompatible: field N: int32 can't become string (stored as`,
		}, want: []string{"tally 1>1 restored [tally value incompatible] [tallies map incompatible]"}},
		{name: "a changed uid", from: tally1, to: tallying("count", addV1), is: engine.ErrUnknownUID, allowed: true, refusals: []string{
			`state of an unknown operator: "tally": give the operator its old uid again, or allow that its state is dropped (--allow-non-restored-state)`,
		}, want: []string{"count 0>1 new [tally value new] [tallies map new]", "tally 1>0 dropped [tally value dropped] [tallies map dropped]"}},
		{name: "an operator less", from: tally1, to: func(_ *stream.Pipeline, in stream.Stream[event]) stream.Stream[string] {
			return stream.Map(in, "key", func(e event) string { return e.Key })
		}, is: engine.ErrUnknownUID, allowed: true, refusals: []string{`state of an unknown operator: "tally": `},
			want: []string{"tally 1>0 dropped [tally value dropped] [tallies map dropped]"}},
		{name: "another source", from: tally1, to: tally1, source: "other", is: engine.ErrUnknownUID, allowed: true,
			refusals: []string{`state of an unknown operator: "in": `}, want: []string{"other 0>1 new", "in 1>0 dropped [splits source positions dropped]"}},
		{name: "key groups", from: tally1, to: tally1, keyGroups: 128,
			refusals: []string{"it has 128 key groups and the program 16: they can not be changed"}},
		{name: "keys of another type", from: tally1, to: otherKey, is: state.ErrIncompatible,
			refusals: []string{`operator "tally": key: state incompatible: stored as string, the program has fixed int64; keys can not be changed`},
			want:     []string{"tally 1>1 incompatible [tally value restored]"}},
		{name: "state under a stateless operator's uid", from: tally1, to: stateless, is: state.ErrIncompatible, allowed: true,
			refusals: []string{`operator "tally": state incompatible: it kept state by key, and keeps none any more: give it another uid`},
			want:     []string{"tally 1>1 restored [all of it keyed dropped]"}},
		{name: "a source under another operator's uid", from: tally1, to: tallying("other", addV1), source: "tally", is: state.ErrIncompatible, allowed: true,
			refusals: []string{`operator "tally": state incompatible: it kept state by key, and keeps none any more: give it another uid`, `state of an unknown operator: "in": `}},
		{name: "windows cut otherwise", from: inWindows(time.Second), to: inWindows(2 * time.Second), is: state.ErrIncompatible,
			refusals: []string{`operator "count": state incompatible: the state is of windows of 1s every 1s, and the job now has windows of 2s every 2s: `}},
		{name: "the same windows", from: inWindows(time.Second), to: inWindows(time.Second)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := stop(t, c.from)
			if c.keyGroups != 0 {
				s.cluster.Restore().KeyGroups = c.keyGroups
			}
			if c.source == "" {
				c.source = "in"
			}
			p := s.program(t, c.source, -1, c.to)
			m := s.match(t, p, false)
			got := matchLines(m)
			for _, want := range c.want {
				if !slices.Contains(got, want) {
					t.Errorf("no line %q in\n%s", want, strings.Join(got, "\n"))
				}
			}
			if len(m.Refusals) != len(c.refusals) {
				t.Errorf("refusals %q, want %q", m.Refusals, c.refusals)
			}
			for i, want := range c.refusals[:min(len(c.refusals), len(m.Refusals))] {
				if !strings.HasPrefix(m.Refusals[i], want) {
					t.Errorf("refusal %q, want %q", m.Refusals[i], want)
				}
			}
			err := m.Refusal()
			if (err != nil) != (len(c.refusals) > 0) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("refusal %v, want one that is %v", err, c.is)
			}
			s.restores(t, p, m, c.allowed)
		})
	}
}

// restores tells whether a restore goes as its match says, in the same words.
func (s *stopped) restores(t *testing.T, p *engine.Program, m *engine.Match, allowed bool) {
	t.Helper()
	err := s.cluster.Run(t.Context(), p)
	if len(m.Refusals) == 0 {
		if err != nil {
			t.Errorf("restore: %v", err)
		}
		return
	}
	if err == nil || !slices.ContainsFunc(m.Refusals, func(text string) bool { return strings.Contains(err.Error(), text) }) {
		t.Errorf("restore: %v, want words of %q", err, m.Refusals)
	}
	s.cluster.Restore().AllowNonRestored = true
	if loose := s.match(t, p, true).Refusal(); (loose == nil) != allowed {
		t.Errorf("with state let go: %v", loose)
	}
	if err := s.cluster.Run(t.Context(), p); (err == nil) != allowed {
		t.Errorf("restore with state let go: %v", err)
	}
}

// late asks for a state only when a record has come.
type late struct {
	stream.NoTimers[string, string]
	setup *stream.Setup
	open  error
}

func (l *late) Open(s *stream.Setup) error { l.setup = s; return l.open }

func (l *late) Process(ctx *stream.Context[string, string], e event) error {
	stream.ValueState[tallyV1](l.setup, "tally")
	ctx.Emit(e.Key)
	return nil
}

// TestMatchTellsWhatItDoesNotKnow: states that an operator may ask for later, and an operator that
// can't be opened here.
func TestMatchTellsWhatItDoesNotKnow(t *testing.T) {
	s := stop(t, tallying("tally", addV1))
	lazily := func(open error) version {
		return func(_ *stream.Pipeline, in stream.Stream[event]) stream.Stream[string] {
			k := stream.KeyBy(in, func(e event) string { return e.Key })
			return stream.Process(k, "late", func() stream.Processor[string, event, string] { return &late{open: open} }, stream.UID("tally"))
		}
	}
	m := s.match(t, s.program(t, "in", -1, lazily(nil)), false)
	if want := "tally 1>1 restored [tally value kept] [tallies map kept]"; !slices.Contains(matchLines(m), want) || m.Refusal() != nil {
		t.Errorf("asked for later: %q, %v", matchLines(m), m.Refusal())
	}
	m = s.match(t, s.program(t, "in", -1, lazily(errors.New("no database here"))), false)
	if want := "tally 1>1 restored [tally value unknown] [tallies map unknown]"; !slices.Contains(matchLines(m), want) || m.Refusal() != nil {
		t.Errorf("not opened: %q, %v", matchLines(m), m.Refusal())
	}
	if why := m.Operators[1].Why; !strings.Contains(why, "no database here") {
		t.Errorf("not opened: %q", why)
	}
}

// TestMatchFromTheBeginning: without a checkpoint all is new.
func TestMatchFromTheBeginning(t *testing.T) {
	s := stop(t, tallying("tally", addV1))
	s.cluster.RestoreFrom(nil)
	m := s.match(t, s.program(t, "in", -1, tallying("tally", addV1)), false)
	want := []string{"in 0>1 new", "tally 0>1 new [tally value new] [tallies map new]", "out 0>1 new"}
	if got := matchLines(m); !slices.Equal(got, want) || m.Refusal() != nil {
		t.Errorf("got %q, want %q", got, want)
	}
}
