package bench

import (
	"math/bits"
	"slices"
	"time"
)

// subBits is the precision of a histogram: a value is known to one part in 2^subBits.
const subBits = 6

// histogram counts durations in buckets that grow with their value, so that it
// takes any number of them in 30 KiB and no time. The zero value is empty. One
// goroutine uses it.
type histogram struct {
	counts [(64 - subBits) << subBits]uint64
	n      uint64
	max    time.Duration
}

// add counts one duration. Negative ones count as 0.
func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(uint64(d))]++
	h.n++
	h.max = max(h.max, d)
}

// addMany counts a duration n times.
func (h *histogram) addMany(d time.Duration, n uint64) {
	d = max(d, 0)
	h.counts[bucketOf(uint64(d))] += n
	h.n += n
	h.max = max(h.max, d)
}

// sparse is the histogram as pairs of a bucket and its count, of those that are not
// empty, and at the end the greatest value; nil if it is empty.
func (h *histogram) sparse() [][2]uint64 {
	if h.n == 0 {
		return nil
	}
	var out [][2]uint64
	for i, c := range h.counts {
		if c > 0 {
			out = append(out, [2]uint64{uint64(i), c})
		}
	}
	return append(out, [2]uint64{uint64(h.max), 0})
}

// merge adds what sparse returned.
func (h *histogram) merge(pairs [][2]uint64) {
	for _, p := range pairs {
		if p[1] == 0 {
			h.max = max(h.max, time.Duration(p[0]))
		} else if p[0] < uint64(len(h.counts)) {
			h.counts[p[0]] += p[1]
			h.n += p[1]
		}
	}
}

// bucketOf is the place of a value: below 2^subBits its own, above it that of its
// first subBits+1 bits.
func bucketOf(v uint64) int {
	shift := max(bits.Len64(v)-subBits-1, 0)
	return shift<<subBits + int(v>>shift)
}

// percentile is the upper end of the bucket that holds the p-th percentile, at
// most the greatest value; 0 of an empty histogram.
func (h *histogram) percentile(p float64) time.Duration {
	rank := uint64(float64(h.n) * p / 100)
	var seen uint64
	for i, c := range h.counts {
		if seen += c; seen > rank {
			return min(time.Duration(upperEnd(i)), h.max)
		}
	}
	return h.max
}

// upperEnd is the greatest value in bucket i.
func upperEnd(i int) uint64 {
	shift := max(i>>subBits-1, 0)
	first := uint64(i - shift<<subBits)
	return (first+1)<<shift - 1
}

// median of some numbers; 0 of none. It sorts them.
func median[T float64 | time.Duration](v []T) T {
	return quantile(v, 50)
}

// quantile is the p-th percentile of some numbers; 0 of none. It sorts them.
func quantile[T float64 | time.Duration](v []T, p int) T {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return v[min(len(v)*p/100, len(v)-1)]
}
