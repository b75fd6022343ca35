package catalog_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

// history is a job of 16 processes whose checkpoints each let go of some objects and
// name some new ones.
type history struct {
	catalog  *catalog.Catalog
	id       int
	retained int
	attempt  int
	prefixes []string
	owed     bool // sinks commit after each
}

// begin starts another attempt: its processes write under names of their own.
func (h *history) begin() {
	h.attempt++
	h.prefixes = nil
	for p := range 16 {
		h.prefixes = append(h.prefixes, fmt.Sprintf("cluster/jobs/job/%d/process-%d/", h.attempt, p))
	}
}

func (h *history) step() {
	h.id++
	objects := make([]snapshot.Run, 0, len(h.prefixes))
	for _, p := range h.prefixes {
		objects = append(objects, snapshot.Run{Prefix: p, Lo: uint64(1 + h.id), Hi: uint64(100 + h.id)})
	}
	id := dataflow.CheckpointID(h.id)
	c, _, err := h.catalog.Complete(catalog.Record{ID: id, Metadata: metadata(id), Objects: objects, Owed: h.owed}, nil, h.retained)
	if err != nil {
		panic(err)
	}
	if h.owed {
		c, _ = c.Confirm(id, h.retained)
	}
	if h.catalog, err = c.Forget(c.Garbage()); err != nil {
		panic(err)
	}
}

// retaining is a job that has that many checkpoints, of several attempts, and drops
// the oldest with each that completes.
func retaining(n int, owed bool) *history {
	h := &history{catalog: catalog.New(), retained: n, owed: owed}
	for i := range n + 1 {
		if i%2500 == 0 {
			h.begin()
		}
		h.step()
	}
	return h
}

// TestCompletingCostsTheSameWithManyRetained counts the work of a completion: with
// 10,000 retained checkpoints it is less than 1.5 times what it is with 10.
func TestCompletingCostsTheSameWithManyRetained(t *testing.T) {
	for _, owed := range []bool{false, true} {
		few, fewBytes := work(retaining(10, owed))
		many, manyBytes := work(retaining(10_000, owed))
		t.Logf("owed %v: %.0f and %.0f allocations, %d and %d bytes a completion with 10 and 10,000", owed, few, many, fewBytes, manyBytes)
		if many > 1.5*few {
			t.Errorf("owed %v: %.0f allocations with 10,000, %.0f with 10", owed, many, few)
		}
		if float64(manyBytes) > 1.5*float64(fewBytes) {
			t.Errorf("owed %v: %d bytes with 10,000, %d with 10", owed, manyBytes, fewBytes)
		}
	}
}

// work are the allocations and bytes of a completion, over some hundreds.
func work(h *history) (allocations float64, bytes uint64) {
	const runs = 10 * 64
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	allocations = testing.AllocsPerRun(runs, h.step)
	runtime.ReadMemStats(&after)
	return allocations, (after.TotalAlloc - before.TotalAlloc) / (runs + 1)
}

// BenchmarkComplete prints what a completion costs by the number of retained
// checkpoints, with 16 processes each.
func BenchmarkComplete(b *testing.B) {
	for _, retained := range []int{1, 10, 100, 1000, 10_000} {
		b.Run(fmt.Sprintf("retained=%d", retained), func(b *testing.B) {
			h := retaining(retained, false)
			b.ReportAllocs()
			for b.Loop() {
				h.step()
			}
		})
	}
}
