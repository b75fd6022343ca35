package engine

import (
	"context"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

type sinkOperator[T any] struct{ sink connector.Sink[T] }

func (s *sinkOperator[T]) node() node { return &sinkNode[T]{code: s} }
func (*sinkOperator[T]) keyed() bool  { return false }

func (*sinkOperator[T]) keySchema() string { return "" }

// committer is the two-phase side of a sink's code; nil if it has none.
func (s *sinkOperator[T]) committer() connector.Transactional {
	t, _ := s.sink.(connector.Transactional)
	return t
}

// committerOf is the two-phase side of an operator's code; nil if it has none.
func committerOf(op Operator) connector.Transactional {
	if s, ok := op.(interface {
		committer() connector.Transactional
	}); ok {
		return s.committer()
	}
	return nil
}

// sinkNode writes records to a sink.
type sinkNode[T any] struct {
	base
	code   *sinkOperator[T]
	writer connector.Writer[T]
	txns   *transactions
	trace  func(TraceEvent)
	last   time.Time // of the last records
}

func (n *sinkNode[T]) open(ctx context.Context, o *opening) error {
	n.init(o)
	n.trace = o.trace
	n.txns = &transactions{sink: n.code.committer(), env: n.op.Env, turn: make(chan struct{}, 1)}
	if err := n.txns.restore(ctx, o.restored); err != nil {
		return err
	}
	w, err := n.code.sink.Open(ctx, n.op.Env)
	n.writer = w
	return err
}

// gapMin is the shortest silence of a sink that is worth a trace event.
const gapMin = 10 * time.Millisecond

func (n *sinkNode[T]) process(b *Batch[T]) error {
	if len(b.Values) == 0 {
		return nil
	}
	before := n.enter()
	n.measure(time.Now())
	n.op.stats.out.Add(int64(len(b.Values)))
	return n.leave(before, n.writer.Write(b.Values, b.Times))
}

func (n *sinkNode[T]) measure(now time.Time) {
	switch {
	case n.last.IsZero():
		n.trace(TraceEvent{Kind: TraceFirstRecord, At: now, UID: n.op.UID})
	case now.Sub(n.last) >= gapMin:
		n.trace(TraceEvent{Kind: TraceSinkGap, At: now, From: n.last, UID: n.op.UID})
	}
	n.last = now
}

func (n *sinkNode[T]) watermark(int64) error { return nil }

func (n *sinkNode[T]) cut(id dataflow.CheckpointID) (part, error) {
	before := n.enter()
	finish, err := n.writer.Prepare(id)
	if err != nil {
		return part{}, n.leave(before, err)
	}
	n.txns.add(id, finish)
	return part{operator: snapshot.Operator{UID: n.op.UID}, sink: n.txns}, n.leave(before, nil)
}

func (n *sinkNode[T]) close() error {
	if n.writer == nil {
		return nil
	}
	return n.writer.Close()
}

// twoPhase is the sink's transactions; nil if it has no two-phase commit.
func (n *sinkNode[T]) twoPhase() *transactions {
	if n.code.committer() == nil {
		return nil
	}
	return n.txns
}
