package streamtest_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/connector/generator"
	"github.com/cairnstream/cairn/connector/print"
	"github.com/cairnstream/cairn/stream"
	"github.com/cairnstream/cairn/stream/streamtest"
)

// Count is how often a word has come.
type Count struct {
	Word string
	N    int
}

// tally counts a word. A minute of processing time after its first record it says so
// once more, with a question mark.
type tally struct{ n *stream.Value[int] }

func (c *tally) Open(s *stream.Setup) error {
	c.n = stream.ValueState[int](s, "n")
	return nil
}

func (c *tally) Process(ctx *stream.Context[string, Count], word string) error {
	if word == "bad" {
		panic("a bad word")
	}
	n, _, err := c.n.Get()
	if err != nil {
		return err
	}
	if n == 0 {
		ctx.SetProcessingTimer(ctx.ProcessingTime()+time.Minute.Milliseconds(), "ask")
	}
	ctx.Emit(Count{word, n + 1})
	return c.n.Set(n + 1)
}

func (c *tally) OnTimer(ctx *stream.Context[string, Count], _ stream.Timer) error {
	n, _, err := c.n.Get()
	ctx.Emit(Count{ctx.Key() + "?", n})
	return err
}

// Words counts words.
func Words(p *stream.Pipeline) {
	endless := &generator.Source[string]{Rate: 1000, Make: func(int64, *rand.Rand) string { return "generated" }}
	lines := stream.From(p, "lines", endless, stream.UID("lines"))
	words := stream.FlatMap(lines, "split", func(l string, emit func(string)) {
		for _, w := range strings.Fields(l) {
			emit(w)
		}
	})
	counts := stream.Process(stream.KeyBy(words, func(w string) string { return w }), "count",
		func() stream.Processor[string, string, Count] { return &tally{} }, stream.UID("count"))
	stream.To(counts, "out", print.Sink[Count](), stream.UID("out"))
}

// TestWords is a test as an author writes it, in every way.
func TestWords(t *testing.T) {
	streamtest.EveryWay(t, func(t *testing.T, way streamtest.Option) {
		job := streamtest.New(t, Words, way)
		lines := streamtest.Input[string](job, "lines")
		out := streamtest.Output[Count](job, "out")

		lines.Add("to be", "or not")
		out.WantInAnyOrder(Count{"to", 1}, Count{"be", 1}, Count{"or", 1}, Count{"not", 1})
		job.Restart()
		lines.Add("to")
		out.Want(Count{"to", 2})
		job.Advance(59 * time.Second)
		out.Want()
		job.Advance(time.Second)
		out.WantInAnyOrder(Count{"to?", 2}, Count{"be?", 1}, Count{"or?", 1}, Count{"not?", 1})
		job.Rescale(2)
		lines.Add("be")
		job.Finish()
		out.Want(Count{"be", 2})
	})
}
