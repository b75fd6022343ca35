package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/exchange"
)

// sending is the sending end of an edge in one subtask: its channels, without
// the type of the records.
type sending struct {
	partitioning dataflow.Partitioning
	channels     []*outChannel
	keyGroups    int
	rows         int
	stats        *counters
	writer       flusher
	pressure     *pressure // of the subtask
	keep         func(batch any) func() []byte

	// ctx is the subtask's own, set when it starts. It is a field because
	// Output.Emit, which users call per record, has no context to hand on.
	ctx context.Context
	// clock is the loop's time, so that a batch costs no look at the clock.
	clock *time.Time
	since time.Time // when the oldest record not sent came in; zero if there is none
	wm    int64     // the newest watermark
}

// flusher sends on what an edge's writer has gathered.
type flusher interface{ flush() error }

// outChannel is the sending end of a channel: local or remote.
type outChannel struct {
	id     exchange.ChannelID
	local  *inChannel
	remote exchange.Sender
	wm     int64     // the last watermark sent
	line   []element // what waits for credit, or behind what does
	wake   func()    // the sender: credit has come
}

// overtakable tells whether barriers may overtake the edge's records: not if these have one
// place to go, or all places, since a restore could not spread them.
func overtakable(p dataflow.Partitioning) bool {
	return p == dataflow.Hash || p == dataflow.Rebalance
}

func (s *sending) overtakable() bool { return overtakable(s.partitioning) }

func (s *sending) touch() {
	if s.since.IsZero() {
		s.since = *s.clock
	}
}

// control sends an element to all channels, after everything before it.
func (s *sending) control(e element) error {
	if err := s.writer.flush(); err != nil {
		return err
	}
	for _, c := range s.channels {
		if err := c.hand(s, e); err != nil {
			return err
		}
	}
	return nil
}

// send gives an element to a channel to another process.
func (c *outChannel) send(ctx context.Context, e element) (ok bool, err error) {
	f := exchange.Frame{Kind: e.kind, Arg: e.arg, Payload: e.payload, More: e.more}
	if e.kind == exchange.Barrier {
		f.Payload = e.trigger.payload()
	}
	if ok, err = c.remote.TrySend(ctx, f); err != nil {
		return ok, fmt.Errorf("%w %v: send: %w", errTransport, c.id, err)
	}
	return ok, nil
}

// edgeWriter spreads records of type T over an edge's channels. It copies them
// into one batch per channel, and sends a batch that is full, at once; others
// wait for BatchLinger at most. A watermark goes behind the batch that it
// follows, so that it does not cut it.
type edgeWriter[T any] struct {
	edge *edge[T]
	s    *sending
	out  []*Batch[T]
	turn int // rebalance
	key  func(dst []byte, v T) []byte
	buf  []byte
	far  int // rows of a batch to another process
}

func newEdgeWriter[T any](e *edge[T], s *sending) *edgeWriter[T] {
	w := &edgeWriter[T]{edge: e, s: s, out: make([]*Batch[T], len(s.channels)), far: s.rows}
	if e.newKey != nil {
		w.key = e.newKey()
	}
	for i := range w.out {
		w.out[i] = e.pool.get()
		s.channels[i].wm = connector.NoTime
	}
	s.writer, s.wm, s.keep = w, connector.NoTime, e.keep
	return w
}

func (w *edgeWriter[T]) process(b *Batch[T]) error {
	if len(b.Values) == 0 {
		return nil
	}
	w.s.touch()
	w.s.stats.out.Add(int64(len(b.Values)))
	if err := w.spread(b); err != nil || w.s.pressure.batches < overflowMax {
		return err
	}
	return w.s.pressure.relieve()
}

func (w *edgeWriter[T]) spread(b *Batch[T]) error {
	switch w.s.partitioning {
	case dataflow.Hash:
		return w.hash(b)
	case dataflow.Broadcast:
		for i := range w.out {
			if err := w.append(i, b); err != nil {
				return err
			}
		}
		return nil
	case dataflow.Rebalance:
		turn := w.turn
		if len(w.out[turn].Values)+len(b.Values) >= w.s.rows {
			w.turn = (w.turn + 1) % len(w.out)
		}
		return w.append(turn, b)
	default:
		return w.append(0, b)
	}
}

// append adds a whole batch to a channel's.
func (w *edgeWriter[T]) append(i int, b *Batch[T]) error {
	o := w.out[i]
	o.Values = append(o.Values, b.Values...)
	o.Times = append(o.Times, b.Times...)
	if len(o.Values) >= w.limit(i) {
		return w.ship(i)
	}
	return nil
}

// hash sends each record to the subtask that owns its key group.
func (w *edgeWriter[T]) hash(b *Batch[T]) error {
	groups, parallelism := w.s.keyGroups, len(w.out)
	for k, v := range b.Values {
		w.buf = w.key(w.buf[:0], v)
		group := dataflow.KeyGroup(dataflow.KeyHash(w.buf), groups)
		i := dataflow.SubtaskOf(group, groups, parallelism)
		o := w.out[i]
		o.Append(v, b.Times[k])
		o.Groups = append(o.Groups, uint16(group))
		if len(o.Values) >= w.limit(i) {
			if err := w.ship(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// A batch to another process gathers up to farBatches times as many records as one that is
// handed over here, up to about farBytes: what a frame costs on its way does not depend on
// its size, and goroutines and threads are woken for each.
const (
	farBatches = 8
	farBytes   = 128 << 10
)

// limit is how many records make a channel's batch full.
func (w *edgeWriter[T]) limit(i int) int {
	if w.s.channels[i].local == nil {
		return w.far
	}
	return w.s.rows
}

// farRows is how many records the next batch to another process holds, when the last one's
// took so many bytes.
func farRows(rows, n, bytes int) int {
	return min(max(farBytes*n/bytes, rows), farBatches*rows)
}

// ship sends a channel's batch and the watermark behind it.
func (w *edgeWriter[T]) ship(i int) error {
	c := w.s.channels[i]
	moved := c.wm < w.s.wm
	if len(w.out[i].Values) > 0 {
		if err := w.send(c, i, moved); err != nil {
			return err
		}
	}
	if !moved {
		return nil
	}
	c.wm = w.s.wm
	return c.hand(w.s, element{kind: exchange.Watermark, arg: w.s.wm})
}

// send hands a channel's batch over, or puts it in line; more: a watermark follows.
func (w *edgeWriter[T]) send(c *outChannel, i int, more bool) error {
	if c.local == nil {
		payload := w.edge.encode(w.out[i])
		w.far = farRows(w.s.rows, len(w.out[i].Values), len(payload))
		rows := len(w.out[i].Values)
		w.out[i].Reset()
		return c.hand(w.s, element{kind: exchange.Batch, arg: int64(rows), payload: payload, more: more})
	}
	b := w.out[i]
	w.out[i] = w.edge.pool.get()
	return c.hand(w.s, element{kind: exchange.Batch, arg: int64(len(b.Values)), batch: b})
}

func (w *edgeWriter[T]) flush() error {
	w.s.since = time.Time{}
	for i := range w.out {
		if err := w.ship(i); err != nil {
			return err
		}
	}
	return nil
}

// watermark sends wm over the channels that have nothing before it. On the
// others it follows their batch. MaxWatermark is not sent: the End behind it
// says more. Time downstream must not jump to the end because this subtask is done
// and another one idle, which may come back.
func (w *edgeWriter[T]) watermark(wm int64) error {
	if wm <= w.s.wm || wm == MaxWatermark {
		return nil
	}
	w.s.wm = wm
	for i, o := range w.out {
		if len(o.Values) > 0 {
			w.s.touch()
			continue
		}
		if err := w.ship(i); err != nil {
			return err
		}
	}
	return nil
}

var _ flusher = (*edgeWriter[int])(nil)
