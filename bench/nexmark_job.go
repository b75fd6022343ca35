package bench

import (
	"context"
	"time"

	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
	"github.com/cairnstream/cairn/examples/nexmark/queries"
	"github.com/cairnstream/cairn/stream"
)

// QueryJob is the name under which the executable starts itself again as a measured job: a
// hidden command that calls RunQueryJob.
const QueryJob = "__nexmark"

// RunQueryJob is the measured job's program.
func RunQueryJob(ctx context.Context, args []string) error {
	return stream.Run(ctx, "nexmark", args, stream.With(queryJob{}, buildQuery))
}

// queryJob is the arguments of a measured job.
type queryJob struct {
	Query      string
	Events     int64
	Seed       int64
	EventRate  int64
	OutOfOrder int64
	Rate       float64
	Start      int64         // Source.Start
	WarmUp     time.Duration // dueClock.WarmUp
	Tally      string        // URL for the shares
	Rows       string        // URL for the rows; empty: nowhere
}

func (j *queryJob) source() nexmark.Source {
	return nexmark.Source{Generator: j.generator(), Count: j.Events, Rate: j.Rate, Start: j.Start}
}

func (j *queryJob) generator() nexmark.Generator {
	return nexmark.Generator{Seed: uint64(j.Seed), EventRate: j.EventRate, OutOfOrder: j.OutOfOrder}
}

// clock is when the job's events are due.
func (j *queryJob) clock() dueClock {
	c := dueClock{Start: j.Start, Base: nexmark.BaseTime, WarmUp: j.WarmUp}
	if j.Rate > 0 {
		c.Stretch = float64(j.EventRate) / 1000 / j.Rate * float64(time.Second)
		g := j.generator()
		c.End = c.due(g.Time(j.Events - 1))
	}
	return c
}

// buildQuery builds the job.
func buildQuery(p *stream.Pipeline, j queryJob) {
	q, err := queries.Find(j.Query)
	if err != nil {
		p.Fail(err)
		return
	}
	q.Add(p, j.source(), queries.Outputs{Rows: j.Rows, Digests: &tally{url: j.Tally, clock: j.clock()}})
}
