package changelog

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cairnstream/cairn/snapshot"
)

const (
	// readBytes is about the largest read: it bounds a restore's memory.
	readBytes = 16 << 20
	// readGap is how many bytes between two segments are read and dropped
	// rather than asking twice: what an object store sends in the time that it
	// takes to answer.
	readGap = 1 << 20
)

// chain is one handle's segments for one target, in stages. A stage needs all
// stages before it; the segments of one stage hold different entries and need
// not wait for each other. Chains of one target hold different key groups.
type chain struct {
	target int
	lo, hi int // key groups
	stages []stage
}

// stage is a segment of changes, or the segments of an image.
type stage struct {
	segments []snapshot.Segment
	image    string // of files: what their names have in common
}

// files reports whether the stage is an image in files.
func (s *stage) files() bool { return s.segments[0].Kind == snapshot.SegmentFile }

// narrow returns, for each handle, its segments cut down to the key groups; and
// all of them in one list.
func narrow(target int, handles []snapshot.Keyed, lo, hi int) (chains []*chain, all []snapshot.Segment) {
	for _, k := range handles {
		c := &chain{target: target, lo: max(k.GroupLo, lo), hi: min(k.GroupHi, hi)}
		for _, s := range k.Segments {
			s.GroupLo, s.GroupHi = max(s.GroupLo, c.lo), min(s.GroupHi, c.hi)
			if s.GroupLo <= s.GroupHi {
				c.add(s)
				all = append(all, s)
			}
		}
		if len(c.stages) > 0 {
			chains = append(chains, c)
		}
	}
	return chains, all
}

// add appends the next segment of the handle.
func (c *chain) add(s snapshot.Segment) {
	image := ""
	if s.Kind == snapshot.SegmentFile {
		image = s.Name[:strings.LastIndexByte(s.Name, '/')+1]
	}
	if n := len(c.stages); n > 0 {
		last := &c.stages[n-1]
		if s.Base && last.segments[0].Base && last.segments[0].Kind == s.Kind && last.image == image {
			last.segments = append(last.segments, s)
			return
		}
	}
	c.stages = append(c.stages, stage{segments: []snapshot.Segment{s}, image: image})
}

// piece is a segment's place in its chain.
type piece struct {
	chain   int
	stage   int
	segment snapshot.Segment
}

// read is one GET: a range of an object that holds the parts, which are in the
// order in which they are applied. An image in files is a read without a
// range and of one piece, which stands for its stage.
type read struct {
	key      string
	from, to int64
	parts    []piece
}

// planner puts reads into an order in which each finds applied what its parts
// need. Where the chains allow it, which is the rule, each object is in reads
// once, and no byte of it in two.
type planner struct {
	chains  []*chain
	left    [][]int // by chain and stage: segments that are not planned
	current []int   // by chain: the first stage that is not planned
}

// planReads returns the reads for all the chains, in order.
func planReads(chains []*chain) []*read {
	p := &planner{chains: chains, current: make([]int, len(chains))}
	var parts []piece
	var waiting []*read
	for i, c := range chains {
		left := make([]int, len(c.stages))
		for j := range c.stages {
			s := &c.stages[j]
			if s.files() {
				left[j] = 1
				waiting = append(waiting, &read{parts: []piece{{i, j, s.segments[0]}}})
				continue
			}
			left[j] = len(s.segments)
			for _, seg := range s.segments {
				parts = append(parts, piece{i, j, seg})
			}
		}
		p.left = append(p.left, left)
	}
	waiting = append(waiting, joined(parts)...)
	// The chains advance side by side, so that several can be applied at once.
	slices.SortStableFunc(waiting, func(a, b *read) int { return cmp.Compare(a.depth(), b.depth()) })
	return p.order(waiting)
}

// joined makes reads of segments that lie side by side.
func joined(parts []piece) []*read {
	slices.SortStableFunc(parts, func(a, b piece) int {
		return cmp.Or(cmp.Compare(a.segment.Ref.Key, b.segment.Ref.Key), cmp.Compare(a.segment.Ref.Offset, b.segment.Ref.Offset))
	})
	var reads []*read
	for _, p := range parts {
		ref := p.segment.Ref
		to := ref.Offset + ref.Length
		if n := len(reads); n > 0 {
			last := reads[n-1]
			if last.key == ref.Key && ref.Offset <= last.to+readGap && max(to, last.to)-last.from <= readBytes {
				last.to, last.parts = max(last.to, to), append(last.parts, p)
				continue
			}
		}
		reads = append(reads, &read{key: ref.Key, from: ref.Offset, to: to, parts: []piece{p}})
	}
	for _, r := range reads {
		slices.SortStableFunc(r.parts, func(a, b piece) int {
			return cmp.Or(cmp.Compare(a.chain, b.chain), cmp.Compare(a.stage, b.stage))
		})
	}
	return reads
}

// depth is how far in its chain the read's earliest piece is.
func (r *read) depth() int {
	d := r.parts[0].stage
	for _, p := range r.parts {
		d = min(d, p.stage)
	}
	return d
}

// order takes the reads as they become possible. If chains want objects in
// orders that contradict each other, one read is divided.
func (p *planner) order(waiting []*read) []*read {
	var out []*read
	for len(waiting) > 0 {
		before := len(waiting)
		waiting = slices.DeleteFunc(waiting, func(r *read) bool {
			if p.possible(r) < len(r.parts) {
				return false
			}
			p.take(r)
			out = append(out, r)
			return true
		})
		if len(waiting) == before {
			most := slices.MaxFunc(waiting, func(a, b *read) int { return cmp.Compare(p.possible(a), p.possible(b)) })
			first := p.divide(most)
			p.take(first)
			out = append(out, first)
		}
	}
	return out
}

// possible is how many of the read's parts could be applied now.
func (p *planner) possible(r *read) int {
	n := 0
	p.each(r, func(piece) { n++ })
	return n
}

// each calls f for the parts of the read that could be applied now, one after the
// other.
func (p *planner) each(r *read, f func(piece)) {
	for i := 0; i < len(r.parts); {
		c := r.parts[i].chain
		stage := p.current[c]
		left := p.left[c][stage]
		for ; i < len(r.parts) && r.parts[i].chain == c; i++ {
			if left == 0 && r.parts[i].stage == stage+1 {
				stage++
				left = p.left[c][stage]
			}
			if r.parts[i].stage == stage {
				left--
				f(r.parts[i])
			}
		}
	}
}

// take counts the read's parts as planned.
func (p *planner) take(r *read) {
	for _, x := range r.parts {
		p.left[x.chain][x.stage]--
	}
	for _, x := range r.parts {
		for c := x.chain; p.current[c] < len(p.left[c])-1 && p.left[c][p.current[c]] == 0; {
			p.current[c]++
		}
	}
}

// divide takes those parts off the read that could be applied now, as a read of
// their own.
func (p *planner) divide(r *read) *read {
	first := &read{key: r.key}
	p.each(r, func(x piece) { first.parts = append(first.parts, x) })
	r.parts = slices.DeleteFunc(r.parts, func(x piece) bool {
		return slices.ContainsFunc(first.parts, func(y piece) bool {
			return y.chain == x.chain && y.stage == x.stage && y.segment.Ref == x.segment.Ref
		})
	})
	first.span()
	r.span()
	return first
}

// span sets the range to what the parts need.
func (r *read) span() {
	r.from, r.to = r.parts[0].segment.Ref.Offset, 0
	for _, x := range r.parts {
		r.from, r.to = min(r.from, x.segment.Ref.Offset), max(r.to, x.segment.Ref.Offset+x.segment.Ref.Length)
	}
}
