package engine

import (
	"testing"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
)

// TestVolumeOfRecords: about as they are encoded, whatever their type.
func TestVolumeOfRecords(t *testing.T) {
	text, fixed, none := newSampler[string](), newSampler[int64](), newSampler[func()]()
	if got := text.bytes([]string{"0123456789", "x", ""}); got < 3*10 || got > 3*16 {
		t.Errorf("three like 0123456789: %d bytes", got)
	}
	if got := fixed.bytes([]int64{1, 1, 1, 1}); got < 4 || got > 4*9 {
		t.Errorf("four numbers: %d bytes", got)
	}
	if got := none.bytes(make([]func(), 2)); got != 16 {
		t.Errorf("two of a type without a codec: %d bytes", got)
	}
	if got := text.bytes(nil); got != 0 {
		t.Errorf("nothing: %d bytes", got)
	}
	values := []string{"0123456789"}
	if n := testing.AllocsPerRun(100, func() { text.bytes(values) }); n > 0 {
		t.Errorf("%v allocations a read", n)
	}
}

// behind is a reader that works off a backlog, or not.
type behind struct {
	connector.Reader[int64]
	yes bool
}

func (b *behind) Backlog() bool    { return b.yes }
func (b *behind) Position() []byte { return nil }
func (b *behind) Close() error     { return nil }

// TestASourcesCounts: reads add up, and there is a backlog while any of the splits
// has one; a split that has come to its end has none.
func TestASourcesCounts(t *testing.T) {
	n := &sourceNode[int64]{sampler: newSampler[int64]()}
	n.op = &OpContext{stats: newCounters()}
	stats := func() SubtaskStats { return n.op.stats.stats(dataflow.TaskID{}) }
	a, b := &behind{yes: true}, &behind{}
	one, other := &split[int64]{reader: a}, &split[int64]{reader: b}
	n.recs.Values = []int64{1, 2, 3}
	n.count(one)
	n.count(one)
	n.count(other)
	if s := stats(); s.SourceRecords != 9 || s.SourceBytes < 9 || !s.Backlog {
		t.Errorf("got %+v, want 9 records and a backlog", s)
	}
	b.yes = true
	n.count(other)
	a.yes = false
	n.count(one)
	if !stats().Backlog {
		t.Error("no backlog while one of two has one")
	}
	if err := n.endSplit(other); err != nil {
		t.Fatal(err)
	}
	if stats().Backlog {
		t.Error("a backlog of a split that has ended")
	}
}
