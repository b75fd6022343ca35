package engine

import (
	"context"

	"github.com/cairnstream/cairn/dataflow"
)

// stopping is what a subtask knows of a checkpoint with which the job is to stop.
//
//	Hold:   cut, barrier, then read nothing
//	Drain:  end of the data, the last results, cut, barrier
//
// A job that stops with a checkpoint has its sinks commit up to it and never runs on
// from there. So nothing may be read behind the barrier that would have to be
// read again, and with Drain nothing may still be under way before it.
type stopping struct {
	// hold is the checkpoint behind which the source reads nothing; 0: it reads. Its
	// abort ends that, and so does a newer checkpoint: then its outcome is known.
	hold dataflow.CheckpointID
	// drain is a checkpoint whose cut waits for the last results of the data.
	drain *Trigger
}

// begun takes the trigger of a checkpoint at a source: what was held goes on, or
// stays where it is.
func (s *stopping) begun(t *Trigger) {
	s.hold = 0
	if t.Afterwards == Hold {
		s.hold = t.ID
	}
}

// aborted takes the news that a checkpoint will not complete. A source that has
// drained stays at its end: the leader restarts the attempt.
func (s *stopping) aborted(id dataflow.CheckpointID) {
	if s.hold == id {
		s.hold = 0
	}
	if s.drain != nil && s.drain.ID <= id {
		s.drain = nil
	}
}

// triggered begins a checkpoint at a source.
func (s *subtask) triggered(ctx context.Context, t *Trigger) error {
	s.stopping.begun(t)
	if t.Afterwards == Drain {
		if err := s.end(); err != nil {
			return err
		}
	}
	return s.cutAtEnd(ctx, t)
}

// cutAtEnd cuts at once, or with Drain when the last result of the data is out: an
// operator whose results come later may have some to come behind its inputs' end.
func (s *subtask) cutAtEnd(ctx context.Context, t *Trigger) error {
	if t.Afterwards == Drain && !s.endSent {
		s.stopping.drain = t
		return nil
	}
	s.stopping.drain = nil
	return s.cut(ctx, t)
}

// cutDrained cuts what has waited for the last result.
func (s *subtask) cutDrained(ctx context.Context) error {
	if t := s.stopping.drain; t != nil && s.endSent {
		return s.cutAtEnd(ctx, t)
	}
	return nil
}

// SavepointTaken tells that checkpoint id is complete and is a savepoint from which the
// job goes on: it may still restore below it, so sinks commit nothing, the
// changelog lets go of nothing, and the next checkpoint covers both.
func (a *Attempt) SavepointTaken(id dataflow.CheckpointID) { a.dropCheckpoint(id) }
