package engine

import (
	"math"
	"time"

	"github.com/cairnstream/cairn/connector"
)

// limit is up to which watermark splits may be read, and how long that is sure.
func (n *sourceNode[T]) limit(now time.Time) (limit int64, wait time.Duration) {
	if n.group == nil {
		return MaxWatermark, math.MaxInt64
	}
	lowest, highest := MaxWatermark, connector.NoTime
	for _, s := range n.splits {
		if s.Done {
			continue
		}
		highest = max(highest, s.wm)
		if !n.isIdle(s, now) {
			lowest = min(lowest, s.wm)
		}
	}
	limit = n.group.limit(lowest, highest, now)
	if highest > limit {
		return limit, n.group.untilStale(now)
	}
	return limit, math.MaxInt64
}

// untilIdle is how long until the next split is idle if it has nothing until then.
func (n *sourceNode[T]) untilIdle(now time.Time) time.Duration {
	wait := time.Duration(math.MaxInt64)
	if n.code.opts.IdleAfter <= 0 {
		return wait
	}
	for _, s := range n.splits {
		if s.Done || s.empty.IsZero() {
			continue
		}
		if d := n.code.opts.IdleAfter - now.Sub(s.empty); d > 0 {
			wait = min(wait, d)
		}
	}
	return wait
}

// advance moves a split's watermark.
func (n *sourceNode[T]) advance(s *split[T]) {
	s.wm = max(s.wm, n.trail(s.High))
	if w, ok := s.reader.(connector.Watermarker); ok {
		s.wm = max(s.wm, w.Watermark())
	}
}

// trail is the watermark that the highest event time allows.
func (n *sourceNode[T]) trail(high int64) int64 {
	if !n.code.opts.Watermarks || high == connector.NoTime {
		return connector.NoTime
	}
	return high - n.code.opts.OutOfOrder.Milliseconds() - 1
}

// progress passes on the lowest watermark of the splits that are not idle. If all
// are, it is the highest, as if the one with that had become idle last.
func (n *sourceNode[T]) progress(now time.Time) error {
	lowest, highest := MaxWatermark, connector.NoTime
	for _, s := range n.splits {
		switch {
		case s.Done:
		case n.isIdle(s, now):
			highest = max(highest, s.wm)
		default:
			lowest = min(lowest, s.wm)
		}
	}
	if lowest == MaxWatermark {
		lowest = highest
	}
	if lowest <= n.wm {
		return nil
	}
	return n.watermark(lowest)
}

// isIdle tells whether a split is known to have had nothing for IdleAfter: from
// the first read that found nothing until the next read is due. A split that
// was not read for long, because the subtask stood still, is not idle.
func (n *sourceNode[T]) isIdle(s *split[T], now time.Time) bool {
	if n.code.opts.IdleAfter <= 0 || s.empty.IsZero() {
		return false
	}
	known := now
	if s.due.Before(now) {
		known = s.due
	}
	return known.Sub(s.empty) >= n.code.opts.IdleAfter
}

func (n *sourceNode[T]) idle() bool {
	now := time.Now()
	for _, s := range n.splits {
		if !s.Done && !n.isIdle(s, now) {
			return false
		}
	}
	return true
}

func (n *sourceNode[T]) watermark(wm int64) error {
	n.wm = wm
	n.op.stats.wm.Store(wm)
	return n.pass(wm)
}
