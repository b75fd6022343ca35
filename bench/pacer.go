package bench

import "time"

// pacer says how many records are due at a fixed rate. What a task could not do in
// time stays due, so that a slow store shows as a lower rate and not as less
// work. One goroutine uses it.
type pacer struct {
	rate  float64 // records a second; 0: as many as can be done
	start time.Time
	last  time.Time // when records were due last
	done  int
	timer *time.Timer // for the task to wait with
}

func newPacer(rate float64) *pacer {
	now := time.Now()
	return &pacer{rate: rate, start: now, last: now, timer: time.NewTimer(time.Hour)}
}

// due returns how many records to apply now, or, if it is none, how long to wait.
// A batch is due when it is full or has waited for linger.
func (p *pacer) due(now time.Time) (n int, wait time.Duration) {
	if p.rate == 0 {
		return blockBatches * batchRows, 0
	}
	owed := int(now.Sub(p.start).Seconds()*p.rate) - p.done
	wait = linger - now.Sub(p.last)
	if owed < batchRows && (owed <= 0 || wait > 0) {
		return 0, max(wait, linger/10)
	}
	n = min(owed, batchRows)
	p.done += n
	p.last = now
	return n, 0
}
