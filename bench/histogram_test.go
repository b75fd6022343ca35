package bench

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestHistogramAgreesWithSorting: every percentile is that of the sorted values, to
// one part in 2^subBits, and never too small.
func TestHistogramAgreesWithSorting(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var h histogram
	var all []time.Duration
	for range 100_000 {
		d := time.Duration(r.Uint64() >> (1 + r.IntN(63)))
		h.add(d)
		all = append(all, d)
	}
	slices.Sort(all)
	for _, p := range []float64{0, 1, 50, 99, 99.9, 99.99, 100} {
		want := all[min(int(float64(len(all))*p/100), len(all)-1)]
		got := h.percentile(p)
		if got < want || got-want > want>>subBits {
			t.Errorf("p%v: %d, want %d", p, got, want)
		}
	}
}

func TestHistogramOfNothing(t *testing.T) {
	var h histogram
	if p := h.percentile(50); p != 0 {
		t.Errorf("p50 of nothing is %v", p)
	}
	h.add(-time.Second)
	if p := h.percentile(100); p != 0 || h.n != 1 {
		t.Errorf("a negative duration counts as %v, %d times", p, h.n)
	}
}

func TestQuantile(t *testing.T) {
	v := []float64{5, 1, 4, 2, 3}
	if m, q := median(v), quantile(v, 100); m != 3 || q != 5 {
		t.Errorf("median %v, greatest %v", m, q)
	}
	if m := median[time.Duration](nil); m != 0 {
		t.Errorf("median of nothing is %v", m)
	}
}
