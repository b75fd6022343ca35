// Package answers computes what the queries must answer by plain loops over all events,
// without the SDK: so that a measurement can tell in the same run whether it has measured
// the right thing. It shares the rows' types and their digests with package queries and nothing
// else. It is no proof, since the same people wrote both; the proof is SQL over exported events.
package answers

import (
	"fmt"

	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
	"github.com/cairnstream/cairn/examples/nexmark/queries"
)

// Answer is what a query's rows must add up to.
type Answer struct {
	// Rows is how many there are; negative: that depends on when the query runs.
	Rows int64
	// Sum is that of their digests, modulo 2^64.
	Sum uint64
}

func (a *Answer) add(r queries.Row) {
	a.Rows++
	a.Sum += r.Digest().Sum
}

// Of computes the answer of a query over the first events of a generator. It takes about
// as long as the query.
func Of(query string, g nexmark.Generator, events int64) (Answer, error) {
	plain, ok := loops[query]
	if !ok {
		return Answer{}, fmt.Errorf("answer of query %q: there is none", query)
	}
	a := plain(&input{g, events})
	return a, nil
}

var loops = map[string]func(*input) Answer{
	"q0": q0, "q1": q1, "q2": q2, "q3": q3, "q4": q4, "q5": q5, "q7": q7, "q8": q8, "q11": q11, "q12": q12, "q13": q13, "q22": q22,
}

// input is the events.
type input struct {
	generator nexmark.Generator
	count     int64
}

// each calls f with every event, in order of time. The event is good until f returns.
func (in *input) each(f func(e *nexmark.Event)) {
	var e nexmark.Event
	for n := range in.count {
		in.generator.Event(n, &e)
		f(&e)
	}
}

// bids calls f with every bid.
func (in *input) bids(f func(b *nexmark.Bid)) {
	in.each(func(e *nexmark.Event) {
		if e.Kind == nexmark.KindBid {
			f(&e.Bid)
		}
	})
}
