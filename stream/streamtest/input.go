package streamtest

import (
	"fmt"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
)

// In is an input in the place of a source. The options of the source stay: Timestamps,
// watermarks, IdleAfter. It has one split, unless InputSplits gave it more; the methods of
// In are about the first, and Split is about the others.
type In[T any] struct {
	job    *Job
	uid    dataflow.UID
	opts   engine.SourceOptions[T]
	splits []*feed[T]
	split  int // the one that the methods are about
}

// Input replaces the source with that UID, whose records are of type T.
func Input[T any](j *Job, uid string) *In[T] {
	j.t.Helper()
	return InputSplits[T](j, uid, 1)
}

// InputSplits is Input with n splits. Split i is read by subtask i modulo parallelism, as
// the splits of any source are, and each has a watermark of its own.
func InputSplits[T any](j *Job, uid string, n int) *In[T] {
	j.t.Helper()
	fail := func(err error) { j.t.Fatalf("Input %q: %v", uid, err) }
	if j.steps > 0 {
		fail(fmt.Errorf("the job has begun: declare inputs before the first step"))
	}
	if n < 1 {
		fail(fmt.Errorf("%d splits: use 1 or more", n))
	}
	id := dataflow.UID(uid)
	if _, ok := j.program.Graph.Operator(id); !ok {
		fail(j.unknown(uid, dataflow.Source))
	}
	opts, err := engine.OptionsOfSource[T](j.program.Operators[id])
	if err != nil {
		fail(err)
	}
	in := &In[T]{job: j, uid: id, opts: opts}
	for i := range n {
		in.splits = append(in.splits, &feed[T]{name: fmt.Sprintf("split-%d", i)})
	}
	j.inputs[id] = in
	return in
}

// Split is the input for one of its splits, counted from 0.
func (in *In[T]) Split(i int) *In[T] {
	in.job.t.Helper()
	if i < 0 || i >= len(in.splits) {
		in.job.t.Fatalf("Input %q: there is no split %d: it has %d, from 0", in.uid, i, len(in.splits))
	}
	one := *in
	one.split = i
	return &one
}

// Add gives the job records. Their event time is what the source's Timestamps say; without
// that they have none.
func (in *In[T]) Add(values ...T) {
	in.job.t.Helper()
	in.step(fmt.Sprintf("Add to %q", in.uid), func(f *feed[T]) {
		for _, v := range values {
			f.items = append(f.items, item[T]{value: v, time: connector.NoTime})
		}
	})
}

// AddAt gives the job records with an event time, for a source that gives times itself.
func (in *In[T]) AddAt(at time.Time, values ...T) {
	in.job.t.Helper()
	if in.opts.Timestamp != nil {
		in.job.t.Fatalf("Input %q: AddAt has no effect, since the source takes event times from its records: use Add", in.uid)
	}
	in.step(fmt.Sprintf("AddAt %v to %q", at, in.uid), func(f *feed[T]) {
		for _, v := range values {
			f.items = append(f.items, item[T]{value: v, time: at.UnixMilli()})
		}
	})
}

// Watermark says that no record of the split at or before a time will follow. A source with
// BoundedOutOfOrderness or Monotonic makes watermarks itself; the higher counts.
func (in *In[T]) Watermark(at time.Time) {
	in.job.t.Helper()
	in.step(fmt.Sprintf("Watermark %v of %q", at, in.uid), func(f *feed[T]) {
		f.items = append(f.items, item[T]{time: at.UnixMilli(), watermark: true})
	})
}

// End ends the split: it does not hold back event time any more.
func (in *In[T]) End() {
	in.job.t.Helper()
	in.step(fmt.Sprintf("End of %q", in.uid), func(f *feed[T]) { f.ended = true })
}

// step changes the split and lets the job see it.
func (in *In[T]) step(name string, change func(*feed[T])) {
	in.job.t.Helper()
	in.job.step(name, func() error {
		f := in.splits[in.split]
		if f.hasEnded() {
			return fmt.Errorf("split %d of input %q has ended", in.split, in.uid)
		}
		f.change(change)
		return nil
	})
}

// put implements replacement, as do the methods below.
func (in *In[T]) put(p *engine.Program) error {
	if _, err := engine.OptionsOfSource[T](p.Operators[in.uid]); err != nil {
		return err
	}
	p.Operators[in.uid] = engine.NewSource(feeds[T](in.splits), in.opts)
	return nil
}

func (in *In[T]) end() {
	for _, f := range in.splits {
		f.change(func(f *feed[T]) { f.ended = true })
	}
}

func (in *In[T]) checkpoint() {}
func (in *In[T]) crash()      {}
