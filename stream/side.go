package stream

import (
	"errors"
	"fmt"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
)

// Side is a side output: what an operator sends besides its results, of a type of
// its own. It is declared once, for all jobs and subtasks; code that emits to it opens
// it, and SideTo says which stream it is. What goes to a side output that nobody
// chose with SideTo is dropped.
//
//	var large = stream.NewSide[Order]("large")
//
//	func (c *check) Open(s *stream.Setup) error {
//		c.large = stream.OpenSide(s, large)
//		return nil
//	}
//	...
//	c.large.Emit(order)
//	...
//	var audit stream.Stream[Order]
//	checked := stream.Process(orders, "check", newCheck, stream.UID("check"), stream.SideTo(large, &audit))
type Side[T any] struct{ name string }

// NewSide declares a side output. The name is for errors.
func NewSide[T any](name string) *Side[T] { return &Side[T]{name} }

// SideTo sets *to to the stream of what an operator emits to the side output. It is
// for operators whose code gets a Setup: Process, Apply, CoProcess and WithBroadcast.
func SideTo[T any](side *Side[T], to *Stream[T]) Option {
	return func(s *settings) {
		c := sideChoice{side: side}
		if side != nil {
			c.name = side.name
			c.connect = func(p *Pipeline, o dataflow.Operator, output int) { *to = newStream[T](p, o, output) }
		}
		s.sides = append(s.sides, c)
		s.unused = append(s.unused, "SideTo")
	}
}

// sideChoice is a SideTo.
type sideChoice struct {
	side    any // *Side[T]
	name    string
	connect func(p *Pipeline, o dataflow.Operator, output int)
}

// The outputs of a transform after its results.
const (
	poisonOutput = 2 // 1 is the operator's own
	firstSide    = 3 // the others follow, in the order of the options
)

// connectSides makes the streams of an operator's side outputs.
func (s *settings) connectSides(p *Pipeline, o dataflow.Operator) {
	s.use("SideTo")
	for i, c := range s.sides {
		switch {
		case c.connect == nil:
			p.problem(o.Name, errors.New("SideTo has no side output: make it with NewSide"))
		case s.sideOf(c.side) != firstSide+i:
			p.problem(o.Name, fmt.Errorf("SideTo is there twice for side output %q: use its stream twice", c.name))
		default:
			c.connect(p, o, firstSide+i)
		}
	}
}

// sideOf is the number of a side output among the operator's outputs; 0 if nobody
// chose it.
func (s *settings) sideOf(side any) int {
	for i, c := range s.sides {
		if c.side == side {
			return firstSide + i
		}
	}
	return 0
}

// withSides lets an operator's code open the side outputs of its options. now is
// the event time of the record or timer at hand; it may be set to another one later.
func (s *Setup) withSides(set *settings, now *int64) { s.sides, s.now = set, now }

// SideOutput emits to a side output.
type SideOutput[T any] struct {
	out   *engine.Output[T] // nil: nobody wants it
	setup *Setup            // knows the time
}

// OpenSide opens a side output for an operator's code, like a state. A problem makes
// the opening fail; there is no need to check here.
func OpenSide[T any](s *Setup, side *Side[T]) *SideOutput[T] {
	switch {
	case side == nil:
		s.fail(errors.New("side output: it is nil: make it with NewSide"))
	case s.sides == nil:
		s.fail(fmt.Errorf("side output %q: the operator has none", side.name))
	default:
		if i := s.sides.sideOf(side); i > 0 {
			return &SideOutput[T]{engine.OutputOf[T](s.ctx, i), s}
		}
	}
	return &SideOutput[T]{}
}

// Emit sends a record with the event time of the one that is being handled.
func (o *SideOutput[T]) Emit(v T) {
	if o.out != nil {
		o.out.Emit(v, *o.setup.now)
	}
}

// EmitAt sends a record with another event time, in Unix milliseconds.
func (o *SideOutput[T]) EmitAt(v T, at int64) {
	if o.out != nil {
		o.out.Emit(v, at)
	}
}
