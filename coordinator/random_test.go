package coordinator

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cairnstream/cairn/dataflow"
)

// host is a model of one, with what must hold whatever comes.
type host struct {
	t     *rapid.T
	state State
	now   time.Duration

	options  dataflow.Options
	asked    *ProposeBegin
	inFlight map[dataflow.CheckpointID]ProposeBegin
	id       dataflow.CheckpointID
	waiting  map[string]bool // requests that are not answered
	subsumed map[dataflow.CheckpointID]bool
	lastEnd  time.Duration // of a checkpoint; negative: none
	over     bool
	records  int64
	keys     int
}

// TestRandomRules runs an attempt with random options, that change, and random
// outcomes, and checks at every step: never more in flight than allowed, nothing
// beside a savepoint, min_pause kept by clock and volume, every
// request answered once, and the clock never further away than an interval and its
// jitter.
func TestRandomRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &host{t: t, inFlight: map[dataflow.CheckpointID]ProposeBegin{}, waiting: map[string]bool{}, subsumed: map[dataflow.CheckpointID]bool{}, lastEnd: -1}
		h.options = someOptions(t)
		h.state = New("job", h.options)
		h.step(Running{[]dataflow.Incarnation{"a", "b"}})
		for range rapid.IntRange(20, 150).Draw(t, "steps") {
			h.something()
			if h.over {
				break
			}
			h.checkClock()
		}
		h.step(AttemptOver{})
		answered := h.asked != nil
		for key := range h.waiting {
			if !answered || !slices.Contains(h.asked.Keys, key) {
				t.Fatalf("request %s was never answered", key)
			}
		}
	})
}

func someOptions(t *rapid.T) dataflow.Options {
	o := dataflow.Options{
		CheckpointInterval: time.Duration(rapid.SampledFrom([]int{-1, 5, 10, 10, 30}).Draw(t, "interval")) * time.Second,
		CheckpointTimeout:  40 * time.Second, TolerableFailures: -1,
	}
	c := &o.Checkpoint
	c.Jitter = rapid.SampledFrom([]float64{-1, 0.1, 1}).Draw(t, "jitter")
	c.MaxConcurrent = rapid.IntRange(1, 3).Draw(t, "concurrent")
	if c.MaxConcurrent == 1 {
		o.MinPause = time.Duration(rapid.SampledFrom([]int{0, 3, 20}).Draw(t, "pause")) * time.Second
	}
	c.EveryRecords = rapid.SampledFrom([]int64{0, 0, 100}).Draw(t, "records")
	if o.CheckpointInterval > 0 {
		c.IntervalDuringBacklog = rapid.SampledFrom([]time.Duration{0, -1, 60 * time.Second}).Draw(t, "backlog")
	}
	if err := o.WithDefaults().Validate(); err != nil {
		t.Fatal(err)
	}
	return o.WithDefaults()
}

// something happens.
func (h *host) something() {
	if at, ok := h.state.Next(); ok && rapid.Bool().Draw(h.t, "jump") {
		h.now = max(h.now, at)
		h.step(Tick{})
		return
	}
	h.now += time.Duration(rapid.IntRange(0, 4000).Draw(h.t, "ms")) * time.Millisecond
	switch rapid.SampledFrom([]string{"tick", "answer", "answer", "answer", "ack", "ack", "ack", "end", "end", "request", "savepoint", "volume", "volume", "options"}).Draw(h.t, "what") {
	case "answer":
		h.answer()
	case "ack":
		if id, ok := h.some(); ok {
			h.step(ackOf(id, rapid.SampledFrom([]dataflow.Incarnation{"a", "b", "zombie"}).Draw(h.t, "process")))
		}
	case "end":
		if id, ok := h.some(); ok {
			h.step(Decline{ID: id, Process: "a", Reason: "no", Store: rapid.Bool().Draw(h.t, "store")})
		}
	case "request":
		h.keys++
		key := fmt.Sprint("k", h.keys)
		h.waiting[key] = true
		h.step(Requested{key})
	case "savepoint":
		h.keys++
		key := fmt.Sprint("s", h.keys)
		h.waiting[key] = true
		h.step(RequestedSavepoint{key, SavepointWish{Stop: rapid.Bool().Draw(h.t, "stop")}})
	case "volume":
		h.records += rapid.Int64Range(0, 80).Draw(h.t, "read")
		h.step(Volume{Process: "a", Records: h.records, Bytes: h.records, Backlog: rapid.Bool().Draw(h.t, "in backlog")})
	case "options":
		h.options = someOptions(h.t)
		h.step(Reconfigured{h.options})
	default:
		h.step(Tick{})
	}
}

// some is a checkpoint in flight.
func (h *host) some() (dataflow.CheckpointID, bool) {
	ids := slices.Sorted(maps.Keys(h.inFlight))
	if len(ids) == 0 {
		return 0, false
	}
	return rapid.SampledFrom(ids).Draw(h.t, "checkpoint"), true
}

// answer is Raft's to what was asked.
func (h *host) answer() {
	if h.asked == nil {
		return
	}
	p := *h.asked
	h.asked = nil
	for _, key := range p.Keys {
		delete(h.waiting, key)
	}
	if rapid.SampledFrom([]int{1, 2, 3, 4, 5}).Draw(h.t, "refused") == 1 {
		h.step(BeginRefused{})
		return
	}
	h.id++
	h.inFlight[h.id] = p
	h.step(Began{h.id, p.Trigger})
}

func (h *host) step(e Event) {
	next, actions := h.state.Step(h.now, e)
	h.state = next
	var answers []Event
	for _, a := range actions {
		if answer := h.act(a); answer != nil {
			answers = append(answers, answer)
		}
	}
	for _, answer := range answers {
		h.step(answer)
	}
	if at, ok := h.state.Next(); ok && at <= h.now {
		h.t.Fatalf("a tick is due at %v, it is %v: the host would spin", at, h.now)
	}
}

// act carries an action out and returns the event that answers it at once.
func (h *host) act(a Action) Event {
	switch a := a.(type) {
	case ProposeBegin:
		h.propose(a)
	case RefuseRequest:
		if !h.waiting[a.Key] {
			h.t.Fatalf("request %s is answered twice", a.Key)
		}
		delete(h.waiting, a.Key)
	case Complete:
		h.ended(a.ID)
		for id := range h.inFlight { // subsumed
			if id < a.ID {
				delete(h.inFlight, id)
				h.subsumed[id] = true
			}
		}
		return Completed{a.ID}
	case ProposeAbort:
		if !h.subsumed[a.ID] {
			h.ended(a.ID)
		}
		return Aborted{a.ID}
	case FailJob, FinishJob:
		h.over = true
	}
	return nil
}

func (h *host) ended(id dataflow.CheckpointID) {
	if _, found := h.inFlight[id]; !found {
		h.t.Fatalf("checkpoint %d ends twice", id)
	}
	h.lastEnd = h.now
	delete(h.inFlight, id)
}

// propose checks what may begin.
func (h *host) propose(p ProposeBegin) {
	if h.asked != nil || len(h.inFlight) >= h.options.Checkpoint.MaxConcurrent {
		h.t.Fatalf("%s begins beside %d of %d in flight, asked %v", p.Trigger, len(h.inFlight), h.options.Checkpoint.MaxConcurrent, h.asked)
	}
	for id, other := range h.inFlight {
		if other.Savepoint != nil || p.Savepoint != nil {
			h.t.Fatalf("%s begins beside %s %d", p.Trigger, other.Trigger, id)
		}
	}
	for _, key := range p.Keys {
		if !h.waiting[key] {
			h.t.Fatalf("request %s is answered twice", key)
		}
	}
	own := p.Trigger == Periodic || p.Trigger == ByVolume
	if own && h.lastEnd >= 0 && h.now < h.lastEnd+h.options.MinPause {
		h.t.Fatalf("%s at %v, the last ended at %v and min_pause is %v", p.Trigger, h.now, h.lastEnd, h.options.MinPause)
	}
	if own && len(h.waiting) > 0 {
		h.t.Fatalf("%s before %d who asked", p.Trigger, len(h.waiting))
	}
	if p.Trigger == Periodic && h.state.interval() == 0 {
		h.t.Fatal("a periodic one without an interval")
	}
	h.asked = &p
}

// checkClock: with nothing in the way, the next trigger is at most two intervals away
// (one and its jitter), or the pause of a proposal that was refused.
func (h *host) checkClock() {
	i := h.state.interval()
	if i == 0 || h.asked != nil || len(h.inFlight) > 0 {
		return
	}
	i *= 2
	at, ok := h.state.Next()
	if !ok || at > h.now+max(i, time.Second)+60*time.Second*backlogs(h.state) {
		h.t.Fatalf("the next trigger is at %v %v; it is %v, the interval %v", at, ok, h.now, i)
	}
}

// backlogs is 1 while a longer interval than the options' may have been planned.
func backlogs(s State) time.Duration {
	if s.volume.backlog() {
		return 1
	}
	return 0
}
