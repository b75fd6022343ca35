// Package queries has the queries of the Nexmark benchmark as programs in the SDK.
//
// Each query is a function in a file of its own: from the stream of events to the
// stream of its results, with the SQL that it stands for above it. They are meant to
// be read: together they show most of what package stream has. What they have in
// common: a query takes from an event the few fields that it needs before anything is
// sent on, so that what crosses the network, and what state holds, is small and flat.
//
//	q0        all bids: what the machinery costs       FlatMap
//	q1        prices in another currency               FlatMap
//	q2        bids for some auctions                   FlatMap
//	q3        who sells in some states                 Join
//	q4        average closing price of a category      CoProcess, Process
//	q5        auctions with the most bids              sliding windows, in two steps
//	q7        the highest bids                         tumbling windows, in two steps
//	q8        new people who sell at once              WindowJoin
//	q11       bids of a person without a long pause    session windows
//	q12       bids of a person, by the clock           timers of processing time
//	q13       bids with what a table says              Apply with a table in memory
//	q22       the parts of a bid's address             FlatMap
//
// A query's table of results, its rows, is a struct: its fields are the columns, as their
// parquet tags name them. Times are Unix milliseconds, prices cents.
package queries

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/connector/filesink"
	"github.com/cairnstream/cairn/connector/print"
	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
	"github.com/cairnstream/cairn/stream"
)

// Query is one of the queries.
type Query struct {
	Name  string // q0
	About string
	build func(events stream.Stream[nexmark.Event], to Outputs)
}

// All are the queries, in their order.
var All = []Query{
	query("q0", "all bids", Q0),
	query("q1", "all bids, their prices in another currency", Q1),
	query("q2", "bids for every 123rd auction", Q2),
	query("q3", "who sells things of one category in some states", Q3),
	query("q4", "the average closing price of each category, again and again", Q4),
	query("q5", "the auctions with the most bids in 10 seconds, every 2 seconds", Q5),
	query("q7", "the highest bids of every 10 seconds", Q7),
	query("q8", "who comes and sells in the same 10 seconds", Q8),
	query("q11", "bids of each bidder between pauses of 10 seconds", Q11),
	query("q12", "bids of each bidder in every 10 seconds of the clock", Q12),
	query("q13", "all bids, each with what a table says of its auction", Q13),
	query("q22", "all bids, with the parts of their addresses", Q22),
}

// query is a query whose rows are of type T.
func query[T Row](name, about string, from func(stream.Stream[nexmark.Event]) stream.Stream[T]) Query {
	return Query{name, about, func(events stream.Stream[nexmark.Event], to Outputs) { write(from(events), to) }}
}

// Find returns the query of a name; the error lists those that there are.
func Find(name string) (Query, error) {
	var names []string
	for _, q := range All {
		if q.Name == name {
			return q, nil
		}
		names = append(names, q.Name)
	}
	return Query{}, fmt.Errorf("query %q: use one of %s", name, strings.Join(names, ", "))
}

// Outputs are where a query's rows go; to all of those that are given.
type Outputs struct {
	// Rows is the URL of a bucket or folder for Parquet files: exactly once.
	Rows string
	// Digests gets a digest of every row: for those who only want to know that the rows are right.
	Digests connector.Sink[Digest]
	// Print writes the rows to the standard output.
	Print bool
}

// The uids of the operators that all queries have.
const (
	EventsUID  = "events"
	RowsUID    = "rows"
	DigestsUID = "digests"
)

// Add adds the query to a pipeline.
func (q Query) Add(p *stream.Pipeline, src nexmark.Source, to Outputs) {
	order := stream.Monotonic()
	if src.OutOfOrder > 1 {
		order = stream.BoundedOutOfOrderness(disorder(src.Generator))
	}
	q.build(stream.From(p, "events", src, stream.UID(EventsUID), order), to)
}

// disorder is how far event time goes back: a group of mixed events.
func disorder(g nexmark.Generator) time.Duration {
	first, last := g, g
	first.OutOfOrder, last.OutOfOrder = 1, 1
	return time.Duration(last.Time(g.OutOfOrder)-first.Time(0)+1) * time.Millisecond
}

// write sends rows to their outputs.
func write[T Row](rows stream.Stream[T], to Outputs) {
	if to.Rows != "" {
		stream.To(rows, "rows", filesink.Parquet[T](to.Rows), stream.UID(RowsUID))
	}
	if to.Digests != nil {
		digests := stream.Map(rows, "digest", T.Digest)
		stream.To(digests, "digests", to.Digests, stream.UID(DigestsUID))
	}
	if to.Print {
		stream.To(rows, "print", print.Sink[T]())
	}
}

// Names are the names of all queries.
func Names() []string {
	var names []string
	for q := range slices.Values(All) {
		names = append(names, q.Name)
	}
	return names
}
