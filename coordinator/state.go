package coordinator

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

const (
	// requestsMax bounds the requests that wait for a checkpoint, as Flink's
	// queue of triggers.
	requestsMax = 1000
	// retryPause is how long a refused proposal or a failed final checkpoint
	// waits for its repetition, unless the interval is shorter: what fails at
	// once must not spin.
	retryPause = time.Second
	// repeatEvery is how often the processes that have not acknowledged are
	// told of a checkpoint again. A repeat is harmless, and one that has
	// acknowledged says so once more: so a message that was lost costs seconds
	// and not CheckpointTimeout, during which no other checkpoint begins.
	repeatEvery = 10 * time.Second
)

// State is the coordination of one attempt's checkpoints under one leader. It
// is a value: Step returns the next one and leaves the receiver as it was.
//
//	          Running          ProposeBegin        Began
//	(idle) ----------> waiting -----------> asked -------> in flight -+
//	                     ^  ^                 |             |  |      | all acks: Complete
//	                     |  +--BeginRefused---+    declined |  |      v
//	                     |                          expired |  |   completing
//	                     |                                  v  |      |
//	                     +-------------Aborted---------- aborting <---+ CompleteFailed
//	                     +-------------Completed----------------------+
//
// At most one checkpoint is asked for at a time, and at most MaxConcurrent are in
// flight; only a new leader, or one whose options changed, may find more.
type State struct {
	options dataflow.Options

	processes []dataflow.Incarnation // that acknowledge, sorted; nil until Running
	ended     []dataflow.Incarnation // that have reported the end of their data
	lagging   []dataflow.Incarnation // whose changes the store does not take
	over      bool                   // nothing will be done any more

	rhythm    rhythm        // of the clock
	volume    volume        // what the sources have read, by process
	notBefore time.Duration // nothing is proposed before
	lastEnd   time.Duration // of a checkpoint, however it ended; before the first, when the attempt began to run
	fresh     time.Duration // MaxAge counts from here
	ages      *Ages         // at the takeover from another leader; nil: there was none

	requests  []request      // that wait for a checkpoint to begin
	asked     bool           // ProposeBegin is out
	answering []string       // keys that ProposeBegin carried, while asked
	wished    *SavepointWish // what ProposeBegin carried, while asked
	inFlight  []inFlight     // by id
	failures  int            // checkpoints in a row
	lastError string         // why a checkpoint failed last
	finalDone bool           // the final checkpoint completed, FinishJob is to follow
}

// request is something that waits for a checkpoint to begin.
type request struct {
	key       string
	savepoint *SavepointWish // nil: any checkpoint will do
}

// inFlight is a checkpoint that Raft holds as pending.
type inFlight struct {
	id        dataflow.CheckpointID
	trigger   Trigger
	savepoint *SavepointWish
	options   dataflow.Options // when it began
	deadline  time.Duration
	repeat    time.Duration // of the trigger
	acks      []ack
	phase     phase
}

// phase is how far a checkpoint in flight has come.
type phase int

const (
	collecting phase = iota
	completing       // Complete is out
	aborting         // ProposeAbort is out
)

type ack struct {
	process dataflow.Incarnation
	part    *snapshot.Process
}

// New returns the state of a job's attempt that has no checkpoint in flight. The
// options have their defaults filled in.
func New(job dataflow.JobID, o dataflow.Options) State { return Adopt(o, Facts{Job: job}) }

// Adopt returns the state of a leader that takes over an attempt. What is in
// flight is triggered again once the processes are known (Running), and its
// time counts anew from there: another leader's clock means nothing here. The
// rhythm goes on by the ages in the facts.
func Adopt(o dataflow.Options, f Facts) State {
	s := State{options: o, failures: f.FailuresInRow, finalDone: f.FinalCompleted, ages: f.Ages, rhythm: rhythm{seed: seedOf(f.Job)}}
	for _, p := range f.Pending {
		s.inFlight = append(s.inFlight, inFlight{id: p.ID, trigger: p.Trigger, savepoint: p.Savepoint, options: o})
	}
	return s
}

// Step takes one event at now, a monotonic time since the leader began, that
// never runs backwards. The host carries out the actions in order.
func (s State) Step(now time.Duration, e Event) (State, []Action) {
	t := step{State: s, now: now}
	t.inFlight = slices.Clone(s.inFlight)
	if t.over {
		t.afterwards(e)
		return t.State, t.actions
	}
	t.take(e)
	t.expire()
	t.outdate()
	t.repeat()
	t.propose()
	return t.State, t.actions
}

// Next is when the next Tick is due; not ok if only another event can change
// anything.
func (s State) Next() (deadline time.Duration, ok bool) {
	if s.over {
		return 0, false
	}
	var times []time.Duration
	for _, c := range s.inFlight {
		if s.expires(c) {
			times = append(times, c.deadline, c.repeat)
		}
	}
	if at, ok := s.outdated(); ok {
		times = append(times, at)
	}
	if _, at, ok := s.wish(); ok {
		times = append(times, at)
	}
	if len(times) == 0 {
		return 0, false
	}
	return slices.Min(times), true
}

// Triggers are those of the checkpoints in flight, for a process that may not have
// heard them.
func (s State) Triggers() []SendTrigger {
	var triggers []SendTrigger
	for _, c := range s.inFlight {
		triggers = append(triggers, c.order())
	}
	return triggers
}

func (c inFlight) order() SendTrigger {
	return SendTrigger{ID: c.id, Options: c.options, Savepoint: c.savepoint}
}

// expires tells whether the checkpoint's time runs.
func (s State) expires(c inFlight) bool { return s.processes != nil && c.phase == collecting }

func (s State) allEnded() bool {
	return len(s.processes) > 0 && !slices.ContainsFunc(s.processes, func(p dataflow.Incarnation) bool {
		return !slices.Contains(s.ended, p)
	})
}

// silent are the processes that have not acknowledged.
func (s State) silent(c inFlight) []dataflow.Incarnation {
	return slices.DeleteFunc(slices.Clone(s.processes), c.has)
}

// storeIsDown tells whether the checkpoint waits only for processes whose
// changes the store does not take.
func (s State) storeIsDown(c inFlight) bool {
	return !slices.ContainsFunc(s.silent(c), func(p dataflow.Incarnation) bool { return !slices.Contains(s.lagging, p) })
}

// missing names who has not acknowledged, for people.
func (s State) missing(c inFlight) string {
	const named = 3
	names := s.silent(c)
	if len(names) > named {
		return fmt.Sprintf("%d of %d processes, %s among them", len(names), len(s.processes), names[0])
	}
	return fmt.Sprintf("%v", names)
}

func (c inFlight) has(p dataflow.Incarnation) bool {
	return slices.ContainsFunc(c.acks, func(a ack) bool { return a.process == p })
}

// parts are the acknowledged parts, sorted by process.
func (c inFlight) parts() []*snapshot.Process {
	acks := slices.SortedFunc(slices.Values(c.acks), func(a, b ack) int { return cmp.Compare(a.process, b.process) })
	parts := make([]*snapshot.Process, len(acks))
	for i, a := range acks {
		parts[i] = a.part
	}
	return parts
}
