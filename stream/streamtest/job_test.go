package streamtest_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/connector/blackhole"
	"github.com/cairnstream/cairn/connector/generator"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/stream"
	"github.com/cairnstream/cairn/stream/streamtest"
)

// TestCrash: without a checkpoint the input is read again, and the output is what it is
// without the crash.
func TestCrash(t *testing.T) {
	job := streamtest.New(t, Words)
	lines, out := streamtest.Input[string](job, "lines"), streamtest.Output[Count](job, "out")
	lines.Add("a")
	job.Checkpoint()
	lines.Add("a b")
	lines.Add("a")
	job.Crash()
	out.Want(Count{"a", 1}, Count{"a", 2}, Count{"b", 1}, Count{"a", 3})
	job.Crash()
	out.Want(Count{"a", 2}, Count{"b", 1}, Count{"a", 3}) // was not committed
	job.Restart()
	job.Crash()
	out.Want()
}

// TestFails: a job's failure can be looked at, with the operator and the cause.
func TestFails(t *testing.T) {
	job := streamtest.New(t, Words)
	lines, out := streamtest.Input[string](job, "lines"), streamtest.Output[Count](job, "out")
	lines.Add("good")
	err := job.Fails(func() {
		lines.Add("bad")
		job.Advance(time.Hour) // of a job that is over
	})
	var op *engine.OperatorError
	var p *engine.PanicError
	if !errors.As(err, &op) || op.UID != "count" || !errors.As(err, &p) || p.Value != "a bad word" {
		t.Errorf("the job failed with %v, want the panic of operator count", err)
	}
	out.Want(Count{"good", 1})
}

// forgetful numbers records in a field, which no checkpoint has.
type forgetful struct {
	stream.NoTimers[string, Count]
	n int
}

func (f *forgetful) Open(*stream.Setup) error { return nil }

func (f *forgetful) Process(ctx *stream.Context[string, Count], word string) error {
	f.n++
	ctx.Emit(Count{word, f.n})
	return nil
}

// TestRestartFindsForgottenState: what a job keeps outside of its state is lost by a restart,
// and only by that.
func TestRestartFindsForgottenState(t *testing.T) {
	build := func(p *stream.Pipeline) {
		in := stream.From(p, "in", &generator.Source[string]{}, stream.UID("in"))
		counts := stream.Process(stream.KeyBy(in, func(w string) string { return w }), "count",
			func() stream.Processor[string, string, Count] { return &forgetful{} }, stream.UID("count"))
		stream.To(counts, "out", blackhole.Sink[Count]{}, stream.UID("out"))
	}
	for want, opts := range map[int][]streamtest.Option{2: nil, 1: {streamtest.RestartEverywhere()}} {
		job := streamtest.New(t, build, opts...)
		in, out := streamtest.Input[string](job, "in"), streamtest.Output[Count](job, "out")
		in.Add("a")
		in.Add("a")
		out.Want(Count{"a", 1}, Count{"a", want})
	}
}

// TestKept: a source that is kept follows the virtual clock.
func TestKept(t *testing.T) {
	type config struct{ Rate float64 }
	job := streamtest.NewWith(t, config{Rate: 10}, func(p *stream.Pipeline, c config) {
		src := &generator.Source[int64]{Rate: c.Rate, Count: 1000, Make: func(n int64, _ *rand.Rand) int64 { return n }}
		in := stream.From(p, "in", src, stream.UID("in"))
		stream.To(stream.Filter(in, "tens", func(n int64) bool { return n%10 == 0 }), "out", blackhole.Sink[int64]{}, stream.UID("out"))
	})
	out := streamtest.Output[int64](job, "out")
	job.Keep("in")
	start := job.Now()
	job.Advance(2050 * time.Millisecond)
	out.Want(0, 10, 20)
	if d := job.Now().Sub(start); d != 2050*time.Millisecond {
		t.Errorf("time moved by %v", d)
	}
	job.Restart()
	job.Finish() // waits for the source
	if got := out.Take(); len(got) != 97 || got[96] != 990 {
		t.Errorf("%d records after the first three, want 97: %v", len(got), got)
	}
}

// TestManyRestarts compares a job that is restarted at random, with other parallelisms, with
// a plain count.
func TestManyRestarts(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	job := streamtest.New(t, Words, streamtest.Processes(2))
	lines, out := streamtest.InputSplits[string](job, "lines", 3), streamtest.Output[Count](job, "out")
	counts := map[string]int{}
	for range 150 {
		switch r.IntN(5) {
		case 0:
			job.Rescale(1 + r.IntN(4))
		case 1:
			job.Restart()
			job.Crash()
		default:
			var words []string
			var want []Count
			for range 1 + r.IntN(5) {
				w := string(rune('a' + r.IntN(8)))
				counts[w]++
				words, want = append(words, w), append(want, Count{w, counts[w]})
			}
			lines.Split(r.IntN(3)).Add(strings.Join(words, " "))
			out.WantInAnyOrder(want...)
		}
	}
	job.Finish()
	out.Want()
}
