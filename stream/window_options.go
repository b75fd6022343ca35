package stream

import (
	"errors"
	"fmt"
	"time"
)

// LateTo sets *to to the stream of a window's records that came too late: after
// all their windows had ended, and AllowedLateness after that. By default they are counted and
// dropped.
func LateTo[T any](to *Stream[T]) Option {
	return windowOption("LateTo", func(s *windowSettings) { s.lateTarget = to })
}

// AllowedLateness keeps windows for d of event time after their end. A record that comes
// in that time counts: its window gives another result at once, with the Pane Late. Default 0.
func AllowedLateness(d time.Duration) Option {
	return windowOption("AllowedLateness", func(s *windowSettings) { s.lateness = d })
}

// On makes a window give results when t says. Default AtWatermark.
func On(t Trigger) Option {
	return windowOption("On", func(s *windowSettings) { s.trigger = t })
}

func windowOption(name string, set func(*windowSettings)) Option {
	return func(s *settings) {
		set(&s.window)
		s.onWindow = append(s.onWindow, name)
	}
}

// check says what is wrong with the options of such windows.
func (s *windowSettings) check(w Windows) error {
	late := s.lateness != 0 || s.lateTarget != nil
	switch {
	case s.lateness < 0:
		return fmt.Errorf("AllowedLateness of %v: want 0 or more", s.lateness)
	case w.kind == global && late:
		return errors.New("nothing is late in a Global window: leave out AllowedLateness and LateTo")
	}
	return s.trigger.check(w)
}
