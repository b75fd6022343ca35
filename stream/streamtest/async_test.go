package streamtest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cairnstream/cairn/connector/blackhole"
	"github.com/cairnstream/cairn/connector/generator"
	"github.com/cairnstream/cairn/stream"
	"github.com/cairnstream/cairn/stream/streamtest"
)

// TestLookups: what a lookup waits for is virtual time, its time-outs and retries too.
func TestLookups(t *testing.T) {
	answer := func(ctx context.Context, d time.Duration) (string, error) {
		select {
		case <-time.After(d):
			return d.String(), nil
		case <-ctx.Done():
			return "", errors.New("no answer")
		}
	}
	build := func(p *stream.Pipeline) {
		in := stream.From(p, "in", &generator.Source[time.Duration]{}, stream.UID("in"))
		found := stream.Async(in, "look", answer, stream.AsyncOptions{Timeout: time.Minute}, stream.UID("look"))
		stream.To(found, "out", blackhole.Sink[string]{}, stream.UID("out"))
	}
	for _, opts := range [][]streamtest.Option{nil, {streamtest.Parallelism(3), streamtest.Processes(2)}} {
		job := streamtest.New(t, build, opts...)
		in, out := streamtest.Input[time.Duration](job, "in"), streamtest.Output[string](job, "out")
		in.Add(20*time.Second, 10*time.Second)
		out.Want()
		job.Advance(10 * time.Second)
		out.Want("10s")
		job.Restart() // asks again
		job.Advance(19 * time.Second)
		out.Want()
		job.Advance(time.Second)
		out.Want("20s")
		if err := job.Fails(func() {
			in.Add(2 * time.Minute)
			job.Advance(time.Minute)
		}); err == nil {
			t.Error("the time-out is no error")
		}
	}
}
