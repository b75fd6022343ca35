package scheduler

import (
	"math"
	"time"

	"github.com/cairnstream/cairn/dataflow"
)

// NextRestart says what the strategy makes of one more failure: how long to
// wait, counted from the failure, and the new number of failures in a row, or
// that it gives up. It is Flink's exponential-delay strategy.
//
// failuresInRow is the job's count before this failure; ranFor is how long the
// failed attempt ran after all of its subtasks did, 0 if they never did; jitter
// is a random number in [0,1). The strategy has its defaults filled in.
func NextRestart(s dataflow.RestartStrategy, failuresInRow int, ranFor time.Duration, jitter float64) (delay time.Duration, failures int, giveUp bool) {
	if s.ResetAfter > 0 && ranFor >= s.ResetAfter {
		failuresInRow = 0
	}
	failures = failuresInRow + 1
	if s.Attempts < 0 || s.Attempts > 0 && failures > s.Attempts {
		return 0, failures, true
	}
	wait := float64(s.Initial) * math.Pow(max(s.Multiplier, 1), float64(failures-1))
	wait = min(wait, float64(s.Max)) // also when it is infinite
	wait *= 1 + s.Jitter*(2*jitter-1)
	return max(0, time.Duration(min(wait, float64(s.Max)))), failures, false
}
