package stream

import (
	"fmt"
	"time"

	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/state"
)

// timeCut is how an operator cuts event time into the pieces that its state is named by.
// Lengths are in milliseconds.
type timeCut struct {
	Of     string // windows, sessions, all time, an interval
	Size   int64
	Slide  int64
	Offset int64
}

// cutOf is how windows cut time. A Session's end is in its state, so its gap may change.
func cutOf(w Windows) timeCut {
	switch w.kind {
	case session:
		return timeCut{Of: "sessions"}
	case global:
		return timeCut{Of: "all time"}
	}
	return timeCut{Of: "windows", Size: w.size, Slide: w.slide, Offset: modulo(w.offset, w.slide)}
}

// cutOf is how an interval join cuts time: its buckets are half as long as the interval.
func (i interval) cutOf() timeCut { return timeCut{Of: "an interval", Size: i.upper - i.lower} }

func (c timeCut) String() string {
	text := c.Of
	add := func(word string, ms int64) {
		if ms != 0 {
			text += fmt.Sprintf("%s %v", word, time.Duration(ms)*time.Millisecond)
		}
	}
	add(" of", c.Size)
	add(" every", c.Slide)
	add(" from", c.Offset)
	return text
}

// keepCut puts into every checkpoint how an operator cuts time, and refuses state that was
// cut otherwise: no record and no watermark would find its pieces, and what is in them would be
// lost without a word.
func keepCut(ctx *engine.OpContext, now timeCut) error {
	const only = "time"
	kept, err := state.NewBroadcast[string, timeCut](ctx.States, "cut")
	if err != nil {
		return err
	}
	if was, ok := kept.Get(only); ok && was != now {
		return fmt.Errorf("%w: the state is of %v, and the job now has %v: what is open would be lost, so keep it, or let the job start afresh",
			state.ErrIncompatible, was, now)
	}
	kept.Put(only, now)
	return nil
}
