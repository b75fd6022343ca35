package catalog

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
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

// spans are sorted and disjoint, and neighbours that could be one are one.
type spans struct{ seq[span] }

// reaching is the place of the first span that ends at n or later.
func (s spans) reaching(n uint64) place {
	return s.search(func(x span) bool { return x.hi >= n })
}

func (s spans) overlaps(lo, hi uint64) bool {
	p := s.reaching(lo)
	return s.seq.within(p) && s.get(p).lo <= hi
}

// touching yields the spans that have a number in lo..hi, in order.
func (s spans) touching(lo, hi uint64) iter.Seq[span] {
	return func(yield func(span) bool) {
		for _, x := range s.from(s.reaching(lo)) {
			if x.lo > hi || !yield(x) {
				return
			}
		}
	}
}

// replace returns s with everything in lo..hi replaced by x, or by nothing.
func (s spans) replace(lo, hi uint64, x *span) spans {
	p := s.reaching(lo)
	if at := s.reaching(lo - 1); x != nil && s.seq.within(at) && s.get(at).hi+1 == lo && s.get(at).last == x.last {
		p = at // one with x
	}
	q := p
	var left, right []span
	for at, y := range s.from(p) {
		if y.lo > hi && !(x != nil && y.lo == hi+1 && y.last == x.last) {
			break
		}
		q = s.next(at)
		if y.lo < lo {
			left = append(left, span{y.lo, min(y.hi, lo-1), y.last})
		}
		if y.hi > hi {
			right = append(right, span{max(y.lo, hi+1), y.hi, y.last})
		}
	}
	if x != nil {
		left = append(left, *x)
	}
	return spans{s.seq.replace(p, q, joined(append(left, right...))...)}
}

// joined makes neighbours that can be one into one, in place.
func joined(parts []span) []span {
	out := parts[:0]
	for _, x := range parts {
		if n := len(out); n > 0 && out[n-1].hi+1 == x.lo && out[n-1].last == x.last {
			out[n-1].hi = x.hi
			continue
		}
		out = append(out, x)
	}
	return out
}

// space holds the spans of many writers by prefix. Lines are never changed in place.
type space map[string]*line

// line is one writer's spans. It repeats its prefix, so that all runs of one
// writer share one string.
type line struct {
	prefix string
	spans  spans
}

// of are a writer's spans; none of one that is not known.
func (m space) of(prefix string) spans {
	if l := m[prefix]; l != nil {
		return l.spans
	}
	return spans{}
}

func (m space) overlay(runs []run, last dataflow.CheckpointID) {
	for _, r := range runs {
		next := line{prefix: r.Prefix}
		if l := m[r.Prefix]; l != nil {
			next = *l
		}
		next.spans = next.spans.replace(r.Lo, r.Hi, &span{r.Lo, r.Hi, last})
		m[next.prefix] = &next
	}
}

func (m space) remove(runs []run) {
	for _, r := range runs {
		l := m[r.Prefix]
		if l == nil {
			continue
		}
		next := line{prefix: l.prefix, spans: l.spans.replace(r.Lo, r.Hi, nil)}
		if m[l.prefix] = &next; next.spans.n == 0 {
			delete(m, l.prefix)
		}
	}
}

// lastUsedBy are the parts of the runs whose newest reference is id.
func (m space) lastUsedBy(runs []run, id dataflow.CheckpointID) []run {
	var out []run
	for _, r := range runs {
		for x := range m.of(r.Prefix).touching(r.Lo, r.Hi) {
			if x.last == id {
				out = append(out, run{Prefix: r.Prefix, Lo: max(x.lo, r.Lo), Hi: min(x.hi, r.Hi)})
			}
		}
	}
	return out
}

// without are the parts of the runs that are not in m.
func (m space) without(runs []run) []run {
	var out []run
	for _, r := range runs {
		at := r.Lo
		for x := range m.of(r.Prefix).touching(r.Lo, r.Hi) {
			if x.lo > at {
				out = append(out, run{Prefix: r.Prefix, Lo: at, Hi: x.lo - 1})
			}
			at = x.hi + 1
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
		for x := range m[p].spans.all() {
			out = append(out, run{Prefix: p, Lo: x.lo, Hi: x.hi})
		}
	}
	return out
}

// intern returns the runs with the prefixes' strings that m has already.
func (m space) intern(runs []run) []run {
	for i := range runs {
		if l := m[runs[i].Prefix]; l != nil {
			runs[i].Prefix = l.prefix
		}
	}
	return runs
}

// intersect are the parts of a that are in b. Both are sorted and disjoint.
func intersect(a, b []run) []run {
	var out []run
	for len(a) > 0 && len(b) > 0 {
		x, y := a[0], b[0]
		before := cmp.Or(strings.Compare(x.Prefix, y.Prefix), cmp.Compare(x.Hi, y.Hi))
		if x.Prefix == y.Prefix && x.Lo <= y.Hi && y.Lo <= x.Hi {
			out = append(out, run{Prefix: x.Prefix, Lo: max(x.Lo, y.Lo), Hi: min(x.Hi, y.Hi)})
		}
		if before <= 0 {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return out
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
