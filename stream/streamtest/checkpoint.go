package streamtest

import (
	"fmt"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/engine"
)

// outcomeMax is how long, of virtual time, a checkpoint and the end of the data may take.
// A sink that retries needs some of it; a kept source that follows the clock a lot.
const outcomeMax = 24 * time.Hour

// await waits for an event of every share. It costs no virtual time unless the job
// needs it.
func (r *running) await(what string, event func(*share) bool) error {
	limit := time.After(outcomeMax)
	for _, s := range r.shares {
		for !s.has(event) {
			select {
			case <-s.news:
			case <-s.over:
				return s.err
			case <-limit:
				return fmt.Errorf("%s: not after %v of virtual time", what, outcomeMax)
			}
		}
	}
	return nil
}

// checkpoint takes a checkpoint and has the sinks commit it.
func (j *Job) checkpoint() error {
	j.last++
	id, now := j.last, time.Now()
	for _, s := range j.running.shares {
		s.attempt.Trigger(engine.Trigger{ID: id, At: now})
	}
	err := j.running.await("take a checkpoint", func(s *share) bool { return s.acked[id] != nil || s.declined[id] != nil })
	if err != nil {
		return err
	}
	next := &engine.Restore{Checkpoint: id, Attempt: j.attempt, KeyGroups: j.program.Graph.KeyGroups}
	for _, s := range j.running.shares {
		if reason := s.declined[id]; reason != nil {
			return fmt.Errorf("take a checkpoint: %w", reason)
		}
		next.Processes = append(next.Processes, *s.acked[id])
	}
	for _, s := range j.running.shares {
		s.attempt.Completed(id)
	}
	if err := j.running.await("commit a checkpoint", func(s *share) bool { return s.committed >= id }); err != nil {
		return err
	}
	for _, s := range j.running.shares {
		s.attempt.CommitsKnown(id)
	}
	synctest.Wait()
	next.CommitsKnown = id
	j.restore = next
	j.tell(replacement.checkpoint)
	return nil
}

func (j *Job) restart() error {
	if err := j.checkpoint(); err != nil {
		return err
	}
	return j.crash()
}

func (j *Job) crash() error {
	j.running.stop()
	j.running = nil
	j.tell(replacement.crash)
	return j.start()
}

func (j *Job) finish() error {
	j.tell(replacement.end)
	if err := j.running.await("end the data", func(s *share) bool { return s.endOfData }); err != nil {
		return err
	}
	if err := j.checkpoint(); err != nil {
		return err
	}
	j.running.stop()
	j.running, j.over = nil, true
	return nil
}

func (j *Job) tell(what func(replacement)) {
	for _, r := range j.inputs {
		what(r)
	}
	for _, r := range j.outputs {
		what(r)
	}
}
