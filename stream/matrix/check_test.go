package matrix

import (
	"fmt"
)

// check compares what was committed with the reference.
func (w *world) check() error {
	for _, n := range w.graph.nodes {
		if n.kind == sinkNode {
			if err := w.compare(n.out, w.sinkOf(n).Committed()); err != nil {
				return fmt.Errorf("sink n%d: %w", n.id, err)
			}
		}
		if s := w.extras[n.id]; s != nil {
			if err := w.compare(w.atLeast(n.extra), w.atLeast(s.Committed())); err != nil {
				return fmt.Errorf("what n%d (%s) counted: %w", n.id, kindNames[n.kind], err)
			}
		}
		if s := w.lates[n.id]; s != nil && !w.repeats && len(s.Committed()) > 0 {
			return fmt.Errorf("n%d took %d records as late, and none is: %+v", n.id, len(s.Committed()), s.Committed()[0])
		}
	}
	return nil
}

// atLeast makes the sums of windows comparable when records may come twice: a sum of five
// says that there were four, three, two and one.
func (w *world) atLeast(counts []rec) []rec {
	if !w.repeats {
		return counts
	}
	var all []rec
	for _, c := range counts {
		if c.Path != sumPath {
			all = append(all, c)
			continue
		}
		for n := 1; n <= c.N; n++ {
			all = append(all, summed(c.Key, c.Time, n))
		}
	}
	return all
}

// compare tells the first difference between two bags of records.
func (w *world) compare(want, got []rec) error {
	left := map[rec]int{}
	for _, r := range got {
		left[r]++
	}
	for _, r := range want {
		if left[r]--; left[r] < 0 {
			return fmt.Errorf("%+v is missing (%d records, want %d)", r, len(got), len(want))
		}
	}
	if w.repeats {
		return nil
	}
	for _, r := range got {
		if left[r] > 0 {
			return fmt.Errorf("%+v is there %d times too often (%d records, want %d)", r, left[r], len(got), len(want))
		}
	}
	return nil
}
