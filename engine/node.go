package engine

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/changelog"
)

// node is one operator in one subtask: a link of the subtask's chain. The
// subtask's goroutine makes all calls but open.
type node interface {
	// open makes the node ready to run, from what a checkpoint had of it.
	open(ctx context.Context, o *opening) error
	// follow makes a clock the node's.
	follow(clock *time.Time)
	// ports are its outputs, some of which may be nil; known once it is open.
	ports() []port
	// watermark takes a watermark and passes it on.
	watermark(wm int64) error
	// cut is the node's part of a checkpoint. It does no I/O.
	cut(id dataflow.CheckpointID) (part, error)
	close() error
}

// opening is what a node is opened with.
type opening struct {
	op       *OpContext
	position *position
	// restored is what the checkpoint had of the operator; nil without one.
	restored *restored
	log      *changelog.Log
	trace    func(TraceEvent)
	groups   *sourceGroups
	wake     func() // makes the subtask look for work; any goroutine may call it
}

// part is a node's part of a checkpoint, as far as it is known at the barrier.
type part struct {
	operator snapshot.Operator
	log      *changelog.Log // nil without keyed state
	cut      state.Cut
	after    uint64        // position of the cut before
	sink     *transactions // nil if it has none
}

// base is what all nodes share.
type base struct {
	op       *OpContext
	position *position
}

func (n *base) init(o *opening) {
	n.op, n.position = o.op, o.position
	n.op.position = o.position
}

func (n *base) hasStore() bool { return n.op.Store != nil }

func (n *base) ports() []port { return n.op.outputs }

func (n *base) follow(clock *time.Time) { n.op.clock = clock }

// enter marks the node as the one at work; leave goes back to its caller.
func (n *base) enter() (before *OpContext) {
	before = n.position.op
	n.position.op = n.op
	return before
}

func (n *base) leave(before *OpContext, err error) error {
	if err == nil {
		n.position.op = before
		return nil
	}
	if already := (*OperatorError)(nil); errors.As(err, &already) || errors.Is(err, errTransport) {
		return err
	}
	return &OperatorError{UID: n.op.UID, Err: err}
}

// flush sends on what the outputs hold.
func (n *base) flush() error {
	for _, p := range n.op.outputs {
		if p != nil {
			if err := p.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// pass flushes and hands a watermark on.
func (n *base) pass(wm int64) error {
	if err := n.flush(); err != nil {
		return err
	}
	for _, p := range n.op.outputs {
		if p != nil {
			if err := p.watermark(wm); err != nil {
				return err
			}
		}
	}
	return nil
}

// transform is an operator with an input.
type transform[In any] struct {
	open    func(*OpContext) (Transform[In], error)
	isKeyed bool
	schema  string // of the keys
}

func (t *transform[In]) node() node        { return &transformNode[In]{of: t} }
func (t *transform[In]) keyed() bool       { return t.isKeyed }
func (t *transform[In]) keySchema() string { return t.schema }

type transformNode[In any] struct {
	body
	of *transform[In]
	t  Transform[In]
}

func (n *transformNode[In]) open(_ context.Context, o *opening) (err error) {
	n.begin(o)
	n.t, err = n.of.open(n.op)
	return cmp.Or(err, n.opened(n.t))
}

func (n *transformNode[In]) process(b *Batch[In]) error {
	before := n.enter()
	return n.done(before, n.t.Process(b))
}

// body is what the nodes of transforms share, whatever their inputs are: time, timers,
// state and cuts.
type body struct {
	base
	code  watermarked
	timed TimedTransform // code, if it is one
	log   *changelog.Log
	wm    int64
	moved bool   // wm is not only what was restored
	last  uint64 // position of the last cut
}

// watermarked is the part of a transform that has nothing to do with its inputs.
type watermarked interface{ Watermark(wm int64) error }

// begin takes what a checkpoint had, before the transform is opened.
func (n *body) begin(o *opening) {
	n.init(o)
	n.log, n.wm = o.log, connector.NoTime
	if o.restored != nil {
		n.wm = o.restored.watermark(n.op.Subtask, n.op.Parallelism)
	}
	n.op.RestoredWatermark, n.op.restored = n.wm, o.restored
	n.op.States = o.restored.operatorState(n.op.Subtask, n.op.Parallelism)
}

// opened takes the transform that has been opened.
func (n *body) opened(t watermarked) error {
	n.code = t
	n.timed, _ = t.(TimedTransform)
	return checkNames(n.op.States)
}

// done ends what enter began: it sends on what the outputs hold, and writes the batch's
// changes to the changelog.
func (n *body) done(before *OpContext, err error) error {
	if err == nil {
		err = n.flush()
	}
	return n.leave(before, cmp.Or(err, n.endBatch()))
}

// watermark takes a watermark. While key groups are behind the subtask's since a restore, one that is
// below it too waits for the next: it would take the groups to where the subtask was, and what is still
// to come for them, since at least once the others had run ahead, would be late.
func (n *body) watermark(wm int64) error {
	if !n.moved && wm < n.op.RestoredWatermark && n.op.GroupsBehind() {
		return nil
	}
	before := n.enter()
	n.wm, n.moved = max(n.wm, wm), true
	err := n.code.Watermark(wm)
	if err == nil {
		err = n.pass(wm)
	}
	return n.leave(before, cmp.Or(err, n.endBatch()))
}

// due is when the next timer of processing time fires, in Unix milliseconds.
func (n *body) due() (at int64, ok bool) {
	if n.timed == nil {
		return 0, false
	}
	return n.timed.NextTimer()
}

// fire fires timers that are due.
func (n *body) fire(now int64) error {
	before := n.enter()
	return n.done(before, n.timed.ProcessingTime(now))
}

// endBatch writes the batch's changes to the changelog.
func (n *body) endBatch() error {
	if n.op.Store == nil {
		return nil
	}
	if err := n.op.Store.EndBatch(); err != nil {
		return err
	}
	entries, bytes := n.op.Store.Size()
	n.op.stats.stateEntries.Store(entries)
	n.op.stats.stateBytes.Store(bytes)
	return nil
}

func (n *body) cut(id dataflow.CheckpointID) (part, error) {
	p := part{operator: snapshot.Operator{UID: n.op.UID}}
	n.op.States.Snapshot(&p.operator)
	if n.op.Store == nil {
		return p, nil
	}
	if err := n.op.Store.EndBatch(); err != nil {
		return part{}, err
	}
	p.log, p.cut, p.after = n.log, n.op.Store.Cut(id), n.last
	n.last = p.cut.Position
	if p.operator.Lists == nil {
		p.operator.Lists = map[string][][]byte{}
	}
	p.operator.Lists[watermarkList] = n.watermarks()
	return p, nil
}

func (n *body) close() error {
	if n.op == nil || n.op.Store == nil {
		return nil
	}
	return n.op.Store.Close()
}
