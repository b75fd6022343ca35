// Command nexmark runs a query of the Nexmark benchmark: package queries has them.
//
//	go run ./examples/nexmark --query q5 --events 1000000     in this process, rows on the standard output
//	cairn job submit ./examples/nexmark -- --query q5 --out s3://…  in a cluster, rows as Parquet
//	cairn bench nexmark --query q5                            measured
package main

import (
	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
	"github.com/cairnstream/cairn/examples/nexmark/queries"
	"github.com/cairnstream/cairn/stream"
)

// config is the job's arguments.
type config struct {
	Query      string  `help:"q0, q1, …: see package queries"`
	Events     int64   `help:"number of events; 0: without end"`
	Seed       int64   `help:"other seed, other events"`
	EventRate  int64   `help:"events in a second of event time"`
	OutOfOrder int64   `help:"size of the groups of events whose order is mixed up"`
	Rate       float64 `help:"events in a second of real time; 0: as fast as possible"`
	Out        string  `help:"bucket or folder for the rows as Parquet, a URL (default: print them)"`
}

func main() {
	stream.MainWith("nexmark", config{Query: "q5", Events: 1_000_000, Seed: 1, EventRate: nexmark.DefaultEventRate, OutOfOrder: 1}, build)
}

func build(p *stream.Pipeline, cfg config) {
	q, err := queries.Find(cfg.Query)
	if err != nil {
		p.Fail(err)
		return
	}
	src := nexmark.Source{
		Generator: nexmark.Generator{Seed: uint64(cfg.Seed), EventRate: cfg.EventRate, OutOfOrder: cfg.OutOfOrder},
		Count:     cfg.Events, Rate: cfg.Rate,
	}
	q.Add(p, src, queries.Outputs{Rows: cfg.Out, Print: cfg.Out == ""})
}
