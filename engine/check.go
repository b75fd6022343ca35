package engine

import (
	"errors"
	"fmt"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/dataflow"
)

// Check reports operators and edges of the graph without fitting code, inputs that get
// their records in another way than the operator needs, and records that could not
// travel between two processes.
func (p *Program) Check() error {
	var problems []error
	for _, o := range p.Graph.Operators {
		problems = append(problems, p.checkOperator(o))
	}
	if len(p.Edges) != len(p.Graph.Edges) {
		problems = append(problems, fmt.Errorf("%d edges have code for %d of them", len(p.Graph.Edges), len(p.Edges)))
	}
	for i, e := range p.Edges[:min(len(p.Edges), len(p.Graph.Edges))] {
		g := p.Graph.Edges[i]
		if err := e.check(); err != nil && (g.Partitioning != dataflow.Forward || g.NoChain) {
			problems = append(problems, fmt.Errorf("edge %q -> %q: %w", g.From, g.To, err))
		}
		if e.hashed() != (g.Partitioning == dataflow.Hash) {
			problems = append(problems, fmt.Errorf("edge %q -> %q: its code is not for %s partitioning", g.From, g.To, g.Partitioning))
		}
		if code := p.Operators[g.To]; code != nil {
			problems = append(problems, checkInput(g, e, code))
		}
	}
	return errors.Join(problems...)
}

func (p *Program) checkOperator(o dataflow.Operator) error {
	code := p.Operators[o.UID]
	if code == nil {
		return fmt.Errorf("operator %q has no code", o.UID)
	}
	if inputs := len(inputsOf(code)); o.Kind != dataflow.Source && o.InputCount() != inputs {
		return fmt.Errorf("operator %q: the graph gives it %d inputs and its code has %d", o.UID, o.InputCount(), inputs)
	}
	return nil
}

// checkInput tells why records that come over an edge would be in the wrong subtask.
func checkInput(g dataflow.Edge, e Edge, to Operator) error {
	inputs := inputsOf(to)
	if g.Input >= len(inputs) {
		return nil // Graph.Validate and checkOperator tell
	}
	want := inputs[g.Input]
	if want != "" && g.Partitioning != want {
		return fmt.Errorf("edge %q -> %q: input %d needs %s partitioning, not %s", g.From, g.To, g.Input, want, g.Partitioning)
	}
	if want == dataflow.Hash && e.keySchema() != to.keySchema() && !codec.Identical(e.keySchema(), to.keySchema()) {
		return fmt.Errorf("edge %q -> %q: it goes by a key of %s and the operator's state by one of %s", g.From, g.To, e.keySchema(), to.keySchema())
	}
	return nil
}

// inputsOf says how the records of each of an operator's inputs must be spread; ""
// leaves it open.
func inputsOf(o Operator) []dataflow.Partitioning {
	if m, ok := o.(interface {
		inputs() []dataflow.Partitioning
	}); ok {
		return m.inputs()
	}
	if o.keyed() {
		return []dataflow.Partitioning{dataflow.Hash}
	}
	return []dataflow.Partitioning{""}
}
