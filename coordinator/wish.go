package coordinator

import (
	"fmt"
	"slices"
	"time"
)

// wish is a checkpoint to begin.
type wish struct {
	trigger   Trigger
	keys      []string // of the requests that it answers
	savepoint *SavepointWish
}

// wish is the checkpoint to begin next and from when on; not ok if there is none
// to begin as things are.
//
// The order is Flink's: savepoints, what people asked for, the clock. A final one
// comes before all but savepoints, since it ends the job and answers people too.
//
// A final one and a savepoint wait until nothing is in flight, and nothing begins
// beside them: checkpoints complete in the order of their ids, so that a newer one
// would have to abort a savepoint that somebody waits for.
func (s State) wish() (w wish, at time.Duration, ok bool) {
	if s.processes == nil || s.asked || s.alone() {
		return wish{}, 0, false
	}
	full := len(s.inFlight) >= max(1, s.options.Checkpoint.MaxConcurrent)
	first := slices.IndexFunc(s.requests, func(r request) bool { return r.savepoint != nil })
	switch {
	case full:
		return wish{}, 0, false
	case first >= 0:
		r := s.requests[first]
		return wish{Savepoint, []string{r.key}, r.savepoint}, s.notBefore, len(s.inFlight) == 0
	case s.allEnded():
		return wish{trigger: Final, keys: s.manual()}, s.notBefore, len(s.inFlight) == 0
	case len(s.requests) > 0:
		return wish{trigger: Manual, keys: s.manual()}, s.notBefore, true
	}
	return s.own()
}

// own is what begins without being asked for: when its time has come, or when so
// much has been read, whichever is first. MinPause holds back both.
func (s State) own() (w wish, at time.Duration, ok bool) {
	pause := max(s.notBefore, s.lastEnd+s.options.MinPause)
	clock := max(pause, s.rhythm.due)
	switch {
	case s.reached() && (s.interval() == 0 || pause < clock):
		return wish{trigger: ByVolume}, pause, true
	case s.interval() > 0:
		return wish{trigger: Periodic}, clock, true
	}
	return wish{}, 0, false
}

// alone tells whether a checkpoint is in flight beside which no other begins.
func (s State) alone() bool {
	return slices.ContainsFunc(s.inFlight, func(c inFlight) bool { return c.trigger == Final || c.savepoint != nil })
}

// manual are the keys of the requests that any checkpoint answers.
func (s State) manual() []string {
	var keys []string
	for _, r := range s.requests {
		if r.savepoint == nil {
			keys = append(keys, r.key)
		}
	}
	return keys
}

func (s State) retryPause() time.Duration {
	if i := s.interval(); i > 0 {
		return min(i, retryPause)
	}
	return retryPause
}

// requested queues a request. One that waits already, or is being answered, is
// the same one.
func (t *step) requested(r request) {
	waits := slices.ContainsFunc(t.requests, func(q request) bool { return q.key == r.key })
	switch {
	case waits || slices.Contains(t.answering, r.key):
	case len(t.requests) >= requestsMax:
		t.do(RefuseRequest{Key: r.key, Reason: fmt.Sprintf("%d requests wait already", requestsMax)})
	default:
		t.requests = append(slices.Clip(t.requests), r)
	}
}

// propose begins the next checkpoint, if its time has come, or finishes the job.
func (t *step) propose() {
	if t.over {
		return
	}
	if t.finalDone {
		t.do(FinishJob{})
		t.end("the job finishes")
		return
	}
	w, at, ok := t.wish()
	if !ok || at > t.now {
		return
	}
	if w.trigger == Periodic {
		t.nextSlot()
	}
	t.do(ProposeBegin{Trigger: w.trigger, Keys: w.keys, Savepoint: w.savepoint})
	t.asked, t.answering, t.wished = true, w.keys, w.savepoint
	t.requests = slices.DeleteFunc(slices.Clone(t.requests), func(r request) bool { return slices.Contains(w.keys, r.key) })
}
