package streamtest

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/connector/blackhole"
	"github.com/cairnstream/cairn/connector/generator"
	"github.com/cairnstream/cairn/stream"
)

// recorder is a reporter that keeps what it is told; Fatal ends the goroutine.
type recorder struct{ told []string }

func (*recorder) Helper()             {}
func (*recorder) Output() io.Writer   { return io.Discard }
func (r *recorder) Error(args ...any) { r.told = append(r.told, fmt.Sprint(args...)) }
func (r *recorder) Errorf(format string, args ...any) {
	r.told = append(r.told, fmt.Sprintf(format, args...))
}
func (r *recorder) Fatal(args ...any) { r.Error(args...); runtime.Goexit() }
func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// numbers is a job that sends numbers through.
func numbers(p *stream.Pipeline) {
	in := stream.From(p, "in", &generator.Source[int]{}, stream.UID("numbers"))
	timed := stream.From(p, "timed", &generator.Source[int]{}, stream.UID("timed"), stream.TimestampsMillis(func(n int) int64 { return int64(n) }))
	stream.To(stream.Union(in, timed), "out", blackhole.Sink[int]{}, stream.UID("out"))
}

// TestMistakes: a mistake in a test is told with what to do about it.
func TestMistakes(t *testing.T) {
	all := func(j *Job) (*In[int], *Out[int]) {
		Input[int](j, "timed")
		return Input[int](j, "numbers"), Output[int](j, "out")
	}
	for _, c := range []struct {
		name  string
		build func(*stream.Pipeline)
		opts  []Option
		test  func(j *Job)
		want  string
	}{
		{"unknown input", numbers, nil, func(j *Job) { Input[int](j, "nope") },
			`Input "nope": the job has no operator with the UID "nope": there is source "numbers", source "timed"`},
		{"unknown output", numbers, nil, func(j *Job) { Output[int](j, "nope") }, `there is sink "out"`},
		{"unknown keep", numbers, nil, func(j *Job) { j.Keep("nope") }, `there is source "numbers", source "timed", sink "out"`},
		{"type of input", numbers, nil, func(j *Job) { Input[string](j, "numbers") }, `it reads records of type int and not string`},
		{"type of output", numbers, nil, func(j *Job) { Output[string](j, "out") }, `it writes records of type int and not string`},
		{"sink as input", numbers, nil, func(j *Job) { Input[int](j, "out") }, `it is not a source`},
		{"source as output", numbers, nil, func(j *Job) { Output[int](j, "numbers") }, `it is not a sink`},
		{"not replaced", numbers, nil, func(j *Job) { Input[int](j, "numbers").Add(1) },
			`source "timed" has no Input: give it one, or let it run as it is with Keep("timed")`},
		{"no splits", numbers, nil, func(j *Job) { InputSplits[int](j, "numbers", 0) }, `0 splits: use 1 or more`},
		{"no such split", numbers, nil, func(j *Job) { Input[int](j, "numbers").Split(1) }, `there is no split 1: it has 1, from 0`},
		{"too late", numbers, nil, func(j *Job) { in, _ := all(j); in.Add(1); Output[int](j, "out") }, `declare outputs before the first step`},
		{"too late in", numbers, nil, func(j *Job) { in, _ := all(j); in.Add(1); Input[int](j, "numbers") }, `declare inputs before the first step`},
		{"times twice", numbers, nil, func(j *Job) { all(j); Input[int](j, "timed").AddAt(time.Now(), 1) }, `takes event times from its records: use Add`},
		{"back in time", numbers, nil, func(j *Job) { j.Advance(-1) }, `time does not go back`},
		{"no subtasks", numbers, nil, func(j *Job) { j.Rescale(0) }, `Rescale to 0: use 1 or more`},
		{"ended", numbers, nil, func(j *Job) { in, _ := all(j); in.End(); in.Add(1) }, `split 0 of input "numbers" has ended`},
		{"finished", numbers, nil, func(j *Job) { in, _ := all(j); j.Finish(); in.Add(1) }, `step 2, Add to "numbers": the job is over`},
		{"no failure", numbers, nil, func(j *Job) { in, _ := all(j); _ = j.Fails(func() { in.Add(1) }) }, `the job did not fail`},
		{"order", numbers, nil, func(j *Job) { in, out := all(j); in.Add(1, 2); out.Want(2, 1) },
			"output \"out\" after step 1: got 2 records, want 2 in this order\n\tgot: 1\n\tgot: 2\n\twant: 2\n\twant: 1"},
		{"bag", numbers, nil, func(j *Job) { in, out := all(j); in.Add(1, 2, 2); out.WantInAnyOrder(2, 1, 3) },
			"got: 1\n\tgot: 2\n\tgot: 2\n\twant: 2\n\twant: 1\n\twant: 3\n\tmissing: 3\n\ttoo much: 2"},
		{"empty job", func(*stream.Pipeline) {}, nil, func(*Job) {}, "the job can not run:\n"},
		{"panic", func(*stream.Pipeline) { panic("no graph") }, nil, func(*Job) {}, "panic: no graph"},
		{"option", numbers, []Option{Parallelism(-1)}, func(*Job) {}, `parallelism -1: use 1 or more`},
		{"option of processes", numbers, []Option{Processes(-1)}, func(*Job) {}, `processes -1: use 1 or more`},
		{"option of rescales", numbers, []Option{RescaleEverywhere(1, 0)}, func(*Job) {}, `rescale to 0: use 1 or more`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &recorder{}
			done := make(chan struct{})
			go func() {
				defer close(done)
				c.test(newJob(t, r, c.build, c.opts))
			}()
			<-done
			if told := strings.Join(r.told, "\n"); !strings.Contains(told, c.want) {
				t.Errorf("told %q, want %q", told, c.want)
			}
		})
	}
}

// TestBrokenOutput: what a message shows of a long list is bounded.
func TestBrokenOutput(t *testing.T) {
	var b strings.Builder
	list(&b, "got", make([]int, listed+7))
	if n := strings.Count(b.String(), "\n"); n != listed+1 || !strings.Contains(b.String(), "and 7 more") {
		t.Errorf("%d lines: %s", n, &b)
	}
}

// TestPositions: a position that is not one of ours is refused.
func TestPositions(t *testing.T) {
	s := feeds[int]{{name: "split-0"}}
	splits, err := s.Splits(t.Context(), connector.Env{})
	if err != nil || len(splits) != 1 {
		t.Fatalf("splits %v, %v", splits, err)
	}
	if _, err := s.Open(context.Background(), connector.Env{}, splits[0], []byte("short")); err == nil {
		t.Error("a position of 5 bytes is taken")
	}
	splits[0].ID = "other"
	if _, err := s.Open(context.Background(), connector.Env{}, splits[0], nil); err == nil {
		t.Error("an unknown split is opened")
	}
}
