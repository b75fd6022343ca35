package stream

import "errors"

// panes cut event time for windows that overlap: into panes, of which each window has
// a whole number, so that a record is kept once, whatever number of windows it is in.
// Of tumbling windows each is a pane. All in milliseconds.
type panes struct {
	size, slide, offset int64 // of the windows
	width               int64 // of a pane: the greatest common divisor of size and slide
}

func newPanes(w Windows) panes {
	return panes{size: w.size, slide: w.size, offset: w.offset, width: w.size}
}

// floor is the greatest multiple of step, counted from the offset, up to t.
func (p panes) floor(t, step int64) int64 {
	r := (t - p.offset) % step
	if r < 0 {
		r += step
	}
	return t - r
}

// pane is the start of the pane that holds t.
func (p panes) pane(t int64) int64 { return p.floor(t, p.width) }

// lastWindow is the start of the last window that holds t. Others that do start a slide earlier
// each, while they end behind t.
func (p panes) lastWindow(t int64) int64 { return p.floor(t, p.slide) }

// check tells why the windows can not be joined.
func (p panes) check() error {
	if p.size < 1 || p.slide < 1 {
		return errors.New("windows are at least 1ms long")
	}
	return nil
}
