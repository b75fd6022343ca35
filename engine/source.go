package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

// reading is a source node as the subtask's loop sees it.
type reading interface {
	node
	// read delivers at most a batch and tells how long nothing will come if
	// nothing did. ended: all splits have come to their end.
	read(ctx context.Context) (worked bool, wait time.Duration, ended bool, err error)
	// idle tells whether no split holds back the watermark.
	idle() bool
}

type source[T any] struct {
	src  connector.Source[T]
	opts SourceOptions[T]
}

func (s *source[T]) node() node { return &sourceNode[T]{code: s} }
func (*source[T]) keyed() bool  { return false }

func (*source[T]) keySchema() string { return "" }

// alignGroup is the group of sources that it is aligned with, or "".
func (s *source[T]) alignGroup() string { return s.opts.AlignGroup }

// splitsList is the operator list state in which a source keeps its splits,
// one item each, those included that have come to their end.
const splitsList = "splits"

// splitState is a split in a checkpoint.
type splitState struct {
	connector.Split
	Position []byte `json:"position,omitempty"` // nil: not begun
	High     int64  `json:"high"`               // highest event time so far, or NoTime
	Done     bool   `json:"done,omitempty"`
}

// split is a split that is being read.
type split[T any] struct {
	splitState
	reader connector.Reader[T]
	wm     int64
	due    time.Time   // not before
	turn   uint64      // when it was read last
	empty  time.Time   // since when its reads have found nothing; zero if the last found something
	called atomic.Bool // its reader has called: see connector.Notifier

	backlog bool // its reader works off a backlog: see connector.Backlogger
}

// sourceNode reads the splits of one subtask. Of the splits that are due it
// reads the one that is furthest behind in event time, so that none runs far
// ahead and downstream state stays small.
type sourceNode[T any] struct {
	base
	code    *source[T]
	splits  []*split[T]
	out     *Output[T]
	bad     *Output[connector.BadRecord]
	recs    connector.Records[T]
	sampler sampler[T]
	turn    uint64
	wm      int64
	logged  int
	wake    func()       // makes the subtask look at its splits again
	group   *groupMember // nil if the source is not aligned
}

// badLogged is how many bad records of a subtask are logged; all are counted.
const badLogged = 10

// waitMin is how long a split is left alone that had nothing and did not say
// for how long: a subtask must not spin.
const waitMin = time.Millisecond

func (n *sourceNode[T]) open(ctx context.Context, o *opening) error {
	n.init(o)
	n.wm, n.wake, n.sampler = connector.NoTime, o.wake, newSampler[T]()
	n.out, n.bad = OutputOf[T](n.op, 0), OutputOf[connector.BadRecord](n.op, BadOutput)
	states, err := n.startingSplits(ctx, o.restored)
	if err != nil {
		return err
	}
	for _, s := range states {
		n.splits = append(n.splits, &split[T]{splitState: s, wm: n.trail(s.High)})
	}
	if name := n.code.opts.AlignGroup; name != "" {
		n.group = o.groups.join(name, n.code.opts.AlignDrift, n.wake)
	}
	return nil
}

// startingSplits are the splits of this subtask: those of the checkpoint, or
// its share of what the source has.
func (n *sourceNode[T]) startingSplits(ctx context.Context, r *restored) ([]splitState, error) {
	var mine []splitState
	if r.wasSource() {
		for _, item := range r.list(splitsList, n.op.Subtask, n.op.Parallelism) {
			var s splitState
			if err := json.Unmarshal(item, &s); err != nil {
				return nil, fmt.Errorf("restore a split: %w", err)
			}
			mine = append(mine, s)
		}
		return mine, nil
	}
	all, err := n.code.src.Splits(ctx, n.op.Env)
	if err != nil {
		return nil, fmt.Errorf("list splits: %w", err)
	}
	for i, s := range all {
		if i%n.op.Parallelism == n.op.Subtask {
			mine = append(mine, splitState{Split: s, High: connector.NoTime})
		}
	}
	return mine, nil
}

// wasSource tells whether the operator was a source; r may be nil. Under a uid that was something
// else's a source has to begin, or it would read nothing.
func (r *restored) wasSource() bool {
	return r != nil && slices.ContainsFunc(r.parts, func(o snapshot.Operator) bool {
		_, ok := o.Lists[splitsList]
		return ok
	})
}

func (n *sourceNode[T]) read(ctx context.Context) (bool, time.Duration, bool, error) {
	before := n.enter()
	now := time.Now()
	s, wait := n.choose(now)
	var err error
	if s != nil {
		wait, err = 0, n.readSplit(ctx, s, now)
	}
	if err == nil {
		err = n.progress(now)
	}
	done := n.done()
	if done && n.group != nil {
		n.group.leave()
	}
	return s != nil, wait, done, n.leave(before, err)
}

// choose returns the split to read next, or how long none is due.
func (n *sourceNode[T]) choose(now time.Time) (*split[T], time.Duration) {
	var best *split[T]
	limit, wait := n.limit(now)
	for _, s := range n.splits {
		if s.Done || s.wm > limit {
			continue
		}
		if s.called.Load() && s.called.Swap(false) {
			s.due = time.Time{}
		}
		if d := s.due.Sub(now); d > 0 {
			wait = min(wait, d)
			continue
		}
		if best == nil || s.High < best.High || s.High == best.High && s.turn < best.turn {
			best = s
		}
	}
	return best, min(wait, n.untilIdle(now))
}

func (n *sourceNode[T]) readSplit(ctx context.Context, s *split[T], now time.Time) error {
	if err := n.openSplit(ctx, s); err != nil {
		return err
	}
	n.turn++
	s.turn = n.turn
	clear(n.recs.Values)
	n.recs.Values, n.recs.Times = n.recs.Values[:0], n.recs.Times[:0]
	wait, err := s.reader.Next(ctx, n.op.BatchRows, &n.recs)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read split %q: %w", s.ID, err)
	}
	if berr := n.takeBad(s); berr != nil {
		return berr
	}
	n.count(s)
	if derr := n.deliver(s); derr != nil {
		return derr
	}
	if err != nil {
		return n.endSplit(s)
	}
	n.schedule(s, now, wait)
	n.advance(s)
	return nil
}

// openSplit makes a split's reader, once.
func (n *sourceNode[T]) openSplit(ctx context.Context, s *split[T]) error {
	if s.reader != nil {
		return nil
	}
	r, err := n.code.src.Open(ctx, n.op.Env, s.Split, s.Position)
	if err != nil {
		return fmt.Errorf("open split %q: %w", s.ID, err)
	}
	s.reader = r
	if _, knows := r.(connector.Watermarker); n.group != nil && !knows && !n.code.opts.Watermarks {
		return fmt.Errorf("align group %q: the source has no watermarks: give it Monotonic or BoundedOutOfOrderness", n.group.group.name)
	}
	if c, ok := r.(connector.Notifier); ok {
		c.Notify(func() {
			s.called.Store(true)
			n.wake()
		})
	}
	return nil
}

// schedule notes what a read at now has found, and after nothing when to read again.
func (n *sourceNode[T]) schedule(s *split[T], now time.Time, wait time.Duration) {
	if len(n.recs.Values) > 0 {
		s.empty = time.Time{}
		return
	}
	if s.empty.IsZero() {
		s.empty = now
	}
	s.due = now.Add(max(wait, waitMin))
}

// deliver emits what was read.
func (n *sourceNode[T]) deliver(s *split[T]) error {
	r := &n.recs
	if len(r.Values) == 0 {
		return n.flush()
	}
	if len(r.Times) != len(r.Values) {
		return fmt.Errorf("read split %q: the reader gave %d records and %d times", s.ID, len(r.Values), len(r.Times))
	}
	if f := n.code.opts.Timestamp; f != nil {
		for i, v := range r.Values {
			r.Times[i] = f(v)
		}
	}
	for _, t := range r.Times {
		s.High = max(s.High, t)
	}
	n.op.stats.in.Add(int64(len(r.Values)))
	if err := n.out.pass(&Batch[T]{Values: r.Values, Times: r.Times}); err != nil {
		return err
	}
	return n.flush()
}

func (n *sourceNode[T]) takeBad(s *split[T]) error {
	b, ok := s.reader.(connector.BadRecords)
	if !ok {
		return nil
	}
	for _, bad := range b.TakeBad() {
		if n.code.opts.FailOnBad {
			return fmt.Errorf("split %q, %s: bad record: %s", bad.Split, bad.Where, bad.Error)
		}
		if n.logged < badLogged {
			n.logged++
			n.op.Log.Warn("bad record", "split", bad.Split, "where", bad.Where, "error", bad.Error)
		}
		n.op.CountBad(1)
		n.bad.Emit(bad, connector.NoTime)
	}
	return nil
}

func (n *sourceNode[T]) endSplit(s *split[T]) error {
	s.Position, s.Done = s.reader.Position(), true
	n.backlog(s, false)
	err := s.reader.Close()
	s.reader = nil
	if err != nil {
		return fmt.Errorf("close split %q: %w", s.ID, err)
	}
	return nil
}

func (n *sourceNode[T]) done() bool {
	for _, s := range n.splits {
		if !s.Done {
			return false
		}
	}
	return true
}

func (n *sourceNode[T]) cut(dataflow.CheckpointID) (part, error) {
	items := make([][]byte, 0, len(n.splits))
	for _, s := range n.splits {
		if s.reader != nil {
			s.Position = s.reader.Position()
		}
		item, err := json.Marshal(s.splitState)
		if err != nil {
			return part{}, fmt.Errorf("position of split %q: %w", s.ID, err)
		}
		items = append(items, item)
	}
	return part{operator: snapshot.Operator{UID: n.op.UID, Lists: map[string][][]byte{splitsList: items}}}, nil
}

func (n *sourceNode[T]) close() error {
	var errs []error
	for _, s := range n.splits {
		if s.reader != nil {
			errs = append(errs, s.reader.Close())
		}
	}
	return errors.Join(errs...)
}
