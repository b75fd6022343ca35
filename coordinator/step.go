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
		t.requested(request{key: e.Key})
	case RequestedSavepoint:
		t.requested(request{e.Key, &e.Savepoint})
	case Reconfigured:
		t.reconfigured(e.Options)
	case Volume:
		t.read(e)
	case EndOfData:
		if !slices.Contains(t.ended, e.Process) {
			t.ended = append(slices.Clip(t.ended), e.Process)
		}
	case Began:
		t.began(e)
	case BeginRefused:
		t.answered()
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
	const reason = "the attempt is over"
	switch e := e.(type) {
	case Requested:
		t.do(RefuseRequest{Key: e.Key, Reason: reason})
	case RequestedSavepoint:
		t.do(RefuseRequest{Key: e.Key, Reason: reason})
	}
}

// running begins the rhythm.
func (t *step) running(e Running) {
	if t.processes != nil || len(e.Processes) == 0 {
		return
	}
	t.processes = slices.Compact(slices.Sorted(slices.Values(e.Processes)))
	t.beginRhythm()
	t.fresh = t.now
	for i := range t.inFlight {
		c := &t.inFlight[i]
		c.deadline = t.now + t.options.CheckpointTimeout
		c.repeat = t.now + repeatEvery
		t.do(c.order())
		c.acks = slices.DeleteFunc(slices.Clone(c.acks), func(a ack) bool { return !t.knows(a.process) })
		t.completeIfAll(c)
	}
}

// answered: what ProposeBegin asked for is known.
func (t *step) answered() { t.asked, t.answering, t.wished = false, nil, nil }

func (t *step) began(e Began) {
	savepoint := t.wished
	t.answered()
	if t.find(e.ID) != nil {
		return
	}
	t.inFlight = append(t.inFlight, inFlight{
		id: e.ID, trigger: e.Trigger, savepoint: savepoint, options: t.options,
		deadline: t.now + t.options.CheckpointTimeout, repeat: t.now + repeatEvery,
	})
	if savepoint == nil {
		t.count()
	}
	t.do(t.inFlight[len(t.inFlight)-1].order())
}

// count has volume and clock count from here on. Without a volume the clock keeps
// its rate, whatever else begins.
func (t *step) count() {
	t.volume = t.volume.begun()
	if t.byVolume() && t.interval() > 0 {
		t.rhythm.last = t.now
		t.plan(t.now + t.interval())
	}
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
	before := len(t.lagging)
	t.lagging = slices.DeleteFunc(slices.Clone(t.lagging), func(p dataflow.Incarnation) bool { return p == e.Process })
	if e.Behind {
		t.lagging = append(t.lagging, e.Process)
	} else if before > 0 && len(t.lagging) == 0 {
		t.aged(t.now)
	}
}

// completed settles the checkpoint and every older one.
func (t *step) completed(id dataflow.CheckpointID) {
	c := t.find(id)
	if c == nil {
		return
	}
	t.finalDone = c.trigger == Final
	savepoint := c.savepoint != nil
	t.inFlight = slices.DeleteFunc(t.inFlight, func(c inFlight) bool { return c.id <= id })
	t.failures = 0
	if !savepoint {
		t.aged(t.now)
	}
	t.lastEnd = t.now
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
	t.lastEnd = t.now
}

// fail gives a checkpoint up and counts it. More than the tolerable number in a
// row is the end of the attempt, unless MaxAge takes its place.
//
// A failure of the store is not counted: another attempt would read from the same
// store and lose what the present one has spooled. Flink counts it. A savepoint's
// is not counted either, as in Flink; only one that has drained the sources leaves
// nothing to go on with.
func (t *step) fail(c *inFlight, reason string, store bool) {
	c.phase = aborting
	if store {
		reason = "object store: " + reason
		t.aged(t.now)
	}
	counts := !store && c.savepoint == nil
	if counts {
		t.failures++
	}
	t.lastError = fmt.Sprintf("checkpoint %d: %s", c.id, reason)
	if c.savepoint != nil && c.savepoint.Drain {
		// The entry that fails the attempt aborts the savepoint. With an entry before it, a leader
		// that dies between the two would leave drained sources that nobody restarts.
		t.giveUp("the sources were drained for a savepoint that failed; " + t.lastError)
		return
	}
	t.do(ProposeAbort{ID: c.id, Reason: reason, FailuresInRow: t.failures})
	tolerable := t.options.TolerableFailures
	if counts && t.options.Checkpoint.MaxAge <= 0 && tolerable >= 0 && t.failures > tolerable {
		t.giveUp(fmt.Sprintf("%d checkpoints failed in a row (tolerable_failures is %d); %s", t.failures, tolerable, t.lastError))
	}
}

// giveUp fails the attempt.
func (t *step) giveUp(reason string) {
	t.do(FailJob{Reason: reason})
	t.end("the attempt failed")
}

func (t *step) expire() {
	for i := 0; i < len(t.inFlight); i++ { // fail may end it all
		if c := &t.inFlight[i]; t.expires(*c) && t.now >= c.deadline {
			t.fail(c, fmt.Sprintf("expired after %v, not acknowledged by %s", c.options.CheckpointTimeout, t.missing(*c)), t.storeIsDown(*c))
		}
	}
}

// repeat triggers again what is not acknowledged by all.
func (t *step) repeat() {
	for i := range t.inFlight {
		if c := &t.inFlight[i]; t.expires(*c) && t.now >= c.repeat {
			c.repeat = t.now + repeatEvery
			t.do(c.order())
		}
	}
}

// end makes the state inert and sends everybody home.
func (t *step) end(reason string) {
	t.over = true
	for _, r := range t.requests {
		t.do(RefuseRequest{Key: r.key, Reason: reason})
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
