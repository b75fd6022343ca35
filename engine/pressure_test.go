package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/exchange"
)

// oneChannel is an edge with one channel between two subtasks of a process, with credit for
// one batch. Batches are their numbers.
type oneChannel struct {
	s      *sending
	out    *outChannel
	in     *inChannel
	g      *gate
	sender chan struct{}
	handed []dataflow.CheckpointID
}

func newOneChannel() *oneChannel {
	c := &oneChannel{g: newGate(make(chan struct{}, 1)), sender: make(chan struct{}, 1)}
	c.in = c.g.addLocal(channelOf{overtakable: true}, 1, c.sender, nil)
	c.out = &outChannel{local: c.in}
	c.s = &sending{partitioning: dataflow.Hash, channels: []*outChannel{c.out}, pressure: &pressure{
		handed: func(_ *sending, t *Trigger) { c.handed = append(c.handed, t.ID) },
	}}
	return c
}

func (c *oneChannel) hand(t *testing.T, elements ...element) {
	t.Helper()
	for _, e := range elements {
		if err := c.out.hand(c.s, e); err != nil {
			t.Fatal(err)
		}
	}
}

// take takes everything that is in the gate, with the news first, and gives credit back.
func (c *oneChannel) take(t *testing.T) string {
	t.Helper()
	var all []string
	for _, n := range c.g.readNews(nil) {
		if n.trigger != nil {
			all = append(all, fmt.Sprint("news ", n.trigger.ID))
		} else {
			all = append(all, fmt.Sprint("cancel ", n.cancelled))
		}
	}
	for {
		_, e, ok, err := c.g.poll()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return strings.Join(all, ", ")
		}
		if all = append(all, text(e)); e.kind == exchange.Batch {
			c.in.done()
		}
	}
}

func text(e element) string {
	name := map[exchange.FrameKind]string{exchange.Batch: "batch", exchange.Watermark: "watermark", exchange.Barrier: "barrier", exchange.End: "end"}[e.kind]
	return fmt.Sprint(name, " ", e.arg)
}

func (c *oneChannel) drain(t *testing.T) bool {
	t.Helper()
	some, err := c.s.drain()
	if err != nil {
		t.Fatal(err)
	}
	return some
}

func batchNumber(n int64) element { return element{kind: exchange.Batch, arg: n, batch: n} }

func watermarkAt(n int64) element { return element{kind: exchange.Watermark, arg: n} }

// TestWhatHasNoCreditWaitsInLine hands over more than there is credit for: the sender goes on,
// order is kept, of a row of watermarks the last counts, and credit wakes the sender once.
func TestWhatHasNoCreditWaitsInLine(t *testing.T) {
	c := newOneChannel()
	c.hand(t, batchNumber(1), watermarkAt(10), batchNumber(2), watermarkAt(20), watermarkAt(21), batchNumber(3), barrierOf(&Trigger{ID: 7}))
	if p := c.s.pressure; !p.waits() || p.batches != 2 || p.channels != 1 || len(c.out.line) != 4 {
		t.Fatalf("%d batches in %d channels, %d elements in line; want 2, 1 and 4", p.batches, p.channels, len(c.out.line))
	}
	if c.drain(t) {
		t.Error("something was handed over without credit")
	}
	for _, want := range []string{"batch 1, watermark 10", "batch 2, watermark 21", "batch 3, barrier 7"} {
		if got := c.take(t); got != want {
			t.Errorf("the receiver has %q, want %q", got, want)
		}
		select {
		case <-c.sender:
		default:
			if c.s.pressure.waits() {
				t.Error("credit came and the sender was not woken")
			}
		}
		c.drain(t)
	}
	if p := c.s.pressure; p.waits() || p.batches != 0 || !slices.Equal(c.handed, []dataflow.CheckpointID{7}) {
		t.Errorf("%d batches in %d channels are left, barriers %v handed over", p.batches, p.channels, c.handed)
	}
}

// TestABarrierPassesTheLine overtakes what waits, before the barrier is in line and when it is.
func TestABarrierPassesTheLine(t *testing.T) {
	for _, waits := range []bool{false, true} {
		c, b := newOneChannel(), &Trigger{ID: 7, Mode: Unaligned}
		c.hand(t, batchNumber(1), batchNumber(2), watermarkAt(20), batchNumber(3))
		if waits {
			c.hand(t, barrierOf(b), batchNumber(4))
		}
		over, err := c.out.overtake(c.s, b)
		if err != nil || len(over) != 2 || over[0].arg != 2 || over[1].arg != 3 {
			t.Fatalf("barrier in line %v: %v are overtaken, error %v; want batches 2 and 3", waits, over, err)
		}
		if got := c.take(t); got != "news 7, batch 1, barrier 7" {
			t.Errorf("barrier in line %v: the receiver has %q", waits, got)
		}
		var rest []string
		for c.drain(t) {
			rest = append(rest, c.take(t))
		}
		want := "batch 2, watermark 20; batch 3"
		if waits {
			want += "; batch 4"
		}
		if got := strings.Join(rest, "; "); got != want || c.s.pressure.waits() || len(c.handed) > 0 {
			t.Errorf("barrier in line %v: then %q, want %q; %d channels wait, %v were handed over", waits, got, want, c.s.pressure.channels, c.handed)
		}
	}
}

// TestNewsIsReadBeforeItsBarrierComes: nothing is taken while there is news, a marker takes no
// place in line, and what lies before a barrier can be looked at.
func TestNewsIsReadBeforeItsBarrierComes(t *testing.T) {
	c, b := newOneChannel(), &Trigger{ID: 7, Mode: Unaligned}
	c.hand(t, batchNumber(1), barrierOf(&Trigger{ID: 6}), barrierOf(b))
	c.in.push(element{kind: exchange.Cancel, arg: 5})
	if _, e, ok, err := c.g.poll(); ok || err != nil {
		t.Fatalf("took %s, error %v, with news unread", text(e), err)
	}
	if before := c.g.before(0, 7); len(before) != 1 || c.g.queued(0, 6) != 1 {
		t.Errorf("%d batches before barrier 7, want 1", len(before))
	}
	if got := c.take(t); got != "news 7, cancel 5, batch 1, barrier 6, barrier 7" {
		t.Errorf("got %q", got)
	}
}
