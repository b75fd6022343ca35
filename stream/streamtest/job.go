package streamtest

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/stream"
)

var (
	// errStuck is returned when a step does not come to rest.
	errStuck = errors.New("the job does not come to rest")
	// errOver is returned by a step of a job that has finished or failed.
	errOver = errors.New("the job is over")
)

// Job is a job under test. The test's goroutine uses it.
type Job struct {
	t      reporter
	build  func(*stream.Pipeline)
	set    settings
	bubble *bubble
	bucket objectstore.Bucket

	program *engine.Program // the first one: it tells what there is
	inputs  map[dataflow.UID]replacement
	outputs map[dataflow.UID]replacement
	kept    map[dataflow.UID]bool

	attempt  dataflow.Attempt
	last     dataflow.CheckpointID
	restore  *engine.Restore
	running  *running // nil before the first step, and when the job is over
	failure  error    // why it is over
	over     bool
	expected bool // Fails waits for a failure
	steps    int
}

// reporter is what is used of a testing.T once the job is made.
type reporter interface {
	Helper()
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Output() io.Writer
}

// replacement takes the place of an operator's code.
type replacement interface {
	// put replaces the operator's code in a program.
	put(p *engine.Program) error
	// end ends an input.
	end()
	// checkpoint and crash are told when the job takes a checkpoint and goes back to it.
	checkpoint()
	crash()
}

// New returns a job that is built by the function that its main function gives to
// stream.Main. It starts with the first step.
func New(t *testing.T, build func(*stream.Pipeline), opts ...Option) *Job {
	t.Helper()
	return newJob(t, t, build, opts)
}

func newJob(t *testing.T, report reporter, build func(*stream.Pipeline), opts []Option) *Job {
	report.Helper()
	j := &Job{
		t: report, build: build, bucket: mem.New(), bubble: newBubble(t),
		inputs: map[dataflow.UID]replacement{}, outputs: map[dataflow.UID]replacement{}, kept: map[dataflow.UID]bool{},
	}
	t.Cleanup(j.close)
	for _, o := range opts {
		o(&j.set)
	}
	if err := j.set.check(); err != nil {
		report.Fatalf("streamtest: %v", err)
	}
	err := j.bubble.do(func() (err error) {
		j.program, err = j.makeProgram()
		return err
	})
	if err != nil {
		report.Fatalf("the job can not run:\n%v", err)
	}
	return j
}

// NewWith is New for a job with a configuration: see stream.MainWith.
func NewWith[C any](t *testing.T, cfg C, build func(*stream.Pipeline, C), opts ...Option) *Job {
	t.Helper()
	return New(t, func(p *stream.Pipeline) { build(p, cfg) }, opts...)
}

// makeProgram builds the job.
func (j *Job) makeProgram() (*engine.Program, error) {
	p := stream.NewPipeline("test")
	if n := j.set.parallelism; n > 0 {
		p.OverrideParallelism(n)
	}
	j.build(p)
	return p.Program()
}

// Keep lets sources and sinks run as they are, by their UIDs. Whatever is neither kept
// nor replaced by Input or Output keeps the job from starting, so that a test does not
// write to the real world by mistake.
func (j *Job) Keep(uids ...string) {
	j.t.Helper()
	for _, uid := range uids {
		if _, ok := j.program.Graph.Operator(dataflow.UID(uid)); !ok {
			j.t.Fatalf("Keep: %v", j.unknown(uid, dataflow.Source, dataflow.Sink))
		}
		j.kept[dataflow.UID(uid)] = true
	}
}

// Advance moves processing time.
func (j *Job) Advance(d time.Duration) {
	j.t.Helper()
	if d < 0 {
		j.t.Fatalf("Advance by %v: time does not go back", d)
	}
	j.step(fmt.Sprintf("Advance %v", d), func() error {
		time.Sleep(d)
		return nil
	})
}

// Now is the processing time.
func (j *Job) Now() (now time.Time) {
	j.t.Helper()
	if err := j.bubble.do(func() error { now = time.Now(); return nil }); err != nil {
		j.t.Fatal(err)
	}
	return now
}

// Checkpoint takes a checkpoint, from which Crash goes on.
func (j *Job) Checkpoint() {
	j.t.Helper()
	j.step("Checkpoint", j.checkpoint)
}

// Restart takes a checkpoint, ends the job, and starts it from the checkpoint.
func (j *Job) Restart() {
	j.t.Helper()
	j.step("Restart", j.restart)
}

// Rescale is Restart with another parallelism for the operators that do not choose their own.
func (j *Job) Rescale(parallelism int) {
	j.t.Helper()
	if parallelism < 1 {
		j.t.Fatalf("Rescale to %d: use 1 or more", parallelism)
	}
	j.set.parallelism = parallelism
	j.step(fmt.Sprintf("Rescale %d", parallelism), j.restart)
}

// Crash ends the job without a checkpoint and starts it from the last one that Checkpoint,
// Restart or Rescale took, or from the beginning. Inputs are read again from there. An
// output forgets what came after it, as an exactly-once sink does, and gets it once more.
func (j *Job) Crash() {
	j.t.Helper()
	j.step("Crash", j.crash)
}

// Finish ends all inputs and waits until the job has processed everything: what waits for
// event time happens, and no timer of processing time fires any more. No step can follow.
func (j *Job) Finish() {
	j.t.Helper()
	j.step("Finish", j.finish)
}

// Fails does steps that make the job fail, and returns its error. The test ends if
// they do not.
func (j *Job) Fails(steps func()) error {
	j.t.Helper()
	j.expected = true
	steps()
	j.expected = false
	if j.failure == nil {
		j.t.Fatal("the job did not fail")
	}
	return j.failure
}

// unknown says that there is no such operator, and which there are.
func (j *Job) unknown(uid string, kinds ...dataflow.Kind) error {
	var have []string
	for _, o := range j.program.Graph.Operators {
		if slices.Contains(kinds, o.Kind) {
			have = append(have, fmt.Sprintf("%s %q", o.Kind, o.UID))
		}
	}
	return fmt.Errorf("the job has no operator with the UID %q: there is %s", uid, strings.Join(have, ", "))
}
