package main

import (
	"testing"
	"time"

	"github.com/cairnstream/cairn/connector/blackhole"
	"github.com/cairnstream/cairn/connector/files"
	"github.com/cairnstream/cairn/stream"
	"github.com/cairnstream/cairn/stream/streamtest"
)

const day = 24 * 60 * 60 * 1000

// quiet tells of users who have been silent for a day.
type quiet struct{ last *stream.Value[int64] }

func (q *quiet) Open(s *stream.Setup) error {
	q.last = stream.ValueState[int64](s, "last")
	return nil
}

func (q *quiet) Process(ctx *stream.Context[string, string], v View) error {
	last, ok, err := q.last.Get()
	if err != nil {
		return err
	}
	if ok {
		ctx.DeleteTimer(last+day, "silent")
	}
	ctx.SetTimer(ctx.Time()+day, "silent")
	return q.last.Set(ctx.Time())
}

func (q *quiet) OnTimer(ctx *stream.Context[string, string], _ stream.Timer) error {
	ctx.Emit(ctx.Key())
	return nil
}

// TestQuiet is the test of the operator in docs/writing-jobs.md.
func TestQuiet(t *testing.T) {
	build := func(p *stream.Pipeline) {
		views := stream.From(p, "views", files.JSONLines[View](""), stream.UID("views"), stream.Timestamps(func(v View) time.Time { return v.At }))
		byUser := stream.KeyBy(views, func(v View) string { return v.User })
		silent := stream.Process(byUser, "quiet", func() stream.Processor[string, View, string] { return &quiet{} }, stream.UID("quiet"))
		stream.To(silent, "silent", blackhole.Sink[string]{}, stream.UID("silent"))
	}
	streamtest.EveryWay(t, func(t *testing.T, way streamtest.Option) {
		job := streamtest.New(t, build, way)
		views, silent := streamtest.Input[View](job, "views"), streamtest.Output[string](job, "silent")
		views.Add(View{User: "ann", At: at("10:00:00")}, View{User: "bob", At: at("11:00:00")}, View{User: "ann", At: at("12:00:00")})
		views.Watermark(at("11:00:00").Add(24 * time.Hour))
		silent.Want("bob")
		views.Watermark(at("12:00:00").Add(24 * time.Hour))
		silent.Want("ann")
	})
}
