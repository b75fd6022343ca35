// Command counter counts for ever and, on demand, does what a job should not.
package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/cairnstream/cairn/connector/blackhole"
	"github.com/cairnstream/cairn/connector/generator"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/stream"
)

type config struct {
	Parallelism int    `help:"subtasks of the counting operator; 0: what the submit says"`
	NoUID       bool   `flag:"no-uid" help:"leave out the UID of the operator with state"`
	PanicAt     int64  `help:"panic at this record"`
	FailAt      int64  `help:"return an error at this record"`
	ExitIf      string `help:"end the process as soon as this file exists"`
	PanicPlan   bool   `help:"panic while the graph is built"`
}

// counter keeps how many records each key has had.
type counter struct {
	stream.NoTimers[int64, int64]
	cfg   config
	count *stream.Value[int64]
}

func (c *counter) Open(s *stream.Setup) error {
	c.count = stream.ValueState[int64](s, "count")
	return nil
}

func (c *counter) Process(ctx *stream.Context[int64, int64], n int64) error {
	if _, err := os.Stat(c.cfg.ExitIf); err == nil {
		os.Exit(3)
	}
	if c.cfg.PanicAt > 0 && n == c.cfg.PanicAt {
		panic(fmt.Sprintf("record %d is one too many", n))
	}
	if c.cfg.FailAt > 0 && n == c.cfg.FailAt {
		return fmt.Errorf("record %d is refused", n)
	}
	count, _, err := c.count.Get()
	if err != nil {
		return err
	}
	ctx.Emit(count + 1)
	return c.count.Set(count + 1)
}

func main() {
	stream.MainWith("counter", config{}, func(p *stream.Pipeline, cfg config) {
		if cfg.PanicPlan {
			panic("no graph today")
		}
		p.Options(dataflow.Options{CheckpointInterval: 200 * time.Millisecond})
		numbers := &generator.Source[int64]{Make: func(n int64, _ *rand.Rand) int64 { return n }, Rate: 2000, Width: 4}
		byKey := stream.KeyBy(stream.From(p, "numbers", numbers, stream.UID("numbers")), func(n int64) int64 { return n % 100 })
		counts := stream.Process(byKey, "count", func() stream.Processor[int64, int64, int64] { return &counter{cfg: cfg} }, countOptions(cfg)...)
		stream.To(counts, "nowhere", blackhole.Sink[int64]{}, stream.UID("nowhere"))
	})
}

func countOptions(cfg config) []stream.Option {
	var options []stream.Option
	if !cfg.NoUID {
		options = append(options, stream.UID("count"))
	}
	if cfg.Parallelism > 0 {
		options = append(options, stream.Parallelism(cfg.Parallelism))
	}
	return options
}
