// Package tally is a job whose every line of output tells whether the state behind it is
// exact: keys come round in turn, so that the number of a record alone says how many its
// key has had by then, and what their sum is.
package tally

import (
	"math/rand/v2"
	"time"

	"github.com/cairnstream/cairn/connector/filesink"
	"github.com/cairnstream/cairn/connector/generator"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/stream"
)

const (
	// Keys is how many keys there are. Record n has the key n % Keys.
	Keys = 100_000
	// Splits is how many splits the source has: more than any parallelism of the test. It
	// divides Keys, so that all records of a key come from one split, in order.
	Splits = 16
	// OutUID is the sink's.
	OutUID = "out"
	// rate is a round of all keys in two seconds.
	rate = Keys / 2
)

// Line is what is published of each record.
type Line struct {
	Record int64 `json:"record"`
	N      int64 `json:"n"`               // records of its key up to it
	Sum    int64 `json:"sum"`             // and the sum of their numbers
	Since  int64 `json:"since,omitempty"` // those of them since the state has had a field for it
}

// Exact tells whether N and Sum are what the record's number says.
func (l Line) Exact() bool {
	rounds := l.Record / Keys
	return l.N == rounds+1 && l.Sum == (rounds+1)*(l.Record%Keys)+Keys*rounds*(rounds+1)/2
}

// Config is the job's arguments.
type Config struct {
	Out   string `help:"folder for the lines"`
	Panic bool   `help:"panic at the first record"`
}

// Main runs the job with the state S of each key. add counts a record in it, and returns
// its line.
func Main[S any](add func(*S, int64) Line) {
	stream.MainWith("tally", Config{}, func(p *stream.Pipeline, cfg Config) {
		p.Options(dataflow.Options{CheckpointInterval: 500 * time.Millisecond})
		numbers := &generator.Source[int64]{Make: func(n int64, _ *rand.Rand) int64 { return n }, Rate: rate, Width: Splits}
		byKey := stream.KeyBy(stream.From(p, "numbers", numbers, stream.UID("numbers")), func(n int64) int64 { return n % Keys })
		lines := stream.Process(byKey, "tally", func() stream.Processor[int64, int64, Line] {
			return &keeper[S]{add: add, panics: cfg.Panic}
		}, stream.UID("tally"))
		stream.To(lines, "out", filesink.JSONLines[Line](cfg.Out), stream.UID(OutUID))
	})
}

// keeper keeps an S for each key.
type keeper[S any] struct {
	stream.NoTimers[int64, Line]
	add    func(*S, int64) Line
	panics bool
	state  *stream.Value[S]
}

func (k *keeper[S]) Open(s *stream.Setup) error {
	k.state = stream.ValueState[S](s, "state")
	return nil
}

func (k *keeper[S]) Process(ctx *stream.Context[int64, Line], n int64) error {
	if k.panics {
		panic("no records today")
	}
	return k.state.Update(func(s *S, _ bool) { ctx.Emit(k.add(s, n)) })
}
