package engine

import (
	"context"
	"sync"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// Lookups is the code of an operator whose result for a record comes later, such as
// the answer of a service, in one subtask.
type Lookups[In, Out any] struct {
	// Ask returns the result for a record. It is called on goroutines of its own,
	// InFlight at once at most, and must return soon when ctx ends.
	Ask func(ctx context.Context, v In) (Out, error)
	// Failed takes a record that Ask had an error for; a panic is a *PanicError. The
	// subtask's goroutine calls it. Its own error ends the attempt.
	Failed func(v In, time int64, err error) error
	// Ordered emits results in the order of their records. Otherwise they are
	// emitted as they come, but never on the other side of a watermark.
	Ordered bool
	// InFlight bounds the records that were asked for and whose results are not
	// emitted yet, at least 1.
	InFlight int
}

// NewAsync is an operator that emits a result for each record once it has come. What
// is in flight is operator state: a restore asks for it again, before anything else.
// open is called once per subtask and may make outputs after the first, which is for
// the results.
func NewAsync[In, Out any](open func(*OpContext) (Lookups[In, Out], error)) Operator {
	return &async[In, Out]{open: open}
}

type async[In, Out any] struct {
	open func(*OpContext) (Lookups[In, Out], error)
}

func (a *async[In, Out]) node() node      { return &asyncNode[In, Out]{code: a} }
func (*async[In, Out]) keyed() bool       { return false }
func (*async[In, Out]) keySchema() string { return "" }

// inFlightList is the split list in which a checkpoint keeps the records whose
// results are not emitted yet, in the order in which they came.
const inFlightList = "in-flight"

// inFlight is a record in that list.
type inFlight[In any] struct {
	Value In
	Time  int64
}

// asyncNode is such an operator in one subtask.
//
// Records wait in the order in which they came until their results are emitted;
// watermarks stand between them, so that none overtakes a record. Only the subtask's
// goroutine touches the line; lookups put what they have into answered and wake it.
//
// A batch may hold more records than may be asked for. What is too much waits in the
// line too, since the batch belongs to somebody else, and the subtask takes no more
// input until all are asked for: see held.
type asyncNode[In, Out any] struct {
	base
	code *async[In, Out]
	Lookups[In, Out]
	out  *Output[Out]
	list *state.OperatorList[inFlight[In]]

	line    line[In, Out]
	asked   int                // of the line
	next    *waiting[In, Out]  // the first that is not asked for; nil if all are
	ctx     context.Context    // of the lookups; ends with the loop
	cancel  context.CancelFunc // nil until the loop runs
	wake    chan struct{}
	lookups sync.WaitGroup

	mu       sync.Mutex
	answered []*waiting[In, Out] // since the subtask last looked
	taken    []*waiting[In, Out] // those that it took then; its own
}

func (n *asyncNode[In, Out]) open(_ context.Context, o *opening) (err error) {
	n.init(o)
	n.op.States = o.restored.operatorState(n.op.Subtask, n.op.Parallelism)
	if n.list, err = state.NewSplitList[inFlight[In]](n.op.States, inFlightList); err != nil {
		return err
	}
	n.out = OutputOf[Out](n.op, 0)
	if n.Lookups, err = n.code.open(n.op); err != nil {
		return err
	}
	for _, r := range n.list.Items() {
		n.add(r.Value, r.Time)
	}
	n.list.Replace(nil)
	return nil
}

// begin implements answering.
func (n *asyncNode[In, Out]) begin(ctx context.Context, wake chan struct{}) {
	n.ctx, n.cancel = context.WithCancel(ctx)
	n.wake = wake
	n.ask()
}

func (n *asyncNode[In, Out]) process(b *Batch[In]) error {
	for i, v := range b.Values {
		n.add(v, b.Times[i])
	}
	n.ask()
	return nil
}

func (n *asyncNode[In, Out]) add(v In, time int64) {
	w := n.line.add(v, time)
	if n.next == nil {
		n.next = w
	}
}

// ask starts lookups for the records whose turn it is.
func (n *asyncNode[In, Out]) ask() {
	for n.next != nil && n.asked < n.InFlight {
		w := n.next
		n.asked++
		n.lookups.Go(func() { n.lookup(w) })
		n.next = w.nextRecord()
	}
}

// lookup is one record's goroutine.
func (n *asyncNode[In, Out]) lookup(w *waiting[In, Out]) {
	defer func() {
		if p := recover(); p != nil {
			w.err = NewPanicError(p)
		}
		n.mu.Lock()
		n.answered = append(n.answered, w)
		n.mu.Unlock()
		poke(n.wake)
	}()
	w.result, w.err = n.Ask(n.ctx, w.value)
}

// answers implements answering.
func (n *asyncNode[In, Out]) answers() (any bool, err error) {
	n.mu.Lock()
	clear(n.taken)
	n.taken, n.answered = n.answered, n.taken[:0]
	n.mu.Unlock()
	if len(n.taken) == 0 {
		return false, nil
	}
	before := n.enter()
	for _, w := range n.taken {
		if err = n.answer(w); err != nil {
			break
		}
	}
	if err == nil {
		err = n.flush()
	}
	n.ask()
	return true, n.leave(before, err)
}

// answer takes one result and emits what may go now.
func (n *asyncNode[In, Out]) answer(w *waiting[In, Out]) error {
	w.answered = true
	if !n.Ordered && w.part == n.line.first.part {
		if err := n.emit(w); err != nil {
			return err
		}
	}
	return n.advance()
}

// advance emits what is at the front of the line. A watermark that gets there goes
// on, and unordered results between it and the next one are free.
func (n *asyncNode[In, Out]) advance() error {
	for w := n.line.first; w != nil && (w.isWatermark || w.answered); w = n.line.first {
		if !w.isWatermark {
			if err := n.emit(w); err != nil {
				return err
			}
			continue
		}
		n.line.remove(w)
		if err := n.pass(w.time); err != nil {
			return err
		}
		if err := n.emitPart(); err != nil {
			return err
		}
	}
	return nil
}

// emitPart emits what is answered before the next watermark, if order is no matter.
func (n *asyncNode[In, Out]) emitPart() error {
	if n.Ordered {
		return nil
	}
	for w := n.line.first; w != nil && !w.isWatermark; {
		after := w.next
		if w.answered {
			if err := n.emit(w); err != nil {
				return err
			}
		}
		w = after
	}
	return nil
}

// emit sends a result on and forgets its record.
func (n *asyncNode[In, Out]) emit(w *waiting[In, Out]) error {
	n.line.remove(w)
	n.asked--
	if w.err != nil {
		if n.ctx.Err() != nil { // it was cut short: the next attempt asks again
			return context.Cause(n.ctx)
		}
		return n.Failed(w.value, w.time, w.err)
	}
	n.out.Emit(w.result, w.time)
	return nil
}

func (n *asyncNode[In, Out]) watermark(wm int64) error {
	if n.line.first != nil {
		n.line.addWatermark(wm)
		return nil
	}
	before := n.enter()
	return n.leave(before, n.pass(wm))
}

// held implements answering.
func (n *asyncNode[In, Out]) held() bool { return n.next != nil }

// pending implements answering.
func (n *asyncNode[In, Out]) pending() bool { return n.line.first != nil }

func (n *asyncNode[In, Out]) cut(dataflow.CheckpointID) (part, error) {
	p := part{operator: snapshot.Operator{UID: n.op.UID}}
	var records []inFlight[In]
	for w := n.line.first; w != nil; w = w.next {
		if !w.isWatermark {
			records = append(records, inFlight[In]{w.value, w.time})
		}
	}
	n.list.Replace(records)
	n.op.States.Snapshot(&p.operator)
	n.list.Replace(nil)
	return p, nil
}

// end implements answering.
func (n *asyncNode[In, Out]) end() {
	if n.cancel != nil {
		n.cancel()
	}
	n.lookups.Wait()
}

func (n *asyncNode[In, Out]) close() error { return nil }

var _ answering = (*asyncNode[int, int])(nil)
