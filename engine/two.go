package engine

import (
	"cmp"
	"context"
	"fmt"

	"github.com/cairnstream/cairn/dataflow"
)

// Transform2 is the code of an operator with two inputs, in one subtask. The subtask's
// goroutine calls it. Batches come whole, in no order between the inputs but that
// of checkpoints: a barrier lies at one place of both.
type Transform2[A, B any] interface {
	// ProcessFirst and ProcessSecond take a batch of an input, 0 or 1, and emit
	// what comes of it.
	ProcessFirst(b *Batch[A]) error
	ProcessSecond(b *Batch[B]) error
	// Watermark is Transform's. wm is the lower one of the inputs'; one that is idle or
	// has ended does not count.
	Watermark(wm int64) error
}

// NewTransform2 is NewTransform for two inputs. The graph's operator has Inputs 2.
func NewTransform2[A, B any](open func(*OpContext) (Transform2[A, B], error)) Operator {
	return &transform2[A, B]{open: open, spread: []dataflow.Partitioning{"", ""}}
}

// NewKeyedTransform2 is NewKeyedTransform for two inputs that share the store: all edges
// of both go by a hash of the same key.
func NewKeyedTransform2[A, B any](keySchema string, open func(*OpContext) (Transform2[A, B], error)) Operator {
	return &transform2[A, B]{open: open, schema: keySchema, spread: []dataflow.Partitioning{dataflow.Hash, dataflow.Hash}}
}

// NewKeyedWithBroadcast is NewKeyedTransform2 with a second input that has no key: every
// subtask gets all of it, over broadcast edges. What the operator keeps of that is
// broadcast state, in OpContext.States.
func NewKeyedWithBroadcast[A, B any](keySchema string, open func(*OpContext) (Transform2[A, B], error)) Operator {
	return &transform2[A, B]{open: open, schema: keySchema, spread: []dataflow.Partitioning{dataflow.Hash, dataflow.Broadcast}}
}

// transform2 is an operator with two inputs.
type transform2[A, B any] struct {
	open   func(*OpContext) (Transform2[A, B], error)
	spread []dataflow.Partitioning // of each input's edges
	schema string                  // of the keys
}

func (t *transform2[A, B]) node() node                      { return &transform2Node[A, B]{of: t} }
func (t *transform2[A, B]) keyed() bool                     { return t.spread[0] == dataflow.Hash }
func (t *transform2[A, B]) keySchema() string               { return t.schema }
func (t *transform2[A, B]) inputs() []dataflow.Partitioning { return t.spread }

// transform2Node is a transform2 in one subtask. It is always the head of its chain,
// since a chained operator has one edge only.
type transform2Node[A, B any] struct {
	body
	of *transform2[A, B]
	t  Transform2[A, B]
}

func (n *transform2Node[A, B]) open(_ context.Context, o *opening) (err error) {
	n.begin(o)
	n.t, err = n.of.open(n.op)
	return cmp.Or(err, n.opened(n.t))
}

// input returns a target, which takes the records of an input.
func (n *transform2Node[A, B]) input(i int) any {
	switch i {
	case 0:
		return &inputOf[A]{body: &n.body, take: func(b *Batch[A]) error { return n.t.ProcessFirst(b) }}
	case 1:
		return &inputOf[B]{body: &n.body, take: func(b *Batch[B]) error { return n.t.ProcessSecond(b) }}
	default:
		return nil
	}
}

// inputOf is one of several inputs of a node.
type inputOf[T any] struct {
	*body
	take func(b *Batch[T]) error
}

func (i *inputOf[T]) process(b *Batch[T]) error {
	before := i.enter()
	return i.done(before, i.take(b))
}

// targetOf returns what takes the records of input number i of a node.
func targetOf[T any](n node, i int) (target[T], error) {
	to := any(n)
	if m, ok := n.(interface{ input(i int) any }); ok {
		to = m.input(i)
	} else if i > 0 {
		to = nil
	}
	if to == nil {
		return nil, fmt.Errorf("it has no input %d", i)
	}
	t, ok := to.(target[T])
	if !ok {
		return nil, fmt.Errorf("it takes no records of type %T", *new(T))
	}
	return t, nil
}

var _ target[int] = (*inputOf[int])(nil)
