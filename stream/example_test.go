package stream_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// word is a word with the number of times that it has come so far.
type word struct {
	Text string
	N    int64
}

// wordCounter counts the words of each text in keyed state.
type wordCounter struct {
	stream.NoTimers[string, word]
	n *stream.Value[int64]
}

func (c *wordCounter) Open(s *stream.Setup) error {
	c.n = stream.ValueState[int64](s, "n")
	return nil
}

func (c *wordCounter) Process(ctx *stream.Context[string, word], text string) error {
	n, _, err := c.n.Get()
	if err != nil {
		return err
	}
	ctx.Emit(word{text, n + 1})
	return c.n.Set(n + 1)
}

// A job that counts words. Its main function would be stream.Main("words", words).
func Example() {
	lines := &enginetest.Source[string]{Slices: [][]string{{"to be or not", "to be"}}}
	sink := enginetest.NewSink[word]()
	words := func(p *stream.Pipeline) {
		text := stream.From(p, "lines", lines, stream.UID("lines"))
		split := stream.FlatMap(text, "split", func(line string, emit func(string)) {
			for _, w := range strings.Fields(line) {
				emit(w)
			}
		})
		byWord := stream.KeyBy(split, func(w string) string { return w })
		counts := stream.Process(byWord, "count", func() stream.Processor[string, string, word] { return &wordCounter{} }, stream.UID("count"))
		stream.To(counts, "out", sink, stream.UID("out"))
	}
	dir, err := os.MkdirTemp("", "words")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	build := func(p *stream.Pipeline, _ []string) error { words(p); return nil }
	if err := stream.Run(context.Background(), "words", []string{"--cairn.dir=" + dir}, build); err != nil {
		fmt.Println(err)
	}
	out := sink.Committed()
	slices.SortFunc(out, func(a, b word) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	fmt.Println(out)
	// Output: [{be 1} {be 2} {not 1} {or 1} {to 1} {to 2}]
}
