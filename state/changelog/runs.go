package changelog

import (
	"cmp"
	"slices"

	"github.com/cairnstream/cairn/snapshot"
)

// runs collects objects as intervals.
type runs []snapshot.Run

func (r *runs) add(prefix string, number uint64) {
	if n := len(*r); n > 0 {
		last := &(*r)[n-1]
		if last.Prefix == prefix && last.Lo <= number && number <= last.Hi+1 {
			last.Hi = max(last.Hi, number)
			return
		}
	}
	*r = append(*r, snapshot.Run{Prefix: prefix, Lo: number, Hi: number})
}

func (r *runs) addKey(key string) error {
	prefix, number, err := parseKey(key)
	if err == nil {
		r.add(prefix, number)
	}
	return err
}

// merged returns the runs in order, disjoint and not touching each other.
func (r runs) merged() []snapshot.Run {
	slices.SortFunc(r, func(a, b snapshot.Run) int {
		return cmp.Or(cmp.Compare(a.Prefix, b.Prefix), cmp.Compare(a.Lo, b.Lo))
	})
	var out []snapshot.Run
	for _, run := range r {
		if n := len(out); n > 0 && out[n-1].Prefix == run.Prefix && run.Lo <= out[n-1].Hi+1 {
			out[n-1].Hi = max(out[n-1].Hi, run.Hi)
			continue
		}
		out = append(out, run)
	}
	return out
}

// sumsOf returns the sums of the runs' objects, run by run.
func sumsOf(runs []snapshot.Run, sums map[string]snapshot.Sum) []snapshot.Sum {
	out := make([]snapshot.Sum, 0, len(sums))
	for _, r := range runs {
		for n := r.Lo; n <= r.Hi; n++ {
			out = append(out, sums[objectKey(r.Prefix, n)])
		}
	}
	return out
}
