package engine

import (
	"testing"

	"github.com/cairnstream/cairn/connector"
)

func TestValve(t *testing.T) {
	v := newValve(3)
	expect := func(step string, moved bool, wantMoved bool, want int64, idle bool) {
		t.Helper()
		if moved != wantMoved || v.wm != want || v.idle != idle {
			t.Errorf("%s: moved %v to %d, idle %v; want %v, %d, %v", step, moved, v.wm, v.idle, wantMoved, want, idle)
		}
	}
	expect("first", v.watermark(0, 10), false, connector.NoTime, false)
	expect("second", v.watermark(1, 5), false, connector.NoTime, false)
	expect("all", v.watermark(2, 7), true, 5, false)
	expect("back", v.watermark(1, 3), false, 5, false)
	expect("slowest is idle", v.setIdle(1, true), true, 7, false)
	expect("idle one is behind when it comes back", v.setIdle(1, false), false, 7, false)
	expect("an end does not count", v.end(1), false, 7, false)
	expect("next", v.watermark(2, 9), true, 9, false)
	v.setIdle(0, true)
	expect("all others idle", v.setIdle(2, true), true, 10, true)
	v.end(0)
	expect("all ended", v.end(2), true, MaxWatermark, false)
}
