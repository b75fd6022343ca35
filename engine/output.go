package engine

import (
	"errors"
	"fmt"
)

// Output is one output of an operator in one subtask. What is emitted goes on
// when a batch is full and at the latest when the operator returns, to all
// operators and edges that the graph connects to it.
type Output[T any] struct {
	buf     *Batch[T]
	rows    int
	targets []target[T]
	err     error
	stats   *counters
}

// target takes the batches of an output: a chained operator or an edge. It
// keeps neither the batch nor its slices.
type target[T any] interface {
	process(b *Batch[T]) error
	watermark(wm int64) error
}

// port is an Output of any type.
type port interface {
	// chain connects input number i of an operator of the same subtask.
	chain(n node, i int) error
	// edge connects an edge to other subtasks.
	edge(e Edge, s *sending) error
	flush() error
	watermark(wm int64) error
}

// OutputOf returns output number i of the operator that is being opened. It
// makes it at the first call.
func OutputOf[T any](ctx *OpContext, i int) *Output[T] {
	for len(ctx.outputs) <= i {
		ctx.outputs = append(ctx.outputs, nil)
	}
	if o, ok := ctx.outputs[i].(*Output[T]); ok {
		return o
	}
	o := &Output[T]{buf: &Batch[T]{}, rows: ctx.BatchRows, stats: ctx.stats}
	ctx.outputs[i] = o
	return o
}

// Emit sends a record with its event time. An error further down is kept and
// ends the attempt when the operator returns; records after it are dropped.
func (o *Output[T]) Emit(value T, time int64) {
	o.buf.Append(value, time)
	if len(o.buf.Values) >= o.rows {
		o.push()
	}
}

// errSending is an output's error while it hands its buffer on. It stays if that panics: some
// of the records may be with those behind it, and whoever recovers must not send them again.
var errSending = errors.New("a key function, or an operator behind, panicked while records were sent on, and some of them may have gone already")

// push hands the buffer on.
func (o *Output[T]) push() {
	if o.err == nil && len(o.buf.Values) > 0 {
		o.err = errSending
		o.err = o.pass(o.buf)
	}
	o.buf.Reset()
}

func (o *Output[T]) pass(b *Batch[T]) error {
	for _, t := range o.targets {
		if err := t.process(b); err != nil {
			return err
		}
	}
	return nil
}

func (o *Output[T]) flush() error {
	o.push()
	return o.err
}

func (o *Output[T]) watermark(wm int64) error {
	for _, t := range o.targets {
		if err := t.watermark(wm); err != nil {
			return err
		}
	}
	return nil
}

func (o *Output[T]) chain(n node, i int) error {
	t, err := targetOf[T](n, i)
	if err != nil {
		return err
	}
	o.targets = append(o.targets, t)
	return nil
}

func (o *Output[T]) edge(e Edge, s *sending) error {
	typed, ok := e.(*edge[T])
	if !ok {
		return fmt.Errorf("the edge takes no records of type %T", *new(T))
	}
	o.targets = append(o.targets, newEdgeWriter(typed, s))
	return nil
}
