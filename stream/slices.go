package stream

import "math"

// cut is how Tumbling, Sliding and Global windows cut event time: into slices, none
// of which a window has only a part of. A slice is named by its begin.
//
//	size 5, slide 2:   |  |  |  |  |  |  |   windows begin
//	                     |  |  |  |  |  |    windows end, size % slide after a begin
//	                   |.|..|.|..|.|..|.|    so there are two slices for each slide
//
// With a slide that divides size, as 2 divides 4, ends are begins, and there is one. So
// slices are at most twice as many as begins, unlike those of the greatest common divisor.
type cut struct {
	Windows
	edge int64 // where in a slide a window ends; 0: where the next begins
}

func newCut(w Windows) cut {
	c := cut{Windows: w}
	if w.kind != global && w.slide > 0 {
		c.edge = w.size % w.slide
	}
	return c
}

// single tells whether a window is one slice.
func (c *cut) single() bool { return !c.overlap() }

// slice returns the slice of a record, and where the next one begins.
func (c *cut) slice(t int64) (start, next int64) {
	if c.kind == global {
		return math.MinInt64, math.MaxInt64
	}
	start = c.start(t)
	if c.edge == 0 {
		return start, start + c.slide
	}
	if edge := start + c.edge; t < edge {
		return start, edge
	}
	return start + c.edge, start + c.slide
}

// covered tells whether a slice is in a window at all: slides longer than windows leave gaps.
func (c *cut) covered(slice int64) bool {
	return c.kind == global || slice-c.start(slice) < c.size
}

// begin is the begin of the window that ends at end.
func (c *cut) begin(end int64) int64 {
	if c.kind == global {
		return math.MinInt64
	}
	return end - c.size
}

// end is the end of the window that begins at begin.
func (c *cut) end(begin int64) int64 {
	if c.kind == global {
		return math.MaxInt64
	}
	return begin + c.size
}

// endAfter is the first end of a window after t; of a slice, that of the first window
// that it is in.
func (c *cut) endAfter(t int64) int64 {
	if c.kind == global {
		return math.MaxInt64
	}
	return t - modulo(t-c.offset-c.size, c.slide) + c.slide
}

// lastEnd is the end of the last window that a slice is in.
func (c *cut) lastEnd(slice int64) int64 {
	if c.kind == global {
		return math.MaxInt64
	}
	return c.start(slice) + c.size
}
