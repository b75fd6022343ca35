package catalog

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

type run = snapshot.Run

// span is a run of one writer's numbers with the newest checkpoint that refers
// to them.
type span struct {
	lo, hi uint64
	last   dataflow.CheckpointID
}

// spans are sorted and disjoint, and neighbours that could be one are one. They
// are never changed in place.
type spans []span

// from is the index of the first span that ends at lo or later.
func (s spans) from(lo uint64) int {
	return sort.Search(len(s), func(i int) bool { return s[i].hi >= lo })
}

func (s spans) overlaps(lo, hi uint64) bool {
	i := s.from(lo)
	return i < len(s) && s[i].lo <= hi
}

// replace returns s with everything in lo..hi replaced by the spans of mid.
func (s spans) replace(lo, hi uint64, mid ...span) spans {
	i := s.from(lo)
	j := i
	out := make(spans, 0, len(s)+len(mid)+1)
	out = append(out, s[:i]...)
	if i < len(s) && s[i].lo < lo {
		out = out.append(span{s[i].lo, lo - 1, s[i].last})
	}
	for _, m := range mid {
		out = out.append(m)
	}
	for ; j < len(s) && s[j].lo <= hi; j++ {
		if s[j].hi > hi {
			out = out.append(span{hi + 1, s[j].hi, s[j].last})
		}
	}
	for ; j < len(s); j++ {
		out = out.append(s[j])
	}
	return out
}

// append adds a span behind all others, in place.
func (s spans) append(x span) spans {
	if n := len(s); n > 0 && s[n-1].hi+1 == x.lo && s[n-1].last == x.last {
		s[n-1].hi = x.hi
		return s
	}
	return append(s, x)
}

// space holds the spans of many writers by prefix.
type space map[string]line

// line is one writer's spans. It repeats its prefix, so that all runs of one
// writer share one string.
type line struct {
	prefix string
	spans  spans
}

func (m space) overlay(runs []run, last dataflow.CheckpointID) {
	for _, r := range runs {
		l, found := m[r.Prefix]
		if !found {
			l.prefix = r.Prefix
		}
		l.spans = l.spans.replace(r.Lo, r.Hi, span{r.Lo, r.Hi, last})
		m[l.prefix] = l
	}
}

func (m space) remove(runs []run) {
	for _, r := range runs {
		l, found := m[r.Prefix]
		if !found {
			continue
		}
		if l.spans = l.spans.replace(r.Lo, r.Hi); len(l.spans) == 0 {
			delete(m, l.prefix)
			continue
		}
		m[l.prefix] = l
	}
}

// lastUsedBy are the parts of the runs whose newest reference is id.
func (m space) lastUsedBy(runs []run, id dataflow.CheckpointID) []run {
	var out []run
	for _, r := range runs {
		s := m[r.Prefix].spans
		for i := s.from(r.Lo); i < len(s) && s[i].lo <= r.Hi; i++ {
			if s[i].last == id {
				out = append(out, run{Prefix: r.Prefix, Lo: max(s[i].lo, r.Lo), Hi: min(s[i].hi, r.Hi)})
			}
		}
	}
	return out
}

// without are the parts of the runs that are not in m.
func (m space) without(runs []run) []run {
	var out []run
	for _, r := range runs {
		s := m[r.Prefix].spans
		at := r.Lo
		for i := s.from(r.Lo); i < len(s) && s[i].lo <= r.Hi; i++ {
			if s[i].lo > at {
				out = append(out, run{Prefix: r.Prefix, Lo: at, Hi: s[i].lo - 1})
			}
			at = s[i].hi + 1
		}
		if at <= r.Hi {
			out = append(out, run{Prefix: r.Prefix, Lo: at, Hi: r.Hi})
		}
	}
	return out
}

func (m space) runs() []run {
	var out []run
	for _, p := range slices.Sorted(maps.Keys(m)) {
		for _, s := range m[p].spans {
			out = append(out, run{Prefix: p, Lo: s.lo, Hi: s.hi})
		}
	}
	return out
}

// intern returns the runs with the prefixes' strings that m has already.
func (m space) intern(runs []run) []run {
	for i := range runs {
		if l, found := m[runs[i].Prefix]; found {
			runs[i].Prefix = l.prefix
		}
	}
	return runs
}

// intersect are the parts of a that are in b. Both are normalized.
func intersect(a, b []run) []run {
	in := space{}
	in.overlay(b, 0)
	out := space{}
	out.overlay(a, 0)
	out.remove(in.without(a))
	return out.runs()
}

// Normalize returns the runs sorted by prefix and number, with neighbours and
// overlaps joined, in a new slice. A run without a prefix, one that is empty and
// one that begins at 0 are invalid (ErrInvalid).
func Normalize(runs []snapshot.Run) ([]snapshot.Run, error) {
	for _, r := range runs {
		if r.Prefix == "" || r.Lo == 0 || r.Hi < r.Lo || r.Hi == math.MaxUint64 {
			return nil, fmt.Errorf("%w: run %q %d..%d", ErrInvalid, r.Prefix, r.Lo, r.Hi)
		}
	}
	return merge(slices.Clone(runs)), nil
}

// merge sorts valid runs and joins neighbours, in place.
func merge(runs []run) []run {
	slices.SortFunc(runs, func(a, b run) int {
		return cmp.Or(strings.Compare(a.Prefix, b.Prefix), cmp.Compare(a.Lo, b.Lo), cmp.Compare(a.Hi, b.Hi))
	})
	out := runs[:0]
	for _, r := range runs {
		if n := len(out); n > 0 && out[n-1].Prefix == r.Prefix && r.Lo <= out[n-1].Hi+1 {
			out[n-1].Hi = max(out[n-1].Hi, r.Hi)
			continue
		}
		out = append(out, r)
	}
	return out
}
