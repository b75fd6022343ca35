package dataflow

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Limits of a graph. They bound what one job can cost the control plane; a job
// that needs more is better cut in two.
const (
	operatorsMax   = 1000
	parallelismMax = 32768
	keyGroupsMax   = 32768 // as in Flink: a key group's number fits in 16 bits
	inputsMax      = 2     // what the engine has code for
)

// Operator returns the operator with the uid.
func (g *Graph) Operator(uid UID) (Operator, bool) {
	for _, o := range g.Operators {
		if o.UID == uid {
			return o, true
		}
	}
	return Operator{}, false
}

// Fingerprint is a SHA-256 over everything in the graph that decides where its
// state belongs and how records flow: two processes with equal fingerprints
// build the same subtasks.
func (g *Graph) Fingerprint() string {
	c := *g
	c.Options = Options{} // may differ between a program and what was submitted
	b, err := json.Marshal(c)
	if err != nil { // a Graph holds strings, numbers and flags only
		panic(fmt.Sprintf("dataflow: marshal graph: %v", err))
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Validate reports every problem of the graph at once, each with the operator
// and what to do about it; nil if there is none.
func (g *Graph) Validate() error {
	var v problems
	v.check(len(g.Operators) > 0, "the graph has no operators: add a source and a sink")
	v.check(len(g.Operators) <= operatorsMax, "%d operators: at most %d", len(g.Operators), operatorsMax)
	v.check(g.KeyGroups > 0 && g.KeyGroups <= keyGroupsMax, "%d key groups: use 1 to %d", g.KeyGroups, keyGroupsMax)
	g.validateOperators(&v)
	if g.validateEdges(&v) {
		g.validateShape(&v)
	}
	if err := g.Options.Validate(); err != nil {
		v = append(v, err)
	}
	return errors.Join(v...)
}

type problems []error

func (p *problems) check(ok bool, format string, args ...any) {
	if !ok {
		*p = append(*p, fmt.Errorf(format, args...))
	}
}

func (g *Graph) validateOperators(v *problems) {
	seen := map[UID]string{}
	for i, o := range g.Operators {
		if o.UID == "" {
			v.check(false, "operator %q (number %d) has no uid", o.Name, i+1)
			continue
		}
		if o.Stateful || o.Transactional {
			v.check(!o.AutoUID, "operator %q keeps state and has no uid: give it one that never changes, since state is found by it after an upgrade", o.Name)
		}
		first, twice := seen[o.UID]
		v.check(!twice, "uid %q is used twice, by %q and %q: uids are unique in a job", o.UID, first, o.Name)
		seen[o.UID] = o.Name
		limit := min(parallelismMax, max(g.KeyGroups, 1))
		v.check(o.Parallelism >= 1 && o.Parallelism <= limit, "operator %q: parallelism %d: use 1 to %d (the number of key groups)", o.UID, o.Parallelism, limit)
		switch o.Kind {
		case Source, Transform, Sink:
		default:
			v.check(false, "operator %q: unknown kind %q", o.UID, o.Kind)
		}
		v.check(o.Inputs >= 0 && o.Inputs <= inputsMax && (o.Kind == Transform || o.Inputs <= 1), "operator %q: %d inputs: a transform has 1 to %d, a sink 1 and a source none", o.UID, o.Inputs, inputsMax)
		v.check(!o.Transactional || o.Kind == Sink, "operator %q: only a sink can be transactional", o.UID)
	}
}

// validateEdges tells whether all edges have both ends, so that the shape can
// be looked at.
func (g *Graph) validateEdges(v *problems) bool {
	whole := true
	for _, e := range g.Edges {
		from, okFrom := g.Operator(e.From)
		to, okTo := g.Operator(e.To)
		v.check(okFrom, "edge %q -> %q: no operator %q", e.From, e.To, e.From)
		v.check(okTo, "edge %q -> %q: no operator %q", e.From, e.To, e.To)
		if !okFrom || !okTo {
			whole = false
			continue
		}
		v.check(from.Kind != Sink, "edge %q -> %q: a sink has no output", e.From, e.To)
		v.check(to.Kind != Source, "edge %q -> %q: a source has no input", e.From, e.To)
		v.check(e.Input >= 0 && e.Output >= 0, "edge %q -> %q: negative input or output", e.From, e.To)
		v.check(to.Kind == Source || e.Input < to.InputCount(), "edge %q -> %q: there is no input %d: the operator has %d", e.From, e.To, e.Input, to.InputCount())
		switch e.Partitioning {
		case Hash, Rebalance, Broadcast:
		case Forward:
			v.check(from.Parallelism == to.Parallelism, "edge %q -> %q: forward needs equal parallelism, not %d and %d: use rebalance", e.From, e.To, from.Parallelism, to.Parallelism)
		default:
			v.check(false, "edge %q -> %q: unknown partitioning %q", e.From, e.To, e.Partitioning)
		}
	}
	return whole
}

func (g *Graph) validateShape(v *problems) {
	type input struct {
		of UID
		i  int
	}
	in := map[input]int{}
	for _, e := range g.Edges {
		in[input{e.To, e.Input}]++
	}
	sources := 0
	for _, o := range g.Operators {
		switch o.Kind {
		case Source:
			sources++
		default:
			for i := range o.InputCount() {
				v.check(in[input{o.UID, i}] > 0, "operator %q has no input%s", o.UID, ordinal(i, o.InputCount()))
			}
		}
	}
	v.check(sources > 0, "the graph has no source")
	if cycle := g.cycle(); cycle != nil {
		names := make([]string, len(cycle))
		for i, u := range cycle {
			names[i] = string(u)
		}
		v.check(false, "the graph has a cycle: %s: barriers would never get through; cut it, for instance with a queue outside the job", strings.Join(names, " -> "))
	}
}

// ordinal says which input of several is meant.
func ordinal(i, of int) string {
	if of == 1 {
		return ""
	}
	return fmt.Sprintf(" number %d of %d", i, of)
}

// cycle returns the operators of one cycle, first and last alike, or nil.
func (g *Graph) cycle() []UID {
	const (
		unseen = iota
		onPath
		done
	)
	state := map[UID]int{}
	var path []UID
	var visit func(UID) []UID
	visit = func(u UID) []UID {
		switch state[u] {
		case done:
			return nil
		case onPath:
			for i, p := range path {
				if p == u {
					return append(append([]UID(nil), path[i:]...), u)
				}
			}
		}
		state[u] = onPath
		path = append(path, u)
		for _, e := range g.Edges {
			if e.From == u {
				if c := visit(e.To); c != nil {
					return c
				}
			}
		}
		path = path[:len(path)-1]
		state[u] = done
		return nil
	}
	for _, o := range g.Operators {
		if c := visit(o.UID); c != nil {
			return c
		}
	}
	return nil
}
