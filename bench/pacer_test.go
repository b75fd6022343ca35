package bench

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestPacerKeepsTheRate: whatever the caller loses in between is made up for, in
// full batches, and no more than that.
func TestPacerKeepsTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(1e6)
		defer p.timer.Stop()
		done := 0
		for begin := time.Now(); time.Since(begin) < time.Second; {
			n, wait := p.due(time.Now())
			if n > batchRows || n == 0 && wait <= 0 {
				t.Fatalf("due: %d records, or wait %v", n, wait)
			}
			done += n
			time.Sleep(wait) // virtual
			if done > 500_000 && done < 501_000 {
				time.Sleep(50 * time.Millisecond) // a stall
			}
		}
		for {
			n, _ := p.due(time.Now())
			if done += n; n == 0 {
				break
			}
		}
		if done < 998_000 || done > 1_100_000 {
			t.Errorf("%d records in a second and at most a stall", done)
		}
	})
}

// TestPacerLetsSmallBatchesWait: at a low rate a batch is due once in a linger.
func TestPacerLetsSmallBatchesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(50_000)
		defer p.timer.Stop()
		batches := 0
		for begin := time.Now(); time.Since(begin) < time.Second; {
			n, wait := p.due(time.Now())
			if n > 0 {
				batches++
			}
			time.Sleep(wait)
		}
		if batches < 900 || batches > 1000 {
			t.Errorf("%d batches in a second, want one per millisecond", batches)
		}
	})
}
