// Command clicks counts clicks per user, for as long as it runs.
package main

import (
	"math/rand/v2"
	"time"

	"github.com/cairnstream/cairn/connector/filesink"
	"github.com/cairnstream/cairn/connector/generator"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/stream"
)

type Count struct{ User, Clicks int64 }

// counter keeps one number per user.
type counter struct {
	stream.NoTimers[int64, Count]
	clicks *stream.Value[int64]
}

func (c *counter) Open(s *stream.Setup) error {
	c.clicks = stream.ValueState[int64](s, "clicks")
	return nil
}

func (c *counter) Process(ctx *stream.Context[int64, Count], user int64) error {
	n, _, err := c.clicks.Get()
	if err != nil {
		return err
	}
	ctx.Emit(Count{user, n + 1})
	return c.clicks.Set(n + 1)
}

func main() {
	stream.Main("clicks", func(p *stream.Pipeline) {
		p.Options(dataflow.Options{CheckpointInterval: time.Second})
		source := &generator.Source[int64]{Make: func(_ int64, r *rand.Rand) int64 { return r.Int64N(100) }, Rate: 1000}
		users := stream.From(p, "users", source, stream.UID("users"))
		byUser := stream.KeyBy(users, func(user int64) int64 { return user })
		counts := stream.Process(byUser, "count", func() stream.Processor[int64, int64, Count] { return &counter{} }, stream.UID("count"))
		stream.To(counts, "out", filesink.JSONLines[Count]("file:///tmp/clicks"), stream.UID("out"))
	})
}
