package coordinator

import (
	"fmt"
	"slices"
	"time"

	"github.com/cairnstream/cairn/dataflow"
)

// step is one call of Step: a copy of the state that may be changed. Of its
// slices only inFlight is its own; the others are replaced, never written to.
type step struct {
	State
	now     time.Duration
	actions []Action
}

func (t *step) do(a Action) { t.actions = append(t.actions, a) }

func (t *step) take(e Event) {
	switch e := e.(type) {
	case Running:
		t.running(e)
	case Requested:
		t.requested(e.Key)
	case EndOfData:
		if !slices.Contains(t.ended, e.Process) {
			t.ended = append(slices.Clip(t.ended), e.Process)
		}
	case Began:
		t.began(e)
	case BeginRefused:
		t.asked, t.answering = false, nil
		t.notBefore = t.now + t.retryPause()
	case Ack:
		t.ack(e)
	case Decline:
		t.decline(e)
	case Lagging:
		t.lag(e)
	case Completed:
		t.completed(e.ID)
	case CompleteFailed:
		if c := t.find(e.ID); c != nil && c.phase == completing {
			t.fail(c, "finalize: "+e.Reason, e.Store)
		}
	case Aborted:
		t.aborted(e.ID)
	case AttemptOver:
		t.end("the attempt is over")
	}
}

// afterwards answers what comes when all is over.
func (t *step) afterwards(e Event) {
	if r, ok := e.(Requested); ok {
		t.do(RefuseRequest{Key: r.Key, Reason: "the attempt is over"})
	}
}

// running begins the rhythm: the first periodic checkpoint is an interval away.
func (t *step) running(e Running) {
	if t.processes != nil || len(e.Processes) == 0 {
		return
	}
	t.processes = slices.Compact(slices.Sorted(slices.Values(e.Processes)))
	t.due = t.now + t.interval()
	for i := range t.inFlight {
		c := &t.inFlight[i]
		c.deadline = t.now + t.options.CheckpointTimeout
		c.repeat = t.now + repeatEvery
		t.do(SendTrigger{ID: c.id})
		c.acks = slices.DeleteFunc(slices.Clone(c.acks), func(a ack) bool { return !t.knows(a.process) })
		t.completeIfAll(c)
	}
}

func (t *step) requested(key string) {
	switch {
	case slices.Contains(t.requests, key) || slices.Contains(t.answering, key):
	case len(t.requests) >= requestsMax:
		t.do(RefuseRequest{Key: key, Reason: fmt.Sprintf("%d requests wait already", requestsMax)})
	default:
		t.requests = append(slices.Clip(t.requests), key)
	}
}

func (t *step) began(e Began) {
	t.asked, t.answering = false, nil
	if t.find(e.ID) != nil {
		return
	}
	t.inFlight = append(t.inFlight, inFlight{
		id: e.ID, trigger: e.Trigger, deadline: t.now + t.options.CheckpointTimeout, repeat: t.now + repeatEvery,
	})
	t.do(SendTrigger{ID: e.ID})
}

func (t *step) ack(e Ack) {
	c := t.find(e.ID)
	switch {
	case c == nil || !t.knows(e.Process):
		t.do(ReportLate{ID: e.ID, Process: e.Process, What: "acknowledgement"})
	case c.phase != collecting || c.has(e.Process):
	default:
		c.acks = append(slices.Clip(c.acks), ack{e.Process, e.Part})
		t.completeIfAll(c)
	}
}

// knows tells whether a process takes part, as far as one can know.
func (t *step) knows(p dataflow.Incarnation) bool {
	if t.processes == nil {
		return true
	}
	_, found := slices.BinarySearch(t.processes, p)
	return found
}

func (t *step) completeIfAll(c *inFlight) {
	if t.processes != nil && len(c.acks) == len(t.processes) && c.phase == collecting {
		c.phase = completing
		t.do(Complete{ID: c.id, Parts: c.parts()})
	}
}

// decline aborts the whole checkpoint at once.
func (t *step) decline(e Decline) {
	c := t.find(e.ID)
	switch {
	case c == nil || !t.knows(e.Process):
		t.do(ReportLate{ID: e.ID, Process: e.Process, What: "decline: " + e.Reason})
	case c.phase == collecting:
		t.fail(c, fmt.Sprintf("declined by process %s: %s", e.Process, e.Reason), e.Store)
	}
}

func (t *step) lag(e Lagging) {
	t.lagging = slices.DeleteFunc(slices.Clone(t.lagging), func(p dataflow.Incarnation) bool { return p == e.Process })
	if e.Behind {
		t.lagging = append(t.lagging, e.Process)
	}
}

// completed settles the checkpoint and every older one.
func (t *step) completed(id dataflow.CheckpointID) {
	c := t.find(id)
	if c == nil {
		return
	}
	t.finalDone = c.trigger == Final
	t.inFlight = slices.DeleteFunc(t.inFlight, func(c inFlight) bool { return c.id <= id })
	t.failures = 0
	t.lastEnd, t.anyEnded = t.now, true
}

func (t *step) aborted(id dataflow.CheckpointID) {
	c := t.find(id)
	if c == nil {
		return
	}
	if c.trigger == Final {
		t.notBefore = t.now + t.retryPause()
	}
	t.inFlight = slices.DeleteFunc(t.inFlight, func(c inFlight) bool { return c.id == id })
	t.lastEnd, t.anyEnded = t.now, true
}

// fail gives a checkpoint up and counts it. More than the tolerable number in a
// row is the end of the attempt.
//
// A failure of the store is not counted: another attempt would read from the same
// store and lose what the present one has spooled. Flink counts it.
func (t *step) fail(c *inFlight, reason string, store bool) {
	c.phase = aborting
	if store {
		t.do(ProposeAbort{ID: c.id, Reason: "object store: " + reason, FailuresInRow: t.failures})
		return
	}
	t.failures++
	t.do(ProposeAbort{ID: c.id, Reason: reason, FailuresInRow: t.failures})
	if tolerable := t.options.TolerableFailures; tolerable >= 0 && t.failures > tolerable {
		t.do(FailJob{Reason: fmt.Sprintf("%d checkpoints failed in a row (tolerable_failures is %d); checkpoint %d: %s", t.failures, tolerable, c.id, reason)})
		t.end("the attempt failed")
	}
}

func (t *step) expire() {
	for i := 0; i < len(t.inFlight); i++ { // fail may end it all
		if c := &t.inFlight[i]; t.expires(*c) && t.now >= c.deadline {
			t.fail(c, fmt.Sprintf("expired after %v, not acknowledged by %s", t.options.CheckpointTimeout, t.missing(*c)), t.storeIsDown(*c))
		}
	}
}

// repeat triggers again what is not acknowledged by all.
func (t *step) repeat() {
	for i := range t.inFlight {
		if c := &t.inFlight[i]; t.expires(*c) && t.now >= c.repeat {
			c.repeat = t.now + repeatEvery
			t.do(SendTrigger{ID: c.id})
		}
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
	why, at, ok := t.wish()
	if !ok || at > t.now {
		return
	}
	if i := t.interval(); why == Periodic {
		t.due += i * ((t.now-t.due)/i + 1) // fixed rate; what was missed is not made up
	}
	t.do(ProposeBegin{Trigger: why, Keys: t.requests})
	t.asked, t.answering, t.requests = true, t.requests, nil
}

// end makes the state inert and sends everybody home.
func (t *step) end(reason string) {
	t.over = true
	for _, key := range t.requests {
		t.do(RefuseRequest{Key: key, Reason: reason})
	}
	t.requests, t.inFlight = nil, nil
}

// find returns a checkpoint in flight, or nil.
func (t *step) find(id dataflow.CheckpointID) *inFlight {
	for i := range t.inFlight {
		if t.inFlight[i].id == id {
			return &t.inFlight[i]
		}
	}
	return nil
}
