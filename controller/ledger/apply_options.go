package ledger

import (
	"strings"

	"github.com/cairnstream/cairn/dataflow"
)

// EventOptionsChanged says that a job's options are others now.
const EventOptionsChanged EventType = "options_changed"

func (t *transition) setOptions(j *Job, c *SetOptions) any {
	if j.Status.Ending() {
		return refuse(ErrJobEnded, "set options of job %s: it is %s", j.ID, j.Status)
	}
	if u := j.upgrading(); u != nil {
		return refuse(ErrUpgrading, "set options of job %s: its upgrade is %s, and each program has options of its own; do it when that is over", j.ID, u.Status)
	}
	if names := j.Options.NeedsRestart(c.Options); len(names) > 0 {
		return refuse(ErrInvalid, "set options of job %s: %s can't be changed while it runs", j.ID, strings.Join(names, ", "))
	}
	if j.Options == c.Options {
		return t.Jobs[j.ID]
	}
	j.Options = c.Options
	t.emit(Event{Type: EventOptionsChanged, Job: j.ID, Attempt: j.attempt()})
	return t.put(j)
}

// Triggered is the checkpoint that a caller's id began, if Raft remembers one: the
// same id begins no second one, whoever leads.
func (s *State) Triggered(job dataflow.JobID, id string) (dataflow.CheckpointID, bool) {
	r, found := s.keys.get(triggerKey(job, id))
	return r.Checkpoint, found
}

// triggerKey is apart from the keys of headers, which begin with a number.
func triggerKey(job dataflow.JobID, id string) string { return "trigger/" + string(job) + "/" + id }

// checkTriggers tells whether the callers' ids can be meant.
func (c *BeginCheckpoint) checkTriggers() error {
	for _, id := range c.Triggers {
		if id == "" || len(id) > KeyMax {
			return refuse(ErrInvalid, "begin a checkpoint of job %s: a caller's id of %d bytes: use 1 to %d", c.Job, len(id), KeyMax)
		}
	}
	return nil
}

// rememberTriggers notes which checkpoint the callers' ids began. A refusal is not
// remembered: it began nothing.
func (t *transition) rememberTriggers(c *BeginCheckpoint, id dataflow.CheckpointID) {
	for _, caller := range c.Triggers {
		key := triggerKey(c.Job, caller)
		if _, found := t.keys.get(key); !found {
			t.keys.add(remember(key, id))
		}
	}
}
