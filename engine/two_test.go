package engine

import (
	"strings"
	"testing"

	"github.com/cairnstream/cairn/dataflow"
)

// twoInputs is a program in which operator "join" has two inputs of different types.
func twoInputs(join Operator, parts ...dataflow.Partitioning) *Program {
	p := &Program{
		Graph: &dataflow.Graph{
			Name: "two", KeyGroups: 4,
			Operators: []dataflow.Operator{
				{UID: "rows", Kind: dataflow.Source, Parallelism: 2},
				{UID: "numbers", Kind: dataflow.Source, Parallelism: 1},
				{UID: "join", Kind: dataflow.Transform, Parallelism: 2, Inputs: 2},
			},
			Edges: []dataflow.Edge{
				{From: "rows", To: "join", Input: 0, Partitioning: parts[0]},
				{From: "numbers", To: "join", Input: 1, Partitioning: parts[1]},
			},
		},
		Operators: map[dataflow.UID]Operator{
			"rows": NewSource[row](nil, SourceOptions[row]{}), "numbers": NewSource[int](nil, SourceOptions[int]{}), "join": join,
		},
	}
	edges := []Edge{NewEdge[row](), NewEdge[int]()}
	if parts[0] == dataflow.Hash {
		edges[0] = NewHashEdge("int64", func() func([]byte, row) []byte { return nil })
	}
	if parts[1] == dataflow.Hash {
		edges[1] = NewHashEdge("string", func() func([]byte, int) []byte { return nil })
	}
	p.Edges = edges
	return p
}

func openNothing(*OpContext) (Transform2[row, int], error) { return nil, nil }

func TestCheckOfTwoInputs(t *testing.T) {
	for name, c := range map[string]struct {
		p    *Program
		want string // "" is no error
	}{
		"any partitioning":      {twoInputs(NewTransform2(openNothing), dataflow.Rebalance, dataflow.Broadcast), ""},
		"broadcast":             {twoInputs(NewKeyedWithBroadcast("int64", openNothing), dataflow.Hash, dataflow.Broadcast), ""},
		"broadcast not sent so": {twoInputs(NewKeyedWithBroadcast("int64", openNothing), dataflow.Hash, dataflow.Rebalance), `edge "numbers" -> "join": input 1 needs broadcast partitioning, not rebalance`},
		"keyed not by hash":     {twoInputs(NewKeyedTransform2("int64", openNothing), dataflow.Rebalance, dataflow.Hash), `edge "rows" -> "join": input 0 needs hash partitioning`},
		"two types of keys":     {twoInputs(NewKeyedTransform2("int64", openNothing), dataflow.Hash, dataflow.Hash), `edge "numbers" -> "join": it goes by a key of string`},
		"code for one input": {twoInputs(NewTransform(func(*OpContext) (Transform[row], error) { return nil, nil }), dataflow.Rebalance, dataflow.Rebalance),
			`operator "join": the graph gives it 2 inputs and its code has 1`},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.p.Check()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestTargetOfInput: each input takes its own type, and a node with one has no other.
func TestTargetOfInput(t *testing.T) {
	two := NewTransform2(openNothing).node()
	if _, err := targetOf[row](two, 0); err != nil {
		t.Error(err)
	}
	if _, err := targetOf[int](two, 1); err != nil {
		t.Error(err)
	}
	if _, err := targetOf[int](two, 0); err == nil || !strings.Contains(err.Error(), "no records of type int") {
		t.Errorf("numbers into input 0: %v", err)
	}
	if _, err := targetOf[int](two, 2); err == nil || !strings.Contains(err.Error(), "no input 2") {
		t.Errorf("input 2: %v", err)
	}
	one := NewTransform(func(*OpContext) (Transform[row], error) { return nil, nil }).node()
	if _, err := targetOf[row](one, 1); err == nil || !strings.Contains(err.Error(), "no input 1") {
		t.Errorf("input 1 of one: %v", err)
	}
}
