package matrix

import (
	"fmt"
	"math/rand/v2"

	"github.com/cairnstream/cairn/engine/enginetest"
)

// phase is a moment in the life of a checkpoint, or of an attempt, at which a fault may strike.
type phase int

const (
	beforeTrigger phase = iota
	triggered           // some or all processes know
	sourceCut           // a source has taken its position
	barrierOnWire       // a barrier is on its way to another process
	sinkCut             // a sink has ended its transaction
	uploading           // an object or a transaction is on its way to its store
	someAcked
	allAcked // and not complete
	completed
	someTold // that it is complete
	committing
	committed
	writing   // a sink takes a batch
	restoring // a process reads what it restores
	lastPhase
)

var phaseNames = [lastPhase]string{"before the trigger", "triggered", "source cut", "barrier on the wire", "sink cut", "uploading", "some acknowledged",
	"all acknowledged", "completed", "some told of it", "committing", "committed", "writing", "restoring"}

func (p phase) String() string { return phaseNames[p] }

// strike is a fault: at the nth time that an attempt reaches the phase.
type strike struct {
	phase phase
	nth   int
	abort bool // the checkpoint in flight instead of the attempt
}

func (s strike) String() string {
	what := "kill"
	if s.abort {
		what = "abort the checkpoint"
	}
	return fmt.Sprintf("%s at %v number %d", what, s.phase, s.nth)
}

// nthMax is the last time that a phase may be struck, by how often it comes.
var nthMax = [lastPhase]int{
	beforeTrigger: 4, triggered: 4, sourceCut: 8, barrierOnWire: 30, sinkCut: 10, uploading: 10, someAcked: 3, allAcked: 3, completed: 3, someTold: 2,
	committing: 4, committed: 3, writing: 40, restoring: 3,
}

// firstStrike is the first fault of a seed: five seeds in turn have the modes, three times five
// the numbers of inputs, and so on with the phases.
func firstStrike(seed uint64) strike {
	return strike{phase: phase(seed / (uint64(lastMode) * inputsMax) % uint64(lastPhase)), nth: 1}
}

// newStrike is a random fault.
func newStrike(r *rand.Rand) strike {
	s := strike{phase: phase(r.IntN(int(lastPhase))), abort: r.IntN(4) == 0}
	s.nth = 1 + r.IntN(nthMax[s.phase])
	if s.phase == restoring || s.phase >= completed && s.phase <= committed {
		s.abort = false // there is nothing to abort
	}
	return s
}

// reach tells that a phase is reached, and strikes if it is time. Any goroutine may call it.
func (w *world) reach(p phase) {
	w.mu.Lock()
	w.seen[p]++
	s := w.strike
	hit := w.armed && s.phase == p && s.nth == w.seen[p]
	if hit {
		w.rearm(s.abort)
	}
	kill := w.kill
	w.mu.Unlock()
	switch {
	case !hit:
	case s.abort:
		w.cover.hit(fmt.Sprintf("%v: abort at %v", w.mode, p))
		w.aborts.put(struct{}{})
	default:
		w.cover.hit(fmt.Sprintf("%v: kill at %v", w.mode, p))
		kill(enginetest.ErrKilled)
	}
}

// rearm makes another fault follow one that the attempt has outlived. w.mu is held.
func (w *world) rearm(again bool) {
	if w.armed = again; again {
		w.strike = newStrike(w.r)
		w.strike.nth += w.seen[w.strike.phase]
	}
}
