package dataflow

import "fmt"

// Plan is a graph cut into vertices: chains of operators that run as one
// subtask each, without a hand-over between them.
type Plan struct {
	Vertices []Vertex
	Edges    []PlanEdge
}

// Vertex is a chain. Operators begins with the head, the only one with inputs
// from elsewhere, and lists the rest in topological order; a chain may branch.
type Vertex struct {
	ID          int
	Operators   []UID
	Parallelism int
}

// PlanEdge is an edge between two vertices. Index numbers the plan's edges;
// Edge is its place in Graph.Edges.
type PlanEdge struct {
	Index        int
	From, To     int // vertices
	Edge         int
	Partitioning Partitioning
}

// Plan cuts the graph, which must be valid. It is deterministic: every process
// of an attempt makes the same plan.
//
// Two operators share a vertex if the edge between them is the only input of the
// second, is a forward edge, and does not forbid it: then the second runs on the
// first one's goroutine, and a record costs no hand-over (Flink's operator chaining).
func (g *Graph) Plan() (*Plan, error) {
	order, err := g.topological()
	if err != nil {
		return nil, err
	}
	inputs := map[UID][]Edge{}
	for _, e := range g.Edges {
		inputs[e.To] = append(inputs[e.To], e)
	}
	p := &Plan{}
	vertex := map[UID]int{}
	for _, o := range order {
		if in := inputs[o.UID]; len(in) == 1 && in[0].Partitioning == Forward && !in[0].NoChain {
			id := vertex[in[0].From]
			vertex[o.UID] = id
			p.Vertices[id].Operators = append(p.Vertices[id].Operators, o.UID)
			continue
		}
		vertex[o.UID] = len(p.Vertices)
		p.Vertices = append(p.Vertices, Vertex{ID: len(p.Vertices), Operators: []UID{o.UID}, Parallelism: o.Parallelism})
	}
	for i, e := range g.Edges {
		if from, to := vertex[e.From], vertex[e.To]; from != to {
			p.Edges = append(p.Edges, PlanEdge{Index: len(p.Edges), From: from, To: to, Edge: i, Partitioning: e.Partitioning})
		}
	}
	return p, nil
}

// topological orders the operators so that each comes after its inputs, and
// otherwise as they were declared.
func (g *Graph) topological() ([]Operator, error) {
	var order []Operator
	placed := map[UID]bool{}
	for len(order) < len(g.Operators) {
		before := len(order)
		for _, o := range g.Operators {
			if !placed[o.UID] && g.inputsPlaced(o.UID, placed) {
				placed[o.UID] = true
				order = append(order, o)
			}
		}
		if len(order) == before {
			return nil, fmt.Errorf("plan graph %q: it has a cycle", g.Name)
		}
	}
	return order, nil
}

func (g *Graph) inputsPlaced(uid UID, placed map[UID]bool) bool {
	for _, e := range g.Edges {
		if e.To == uid && !placed[e.From] {
			return false
		}
	}
	return true
}

// Tasks lists all subtasks, by vertex and then by number.
func (p *Plan) Tasks() []TaskID {
	var tasks []TaskID
	for _, v := range p.Vertices {
		for i := range v.Parallelism {
			tasks = append(tasks, TaskID{Vertex: v.ID, Subtask: i})
		}
	}
	return tasks
}

// VertexOf returns the vertex that holds the operator, or -1.
func (p *Plan) VertexOf(uid UID) int {
	for _, v := range p.Vertices {
		for _, o := range v.Operators {
			if o == uid {
				return v.ID
			}
		}
	}
	return -1
}

// Slots is how many slots a job needs: its largest parallelism, since a slot
// holds one subtask of every vertex (Flink's slot sharing).
func (p *Plan) Slots() int {
	n := 0
	for _, v := range p.Vertices {
		n = max(n, v.Parallelism)
	}
	return n
}
