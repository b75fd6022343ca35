package dataflow

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// flights is a graph with a chain, a hash edge, a side output and two sinks.
func flights() *Graph {
	return &Graph{
		Name: "flights", KeyGroups: DefaultKeyGroups,
		Operators: []Operator{
			{UID: "read", Name: "read", Kind: Source, Stateful: true, Parallelism: 2},
			{UID: "parse", Name: "parse", Kind: Transform, AutoUID: true, Parallelism: 2},
			{UID: "count", Name: "count", Kind: Transform, Stateful: true, Parallelism: 4},
			{UID: "out", Name: "out", Kind: Sink, Transactional: true, Parallelism: 4},
			{UID: "bad", Name: "bad", Kind: Sink, Parallelism: 1},
		},
		Edges: []Edge{
			{From: "read", To: "parse", Partitioning: Forward},
			{From: "parse", To: "count", Partitioning: Hash},
			{From: "count", To: "out", Partitioning: Forward},
			{From: "read", Output: 1, To: "bad", Partitioning: Rebalance},
		},
	}
}

func TestPlanChainsForwardEdges(t *testing.T) {
	g := flights()
	if err := g.Validate(); err != nil {
		t.Fatal(err)
	}
	p, err := g.Plan()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range p.Vertices {
		var names []string
		for _, u := range v.Operators {
			names = append(names, string(u))
		}
		got = append(got, strings.Join(names, "+"))
	}
	if want := "read+parse count+out bad"; strings.Join(got, " ") != want {
		t.Errorf("vertices %q, want %q", got, want)
	}
	if len(p.Edges) != 2 || p.Slots() != 4 || len(p.Tasks()) != 7 {
		t.Errorf("edges %v, slots %d, tasks %v", p.Edges, p.Slots(), p.Tasks())
	}
	if p.VertexOf("out") != 1 || p.VertexOf("nobody") != -1 {
		t.Errorf("VertexOf: out in %d, nobody in %d", p.VertexOf("out"), p.VertexOf("nobody"))
	}
}

// TestPlanDoesNotChainTwoInputs: an operator with two inputs is the head of its chain,
// though both come forward.
func TestPlanDoesNotChainTwoInputs(t *testing.T) {
	g := flights()
	g.Operators = append(g.Operators, Operator{UID: "join", Kind: Transform, Inputs: 2, Parallelism: 2}, Operator{UID: "joined", Kind: Sink, Parallelism: 2})
	g.Edges = append(g.Edges,
		Edge{From: "read", To: "join", Partitioning: Forward}, Edge{From: "parse", To: "join", Input: 1, Partitioning: Forward},
		Edge{From: "join", To: "joined", Partitioning: Forward})
	if err := g.Validate(); err != nil {
		t.Fatal(err)
	}
	p, err := g.Plan()
	if err != nil {
		t.Fatal(err)
	}
	if v := p.Vertices[p.VertexOf("join")]; v.Operators[0] != "join" || len(v.Operators) != 2 {
		t.Errorf("the join's vertex is %v, want join+joined", v.Operators)
	}
}

func TestValidateNamesEveryProblem(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*Graph)
		want  []string
	}{
		"no uid on a stateful operator": {func(g *Graph) { g.Operators[2].AutoUID = true }, []string{`"count" keeps state and has no uid`}},
		"uid used twice":                {func(g *Graph) { g.Operators[1].UID = "read" }, []string{`uid "read" is used twice`}},
		"cycle": {func(g *Graph) {
			g.Edges = append(g.Edges, Edge{From: "count", To: "parse", Partitioning: Rebalance})
		}, []string{"cycle: parse -> count -> parse"}},
		"unknown end":           {func(g *Graph) { g.Edges[1].To = "nowhere" }, []string{`no operator "nowhere"`}},
		"unequal forward":       {func(g *Graph) { g.Operators[1].Parallelism = 3 }, []string{"forward needs equal parallelism, not 2 and 3"}},
		"too parallel":          {func(g *Graph) { g.KeyGroups = 3 }, []string{`"count": parallelism 4`, `"out": parallelism 4`}},
		"output of a sink":      {func(g *Graph) { g.Edges = append(g.Edges, Edge{From: "bad", To: "parse", Partitioning: Hash}) }, []string{"a sink has no output"}},
		"no input":              {func(g *Graph) { g.Edges = g.Edges[:3] }, []string{`"bad" has no input`}},
		"bad option":            {func(g *Graph) { g.Options.CheckpointInterval = time.Microsecond }, []string{"checkpoint_interval 1µs"}},
		"transactional map":     {func(g *Graph) { g.Operators[2].Transactional = true }, []string{"only a sink can be transactional"}},
		"input without an edge": {func(g *Graph) { g.Operators[2].Inputs = 2 }, []string{`"count" has no input number 1 of 2`}},
		"edge to no input":      {func(g *Graph) { g.Edges[1].Input = 1 }, []string{`edge "parse" -> "count": there is no input 1: the operator has 1`, `"count" has no input`}},
		"inputs of a sink":      {func(g *Graph) { g.Operators[4].Inputs = 2 }, []string{`"bad": 2 inputs`}},
		"several at one time":   {func(g *Graph) { g.KeyGroups = 0; g.Operators[0].UID = "" }, []string{"0 key groups", "has no uid"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := flights()
			c.spoil(g)
			err := g.Validate()
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error does not say %q:\n%v", w, err)
				}
			}
		})
	}
}

func TestPlanRefusesCycle(t *testing.T) {
	g := flights()
	g.Edges = append(g.Edges, Edge{From: "count", To: "parse", Partitioning: Rebalance})
	if p, err := g.Plan(); err == nil {
		t.Fatalf("planned %v", p)
	}
}

func TestFingerprintSeesTheGraphAndNotItsOptions(t *testing.T) {
	g, h := flights(), flights()
	h.Options.Retained = 7
	if g.Fingerprint() != h.Fingerprint() {
		t.Error("options change the fingerprint")
	}
	h.Operators[0].Parallelism = 3
	if g.Fingerprint() == h.Fingerprint() {
		t.Error("parallelism does not change the fingerprint")
	}
}

// TestKeyGroupsAreCovered: each group belongs to exactly the subtask whose
// range holds it, at any parallelism.
func TestKeyGroupsAreCovered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		groups := rapid.IntRange(1, 2000).Draw(t, "groups")
		parallelism := rapid.IntRange(1, groups).Draw(t, "parallelism")
		next := 0
		for s := range parallelism {
			lo, hi := GroupRange(groups, parallelism, s)
			if lo != next || hi < lo {
				t.Fatalf("subtask %d has %d..%d, want to begin at %d", s, lo, hi, next)
			}
			for g := lo; g <= hi; g++ {
				if SubtaskOf(g, groups, parallelism) != s {
					t.Fatalf("group %d is in the range of %d and belongs to %d", g, s, SubtaskOf(g, groups, parallelism))
				}
			}
			next = hi + 1
		}
		if next != groups {
			t.Fatalf("%d groups covered of %d", next, groups)
		}
		if g := KeyGroup(rapid.Uint64().Draw(t, "hash"), groups); g < 0 || g >= groups {
			t.Fatalf("key group %d of %d", g, groups)
		}
	})
}

func TestOptionsMergeAndDefaults(t *testing.T) {
	o := Options{Retained: 5, Restart: RestartStrategy{Max: time.Hour}}.Merge(Options{CheckpointInterval: time.Second, Restart: RestartStrategy{Initial: time.Minute}}).WithDefaults()
	if o.Retained != 5 || o.CheckpointInterval != time.Second || o.Restart.Initial != time.Minute || o.Restart.Max != time.Hour || o.Restart.Multiplier != 1.5 || o.BatchRows != 1024 {
		t.Errorf("merged %+v", o)
	}
	if err := o.Validate(); err != nil {
		t.Error(err)
	}
	if err := (Options{Retained: -1, BatchRows: -1, Restart: RestartStrategy{Initial: 2, Max: 1}}).Validate(); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("want three problems, got: %v", err)
	}
}

func TestCheckJobName(t *testing.T) {
	for name, ok := range map[string]bool{"flights": true, "a": true, "a-1": true, "": false, "-a": false, "a-": false, "A": false, "a_b": false, strings.Repeat("x", 49): false} {
		if err := CheckJobName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}
