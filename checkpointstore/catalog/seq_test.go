package catalog

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestSeqAgainstSlices: whatever is replaced where, the next value is what a slice
// would be, and all older values are what they were.
func TestSeqAgainstSlices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type version struct {
			seq  seq[int]
			want []int
		}
		versions := []version{{}}
		place := func(v version, i int) place {
			p := v.seq.settle(place{})
			for range i {
				p = v.seq.next(p)
			}
			return p
		}
		for next := range rapid.IntRange(1, 40).Draw(t, "changes") {
			old := versions[rapid.IntRange(max(0, next-2), next).Draw(t, "from")]
			n := len(old.want)
			i := rapid.SampledFrom([]int{0, n / 2, n - min(n, 3), n}).Draw(t, "i")
			j := min(n, i+rapid.SampledFrom([]int{0, 0, 1, 2, chunkMax, 3 * chunkMax}).Draw(t, "out"))
			mid := make([]int, rapid.SampledFrom([]int{0, 1, 2, chunkMax, 5 * chunkMax}).Draw(t, "in"))
			for k := range mid {
				mid[k] = next*1000 + k
			}
			versions = append(versions, version{
				seq:  old.seq.replace(place(old, i), place(old, j), mid...),
				want: slices.Concat(old.want[:i], mid, old.want[j:]),
			})
		}
		for i, v := range versions {
			checkSeq(t, i, v.seq, v.want)
		}
	})
}

func checkSeq(t *rapid.T, i int, s seq[int], want []int) {
	if got := s.slice(); !slices.Equal(got, want) || s.n != len(want) {
		t.Fatalf("value %d: got %v (%d), want %v", i, got, s.n, want)
	}
	backward := slices.Collect(s.before(s.end()))
	if slices.Reverse(backward); !slices.Equal(backward, want) {
		t.Fatalf("value %d backward: got %v, want %v", i, backward, want)
	}
	if len(s.body) > 0 && len(s.head) == 0 || s.n > 0 && len(s.tail) == 0 || slices.ContainsFunc(s.body, func(c []int) bool { return len(c) == 0 }) {
		t.Fatalf("value %d: head of %d, body %v, tail of %d", i, len(s.head), s.body, len(s.tail))
	}
	first, some := s.first()
	last, _ := s.last()
	if some != (len(want) > 0) || some && (first != want[0] || last != want[len(want)-1]) {
		t.Fatalf("value %d: first %d, last %d of %v", i, first, last, want)
	}
}

func TestSeqSearch(t *testing.T) {
	var s seq[int]
	for i := range 5 * chunkMax {
		s = s.append(2 * i)
	}
	for s.n > 0 {
		for want := range 10*chunkMax + 1 {
			first, _ := s.first()
			last, _ := s.last()
			p := s.search(func(v int) bool { return v >= want })
			switch {
			case want > last:
				if s.within(p) {
					t.Fatalf("found %d of up to %d at %v", want, last, p)
				}
			case s.get(p) != max(first, want+want%2):
				t.Fatalf("found %d for %d of %d to %d", s.get(p), want, first, last)
			}
		}
		first, _ := s.first()
		s = s.replace(place{}, s.search(func(v int) bool { return v >= first+20 }))
	}
}
