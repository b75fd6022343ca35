package engine

import (
	"math"
	"time"
)

// timed is a node that may have timers of processing time.
type timed interface {
	// due is when the next may fire, in Unix milliseconds; ok is false if none is set.
	due() (at int64, ok bool)
	// fire fires some of those that are due at now.
	fire(now int64) error
}

// fireTimers fires what is due by the loop's clock, head first, and tells how long
// nothing will be. After the end of the input nothing fires: the end has been sent
// on, and no record may follow it. While a node is held nothing fires either: it
// could bring more records.
func (s *subtask) fireTimers() (fired bool, wait time.Duration, err error) {
	wait = math.MaxInt64
	if s.ended || s.held() {
		return false, wait, nil
	}
	now := s.clock.UnixMilli()
	for _, n := range s.timed {
		at, ok := n.due()
		if !ok {
			continue
		}
		if at > now {
			wait = min(wait, time.UnixMilli(at).Sub(s.clock))
			continue
		}
		if err := n.fire(now); err != nil {
			return false, 0, err
		}
		fired = true
	}
	return fired, wait, nil
}
