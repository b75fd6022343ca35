// Command cycle claims to be a job whose operators feed each other in a circle.
// The SDK can not build such a graph, so this program writes its plan by hand.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/stream"
)

var graph = dataflow.Graph{
	Name:      "cycle",
	KeyGroups: 128,
	Operators: []dataflow.Operator{
		{UID: "source", Name: "source", Kind: dataflow.Source, Stateful: true, Parallelism: 1},
		{UID: "left", Name: "left", Kind: dataflow.Transform, Parallelism: 1},
		{UID: "right", Name: "right", Kind: dataflow.Transform, Parallelism: 1},
	},
	Edges: []dataflow.Edge{
		{From: "source", To: "left", Partitioning: dataflow.Forward, Type: "int"},
		{From: "left", To: "right", Partitioning: dataflow.Forward, Type: "int"},
		{From: "right", To: "left", Partitioning: dataflow.Forward, Type: "int"},
	},
}

func main() {
	if err := writePlan(os.Getenv(stream.EnvPlan)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func writePlan(path string) error {
	data, err := json.Marshal(graph)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}
