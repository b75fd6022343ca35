package coordinator

import (
	"time"

	"github.com/cairnstream/cairn/dataflow"
)

// rhythm is when the clock triggers: at slots a fixed interval apart, as Flink's
// timer. Each trigger comes before its slot, by a random share of the interval of
// at most Jitter, so that jobs that began together, or were taken over together, do
// not fire together, and so that no more than the interval is ever at risk for it.
// With a Jitter of 1 the first comes at any time within the interval, as in Flink.
type rhythm struct {
	seed uint64
	n    uint64        // slots so far, for the random numbers
	last time.Duration // the slot before, or when the rhythm began
	slot time.Duration // of the next periodic checkpoint
	due  time.Duration // slot, less its jitter
}

// interval is the time between two triggers of the clock as things are: no shorter
// than the pause, as in Flink; 0 for none.
func (s State) interval() time.Duration {
	i := s.options.CheckpointInterval
	if b := s.options.Checkpoint.IntervalDuringBacklog; b != 0 && s.volume.backlog() {
		i = b
	}
	if i <= 0 {
		return 0
	}
	return max(i, s.options.MinPause)
}

// beginRhythm starts the rhythm: the first slot is an interval away, or where another
// leader left it. What is overdue then comes within the jitter's share.
func (t *step) beginRhythm() {
	i := t.interval()
	t.rhythm.last, t.lastEnd = t.now, t.now // the first waits for MinPause too
	if a := t.ages; a != nil {
		t.rhythm.last, t.lastEnd = t.now-a.Begun, t.now-a.Begun
		if a.Ended >= 0 {
			t.lastEnd = t.now - a.Ended
		}
	}
	slot := t.rhythm.last + i
	if slot <= t.now {
		slot = t.now + time.Duration(t.share()*float64(i))
	}
	t.plan(slot)
}

// nextSlot goes on to the next slot, at a fixed rate; what was missed is not made up.
func (t *step) nextSlot() {
	i, r := t.interval(), &t.rhythm
	r.last = r.slot
	if t.now >= r.slot {
		r.last += i * ((t.now - r.slot) / i)
	}
	t.plan(r.last + i)
}

// plan makes slot the next one.
func (t *step) plan(slot time.Duration) {
	r := &t.rhythm
	r.n++
	r.slot, r.due = slot, slot-time.Duration(random(r.seed, r.n)*t.share()*float64(t.interval()))
	if r.due <= t.now {
		r.due = slot // the time for an early one is over
	}
}

// share is the greatest jitter.
func (s State) share() float64 { return min(1, max(0, s.options.Checkpoint.Jitter)) }

// follow replans when a change of the options or of the backlog changed the
// interval from was.
func (t *step) follow(was time.Duration, options bool) {
	i := t.interval()
	if i == was || t.processes == nil {
		return
	}
	if was == 0 {
		t.fresh = t.now
	}
	switch {
	case i == 0:
	case was == 0:
		t.plan(t.now + i)
	case options:
		t.plan(max(t.now, min(t.now, t.rhythm.last)+i))
	case t.now+i < t.rhythm.slot: // Flink: the next trigger moves forward, never back
		t.plan(t.now + i)
	}
}

func (t *step) reconfigured(o dataflow.Options) {
	was, age, share := t.interval(), t.options.Checkpoint.MaxAge, t.share()
	t.options = o
	t.follow(was, true)
	if t.share() != share && t.interval() == was {
		t.plan(t.rhythm.slot)
	}
	if t.interval() != was || o.Checkpoint.MaxAge != age {
		t.fresh = t.now
	}
}

// seedOf is the job's number among others: FNV-1a.
func seedOf(job dataflow.JobID) uint64 {
	h := uint64(14695981039346656037)
	for _, b := range []byte(job) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h
}

// random is the n-th of a seed's numbers in [0, 1): splitmix64.
func random(seed, n uint64) float64 {
	z := seed + n*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return float64((z^z>>31)>>11) / (1 << 53)
}
