package coordinator

import (
	"fmt"
	"slices"
	"time"
)

// outdated is when MaxAge is over; not ok while it does not count: nothing begins
// by itself, the store is known to be away, or a checkpoint is just being
// completed. A savepoint is no restore point, so it makes nothing younger.
func (s State) outdated() (time.Duration, bool) {
	age := s.options.Checkpoint.MaxAge
	completes := slices.ContainsFunc(s.inFlight, func(c inFlight) bool { return c.phase == completing && c.savepoint == nil })
	if age <= 0 || s.processes == nil || len(s.lagging) > 0 || completes || s.interval() == 0 && !s.byVolume() {
		return 0, false
	}
	return s.fresh + age, true
}

// outdate fails the attempt when no checkpoint has completed for MaxAge: a restart
// may help, and what is at risk must not grow without bound.
func (t *step) outdate() {
	at, ok := t.outdated()
	if !ok || t.over || t.now < at {
		return
	}
	last := "none has failed"
	if t.lastError != "" {
		last = t.lastError
	}
	t.giveUp(fmt.Sprintf("no checkpoint has completed for %v (max_age is %v); %s", t.now-t.fresh, t.options.Checkpoint.MaxAge, last))
}

// aged notes that time up to now does not count for MaxAge.
func (t *step) aged(now time.Duration) { t.fresh = max(t.fresh, now) }
