package engine

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/cairnstream/cairn/connector/blackhole"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

// TestRestoredWatermark: idle channels can make the watermark of one subtask
// run ahead of another's. A subtask goes on with its own, or it would drop records
// that it had still taken.
func TestRestoredWatermark(t *testing.T) {
	r := &restored{}
	for _, wm := range []uint64{100, 10} {
		r.parts = append(r.parts, snapshot.Operator{Lists: map[string][][]byte{watermarkList: {binary.BigEndian.AppendUint64(nil, wm)}}})
	}
	for _, c := range []struct {
		subtask, parallelism int
		want                 int64
	}{{0, 2, 100}, {1, 2, 10}, {0, 1, 100}, {2, 3, 100}} {
		if got := r.watermark(c.subtask, c.parallelism); got != c.want {
			t.Errorf("subtask %d of %d: %d, want %d", c.subtask, c.parallelism, got, c.want)
		}
	}
	for group, want := range map[int]int64{0: 100, 7: 100, 8: 10, 15: 10} {
		if got := r.watermarkOf(group, 16); got != want {
			t.Errorf("key group %d: %d, want %d", group, got, want)
		}
	}
}

// TestWatermarksOfGroupsSurviveTwoRestores: a cut right after a restore, before any watermark,
// keeps that some key groups were behind the others.
func TestWatermarksOfGroupsSurviveTwoRestores(t *testing.T) {
	r := &restored{}
	for _, wm := range []uint64{100, 10, 50} {
		r.parts = append(r.parts, snapshot.Operator{Lists: map[string][][]byte{watermarkList: {binary.BigEndian.AppendUint64(nil, wm)}}})
	}
	const groups = 48
	for _, parallelism := range []int{1, 2, 2, 5, 4} {
		next := &restored{}
		for subtask := range parallelism {
			n := &body{base: base{op: &OpContext{KeyGroups: groups, restored: r}}, wm: r.watermark(subtask, parallelism)}
			n.op.Parallelism, n.op.Subtask = parallelism, subtask
			next.parts = append(next.parts, snapshot.Operator{Lists: map[string][][]byte{watermarkList: n.watermarks()}})
		}
		r = next
		for group, want := range map[int]int64{0: 100, 15: 100, 16: 10, 31: 10, 32: 50, 47: 50} {
			if got := r.watermarkOf(group, groups); got != want {
				t.Errorf("parallelism %d, key group %d: %d, want %d", parallelism, group, got, want)
			}
		}
	}
	n := &body{base: base{op: &OpContext{KeyGroups: groups, restored: r}}, wm: 100, moved: true}
	n.op.Parallelism = 1
	if got := n.watermarks(); len(got) != 1 {
		t.Errorf("after a watermark %d items are kept: no group is behind any more", len(got))
	}
}

// TestGroupsBehind: only a subtask with key groups of several watermarks has some behind.
func TestGroupsBehind(t *testing.T) {
	r := &restored{}
	for _, wm := range []uint64{100, 10, 100, 100} {
		r.parts = append(r.parts, snapshot.Operator{Lists: map[string][][]byte{watermarkList: {binary.BigEndian.AppendUint64(nil, wm)}}})
	}
	for _, c := range []struct {
		subtask, parallelism int
		want                 bool
	}{{1, 4, false}, {0, 4, false}, {0, 2, true}, {1, 2, false}, {0, 1, true}, {2, 8, true}} {
		op := &OpContext{KeyGroups: 16, restored: r, RestoredWatermark: r.watermark(c.subtask, c.parallelism)}
		op.Parallelism, op.Subtask = c.parallelism, c.subtask
		if got := op.GroupsBehind(); got != c.want {
			t.Errorf("subtask %d of %d: %v, want %v", c.subtask, c.parallelism, got, c.want)
		}
	}
	if (&OpContext{RestoredWatermark: 5}).GroupsBehind() {
		t.Error("groups are behind without a restore")
	}
}

// TestRestoreKeepsTransactions: a sink that has lost its two-phase commit can
// not make the restore point's output visible, so the restore is refused.
func TestRestoreKeepsTransactions(t *testing.T) {
	p := &Program{Graph: &dataflow.Graph{Operators: []dataflow.Operator{{UID: "out", Kind: dataflow.Sink, Parallelism: 1}}}, Operators: map[dataflow.UID]Operator{"out": NewSink[int](blackhole.Sink[int]{})}}
	r := &Restore{Checkpoint: 7, Processes: []snapshot.Process{{Subtasks: []snapshot.Subtask{{Operators: []snapshot.Operator{
		{UID: "out", Transactions: []snapshot.Transaction{{Checkpoint: 7}}},
	}}}}}}
	if err := checkRestore(p, r); !errors.Is(err, errNotTransactional) {
		t.Errorf("got %v", err)
	}
	r.CommitsKnown = 7
	if err := checkRestore(p, r); err != nil {
		t.Errorf("with all commits known: %v", err)
	}
}
