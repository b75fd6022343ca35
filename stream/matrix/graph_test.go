package matrix

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/cairnstream/cairn/dataflow"
)

// rec is a record. All streams carry it, so that any two of them can meet.
type rec struct {
	Key  int
	N    int    // its number on its path
	Path uint64 // the way that it has gone: records of one path and key stay in order
	Time int64  // Unix milliseconds
	Free bool   // its order is not fixed
}

// kind says what a node does.
type kind int

const (
	source   kind = iota
	mapped        // gives another key, drops some
	split         // odd numbers to the side output
	side          // that side output
	one           // gets all records in all subtasks and lets each through once
	count         // numbers the records of a key
	ticks         // a timer for each 20 ms in which a key has a record
	window        // counts a key's records in windows of 15 ms
	pairs         // joins two streams in windows of 10 ms
	near          // joins records within 3 ms
	both          // numbers the records of two streams by key
	rules         // a keyed stream, and one that all subtasks get
	sinkNode      // commits exactly once
	lastKind
)

var kindNames = [lastKind]string{"source", "map", "split", "side", "one", "count", "ticks", "window", "pairs", "near", "both", "rules", "sink"}

// Times of event time, in milliseconds.
const (
	tickSize   = 20
	windowSize = 15
	pairSize   = 10
	nearBy     = 3
)

// keys is how many keys there are, keyGroups how many groups they fall into.
const (
	keys      = 12
	keyGroups = 16
)

// groupsOf is how many sets of operators a graph has that share a parallelism.
const groupsOf = 3

// node is an operator of a random graph.
type node struct {
	id   int
	kind kind
	in   [2][]int // the nodes that its inputs come from
	// part is how stateless operators get their records: forward from nodes of the same
	// group only, so that it is forward in every attempt.
	part  dataflow.Partitioning
	group int
	free  bool          // the order of its input is not fixed
	slow  time.Duration // of virtual time, now and then

	slices [][]rec // a source's
	out    []rec   // what comes out of it in all, in no particular order
	extra  []rec   // what a node counts, which has a sink of its own
}

// graph is a random job. Nodes come after their inputs.
type graph struct {
	nodes []*node
	r     *rand.Rand
	open  []int // nodes whose output nobody has taken yet
}

// sizeMax bounds the records that a node may give.
const sizeMax = 3000

// inputsMax is the most that some operator has for sure.
const inputsMax = 3

// newGraph makes a graph in which some operator has so many inputs.
func newGraph(r *rand.Rand, inputs int) *graph {
	g := &graph{r: r}
	for range inputs {
		g.add(&node{kind: source, group: r.IntN(groupsOf)})
	}
	first := &node{kind: []kind{mapped, count, ticks, window}[r.IntN(4)], group: r.IntN(groupsOf)}
	first.in[0] = slices.Clone(g.open)
	g.try(first)
	for range 1 + r.IntN(4) {
		g.grow()
	}
	for _, id := range slices.Clone(g.open) {
		g.finish(id)
	}
	for _, n := range g.nodes {
		if r.IntN(4) == 0 {
			n.slow = time.Duration(1+r.IntN(12)) * time.Millisecond
		}
	}
	return g
}

// grow adds a random operator.
func (g *graph) grow() {
	k := []kind{mapped, mapped, split, one, count, count, ticks, window, pairs, near, both, rules}[g.r.IntN(12)]
	n := &node{kind: k, group: g.r.IntN(groupsOf)}
	n.in[0] = g.pick(1 + g.r.IntN(3))
	switch k {
	case pairs, near, both, rules:
		n.in[1] = g.pick(1 + g.r.IntN(2))
	}
	if g.try(n) && k == split {
		g.add(&node{kind: side, group: n.group, in: [2][]int{{n.id}}})
	}
}

// pick returns up to n different nodes to read from. Some of them are read by others too.
func (g *graph) pick(n int) []int {
	from := slices.Clone(g.open)
	for _, other := range g.nodes {
		if other.kind != sinkNode && g.r.IntN(8) == 0 && !slices.Contains(from, other.id) {
			from = append(from, other.id)
		}
	}
	g.r.Shuffle(len(from), func(i, j int) { from[i], from[j] = from[j], from[i] })
	from = from[:min(n, len(from))]
	slices.Sort(from)
	return from
}

// try adds a node unless it would give too many records.
func (g *graph) try(n *node) bool {
	n.id = len(g.nodes)
	g.connect(n)
	g.evaluate(n)
	if len(n.out) > sizeMax {
		return false
	}
	g.add(n)
	return true
}

// add gives a node its number and its data.
func (g *graph) add(n *node) {
	n.id = len(g.nodes)
	if n.kind == source {
		g.fill(n)
	}
	g.connect(n)
	g.evaluate(n)
	g.nodes = append(g.nodes, n)
	g.open = slices.DeleteFunc(g.open, func(id int) bool {
		return n.kind != side && (slices.Contains(n.in[0], id) || slices.Contains(n.in[1], id))
	})
	if n.kind != sinkNode {
		g.open = append(g.open, n.id)
	}
}

// connect decides how a node's records come to it, and whether they come in order.
func (g *graph) connect(n *node) {
	same := true
	for _, id := range slices.Concat(n.in[0], n.in[1]) {
		from := g.nodes[id]
		n.free = n.free || from.free
		same = same && from.group == n.group
	}
	switch n.kind {
	case source, side:
	case mapped, split, sinkNode:
		if n.part = dataflow.Forward; !same || g.r.IntN(3) == 0 {
			n.part, n.free = dataflow.Rebalance, true
		}
	case one:
		n.part, n.free = dataflow.Broadcast, true
	case ticks, window, pairs, near, rules:
		n.part, n.free = dataflow.Hash, true
	default:
		n.part = dataflow.Hash
	}
}

// finish gives a node a sink.
func (g *graph) finish(id int) {
	n := &node{kind: sinkNode, group: g.nodes[id].group}
	if g.r.IntN(2) == 0 {
		n.group = g.r.IntN(groupsOf)
	}
	n.in[0] = []int{id}
	g.add(n)
}

// fill makes a source's data: event time grows in each split.
func (g *graph) fill(n *node) {
	for s := range 1 + g.r.IntN(4) {
		var slice []rec
		now := int64(0)
		for i := range g.r.IntN(250) {
			now += int64(g.r.IntN(4))
			slice = append(slice, rec{Key: g.r.IntN(keys), N: i, Path: mix(0, n.id, s), Time: now})
		}
		n.slices = append(n.slices, slice)
	}
}

// String is the graph, one node a line.
func (g *graph) String() string {
	var b strings.Builder
	for _, n := range g.nodes {
		fmt.Fprintf(&b, "  %d %s", n.id, kindNames[n.kind])
		if n.part != "" {
			fmt.Fprintf(&b, " %s of %v", n.part, n.in[0])
		}
		if len(n.in[1]) > 0 {
			fmt.Fprintf(&b, " and %v", n.in[1])
		}
		fmt.Fprintf(&b, ", group %d", n.group)
		if n.kind == source {
			fmt.Fprintf(&b, ", %d splits", len(n.slices))
		}
		if n.slow > 0 {
			fmt.Fprintf(&b, ", slow by %v", n.slow)
		}
		fmt.Fprintf(&b, ", gives %d\n", len(n.out))
	}
	return b.String()
}
