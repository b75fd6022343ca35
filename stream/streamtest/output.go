package streamtest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
)

// Out is an output in the place of a sink. Each record is looked at once: what Take or
// Want has seen is not there for the next.
type Out[T any] struct {
	job *Job
	uid dataflow.UID

	mu        sync.Mutex
	records   []Record[T]
	taken     int // of records
	committed int // of records: how many the last checkpoint has
}

// Record is a record that came out, with its event time; the zero time if it has none.
type Record[T any] struct {
	Value T
	Time  time.Time
}

// Output replaces the sink with that UID, whose records are of type T.
func Output[T any](j *Job, uid string) *Out[T] {
	j.t.Helper()
	if j.steps > 0 {
		j.t.Fatalf("Output %q: the job has begun: declare outputs before the first step", uid)
	}
	id := dataflow.UID(uid)
	if _, ok := j.program.Graph.Operator(id); !ok {
		j.t.Fatalf("Output %q: %v", uid, j.unknown(uid, dataflow.Sink))
	}
	if err := engine.CheckSink[T](j.program.Operators[id]); err != nil {
		j.t.Fatalf("Output %q: %v", uid, err)
	}
	out := &Out[T]{job: j, uid: id}
	j.outputs[id] = out
	return out
}

// Take returns the records that came out since the last look, in the order in which they
// came. With several subtasks that is not always the same; records of one key are
// in order.
func (o *Out[T]) Take() []T {
	var values []T
	for _, r := range o.TakeRecords() {
		values = append(values, r.Value)
	}
	return values
}

// TakeRecords is Take with the event times.
func (o *Out[T]) TakeRecords() []Record[T] {
	o.mu.Lock()
	defer o.mu.Unlock()
	fresh := o.records[o.taken:len(o.records):len(o.records)]
	o.taken = len(o.records)
	return fresh
}

// put implements replacement, as do the methods below.
func (o *Out[T]) put(p *engine.Program) error {
	if err := engine.CheckSink[T](p.Operators[o.uid]); err != nil {
		return err
	}
	p.Operators[o.uid] = engine.NewSink[T](collector[T]{o})
	return nil
}

func (o *Out[T]) end() {}

func (o *Out[T]) checkpoint() {
	o.mu.Lock()
	o.committed = len(o.records)
	o.mu.Unlock()
}

func (o *Out[T]) crash() {
	o.mu.Lock()
	o.records = o.records[:o.committed:o.committed]
	o.taken = min(o.taken, o.committed)
	o.mu.Unlock()
}

// collector is the sink.
type collector[T any] struct{ out *Out[T] }

// Open implements connector.Sink.
func (c collector[T]) Open(context.Context, connector.Env) (connector.Writer[T], error) {
	return c, nil
}

// Write implements connector.Writer, as do the methods below.
func (c collector[T]) Write(values []T, times []int64) error {
	if len(values) != len(times) {
		return fmt.Errorf("%d records with %d times", len(values), len(times))
	}
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	for i, v := range values {
		r := Record[T]{Value: v}
		if times[i] != connector.NoTime {
			r.Time = time.UnixMilli(times[i]).UTC()
		}
		c.out.records = append(c.out.records, r)
	}
	return nil
}

func (c collector[T]) Prepare(dataflow.CheckpointID) (func(context.Context) ([][]byte, error), error) {
	return nil, nil
}

func (c collector[T]) Close() error { return nil }
