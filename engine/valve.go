package engine

import (
	"math"

	"github.com/cairnstream/cairn/connector"
)

// MaxWatermark is the watermark at the end of the data: every timer is due.
const MaxWatermark = int64(math.MaxInt64)

// valve combines the watermarks of a subtask's channels: the lowest of those
// that are neither idle nor ended counts; if all are idle, the highest does, as if
// the channel with that had become idle last (Flink's StatusWatermarkValve).
type valve struct {
	channels []channelTime
	wm       int64
	idle     bool
	ended    int
}

type channelTime struct {
	wm          int64
	idle, ended bool
}

func newValve(channels int) *valve {
	v := &valve{channels: make([]channelTime, channels), wm: connector.NoTime}
	for i := range v.channels {
		v.channels[i].wm = connector.NoTime
	}
	return v
}

// watermark takes a channel's watermark and tells whether the combined one moved.
func (v *valve) watermark(i int, wm int64) bool {
	v.channels[i].wm = max(v.channels[i].wm, wm)
	return v.combine()
}

// setIdle takes whether a channel is idle and tells whether the combined
// watermark moved.
func (v *valve) setIdle(i int, idle bool) bool {
	v.channels[i].idle = idle
	return v.combine()
}

// end takes the end of a channel and tells whether the combined watermark
// moved; after the last it is MaxWatermark.
func (v *valve) end(i int) bool {
	if !v.channels[i].ended {
		v.channels[i].ended = true
		v.ended++
	}
	return v.combine()
}

func (v *valve) allEnded() bool { return v.ended == len(v.channels) }

func (v *valve) combine() bool {
	lowest, highest, counting := MaxWatermark, connector.NoTime, 0
	for _, c := range v.channels {
		switch {
		case c.ended:
		case c.idle:
			highest = max(highest, c.wm)
		default:
			counting++
			lowest = min(lowest, c.wm)
		}
	}
	v.idle = counting == 0 && !v.allEnded()
	if v.idle {
		lowest = highest
	}
	if lowest <= v.wm {
		return false
	}
	v.wm = lowest
	return true
}
