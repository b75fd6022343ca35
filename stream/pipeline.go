package stream

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
)

// Pipeline collects a job's operators. One goroutine uses it, while the job's
// function builds the graph.
type Pipeline struct {
	graph       dataflow.Graph
	operators   map[dataflow.UID]engine.Operator
	edges       []engine.Edge
	parallelism int
	submitted   int // EnvParallelism: wins over parallelism; 0: not given
	problems    []error
	applied     []*settings // of all operators
}

// NewPipeline returns an empty pipeline for a job of that name. Main and Run
// make their own; tests and tools that want only the graph use this.
func NewPipeline(name string) *Pipeline {
	return &Pipeline{
		graph:       dataflow.Graph{Name: name, KeyGroups: dataflow.DefaultKeyGroups},
		operators:   map[dataflow.UID]engine.Operator{},
		parallelism: 1,
	}
}

// Options sets the job's own options, over what was set before. What a submit
// gives wins over them.
func (p *Pipeline) Options(o dataflow.Options) { p.graph.Options = p.graph.Options.Merge(o) }

// Parallelism is the number of subtasks of operators declared from here on that
// do not choose. Default 1. What a submit gives wins over it: see EnvParallelism.
func (p *Pipeline) Parallelism(n int) { p.parallelism = n }

// OverrideParallelism is Parallelism as a submit gives it: it wins over what the job's
// function says, but for operators that choose their own. It comes before the first
// operator. EnvParallelism does it for Main and Run.
func (p *Pipeline) OverrideParallelism(n int) { p.submitted = n }

// override takes EnvParallelism's value; "" changes nothing.
func (p *Pipeline) override(parallelism string) error {
	if parallelism == "" {
		return nil
	}
	n, err := strconv.Atoi(parallelism)
	if err != nil || n < 1 {
		return fmt.Errorf("%w: %s=%s: want a whole number of at least 1", ErrUsage, EnvParallelism, parallelism)
	}
	p.submitted = n
	return nil
}

// KeyGroups sets the number of key groups, the unit in which keyed state is
// spread. It bounds the parallelism and can not be changed once the job has state.
// Default dataflow.DefaultKeyGroups.
func (p *Pipeline) KeyGroups(n int) { p.graph.KeyGroups = n }

// Fail makes the job refuse to start, with err among its problems. A job's
// function uses it for arguments that make no sense together.
func (p *Pipeline) Fail(err error) { p.problems = append(p.problems, err) }

// Program returns what was built, or every problem of it.
func (p *Pipeline) Program() (*engine.Program, error) {
	err := errors.Join(errors.Join(p.problems...), p.unused())
	if err == nil || len(p.graph.Operators) > 0 { // who gave up before the first operator has said why
		err = errors.Join(err, p.graph.Validate())
	}
	if err != nil {
		return nil, err
	}
	prog := &engine.Program{Graph: &p.graph, Operators: p.operators, Edges: p.edges}
	return prog, prog.Check()
}

// unused reports the options that operators were given and do not have.
func (p *Pipeline) unused() error {
	var problems []error
	for _, s := range p.applied {
		if len(s.unused) > 0 {
			problems = append(problems, fmt.Errorf("operator %q: %s is %s: it takes no %v", s.name, s.name, s.kind, s.unused))
		}
	}
	return errors.Join(problems...)
}

// add declares an operator and returns where its outputs come from.
func (p *Pipeline) add(o dataflow.Operator, s *settings, code engine.Operator) dataflow.Operator {
	o.UID = dataflow.UID(s.uid)
	if o.UID == "" {
		o.UID = dataflow.UID(fmt.Sprintf("%s-%d", o.Name, len(p.graph.Operators)+1))
		o.AutoUID = true
	}
	o.Parallelism = cmp.Or(s.parallelism, p.submitted, p.parallelism)
	p.graph.Operators = append(p.graph.Operators, o)
	p.operators[o.UID] = code
	return o
}

// connect declares the edges from everything that s is made of.
func connect[T any](s Stream[T], to dataflow.Operator, part dataflow.Partitioning, code func() engine.Edge) {
	connectInput(s, to, 0, part, code)
}

// connectInput is connect for one of several inputs.
func connectInput[T any](s Stream[T], to dataflow.Operator, input int, part dataflow.Partitioning, code func() engine.Edge) {
	for _, from := range s.origins {
		e := dataflow.Edge{From: from.uid, Output: from.output, To: to.UID, Input: input, Partitioning: part, Type: reflect.TypeFor[T]().String()}
		if part == "" {
			e.Partitioning = s.partitioning(from, to)
		}
		s.p.graph.Edges = append(s.p.graph.Edges, e)
		s.p.edges = append(s.p.edges, code())
	}
}

// problem records what is wrong with an operator.
func (p *Pipeline) problem(name string, err error) {
	if err != nil {
		p.problems = append(p.problems, fmt.Errorf("operator %q: %w", name, err))
	}
}
