package scheduler

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cairnstream/cairn/dataflow"
)

func TestNextRestart(t *testing.T) {
	flink := dataflow.Options{}.WithDefaults().Restart
	twice, never := flink, flink
	twice.Attempts, never.Attempts = 2, -1
	for _, c := range []struct {
		name     string
		s        dataflow.RestartStrategy
		before   int
		ranFor   time.Duration
		jitter   float64
		delay    time.Duration
		failures int
		giveUp   bool
	}{
		{"first", flink, 0, time.Minute, 0.5, time.Second, 1, false},
		{"second", flink, 1, time.Minute, 0.5, 1500 * time.Millisecond, 2, false},
		{"third", flink, 2, 0, 0.5, 2250 * time.Millisecond, 3, false},
		{"most", flink, 20, 0, 0.5, time.Minute, 21, false},
		{"beyond numbers", flink, 1 << 30, 0, 0.999, time.Minute, 1<<30 + 1, false},
		{"least jitter", flink, 0, 0, 0, 900 * time.Millisecond, 1, false},
		{"ran long", flink, 20, time.Hour, 0.5, time.Second, 1, false},
		{"almost long", flink, 20, time.Hour - 1, 0.5, time.Minute, 21, false},
		{"last attempt", twice, 1, 0, 0.5, 1500 * time.Millisecond, 2, false},
		{"no more attempts", twice, 2, 0, 0.5, 0, 3, true},
		{"no attempts at all", never, 0, 0, 0.5, 0, 1, true},
		{"counts anew", twice, 2, 2 * time.Hour, 0.5, time.Second, 1, false},
	} {
		delay, failures, giveUp := NextRestart(c.s, c.before, c.ranFor, c.jitter)
		if delay != c.delay || failures != c.failures || giveUp != c.giveUp {
			t.Errorf("%s: got %v %d %v, want %v %d %v", c.name, delay, failures, giveUp, c.delay, c.failures, c.giveUp)
		}
	}
}

func TestNextRestartIsBounded(t *testing.T) {
	s := dataflow.Options{}.WithDefaults().Restart
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 1<<20).Draw(t, "failures")
		delay, _, _ := NextRestart(s, n, 0, rapid.Float64Range(0, 0.999).Draw(t, "jitter"))
		if delay < 900*time.Millisecond || delay > s.Max {
			t.Fatalf("delay %v", delay)
		}
	})
}
