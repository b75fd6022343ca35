package ledger

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cairnstream/cairn/dataflow"
)

// refusal is the result of a command that changed nothing.
type refusal struct {
	class  error // one of the sentinels
	detail string
}

func (r *refusal) Error() string { return r.detail + ": " + r.class.Error() }
func (r *refusal) Unwrap() error { return r.class }

func refuse(class error, format string, args ...any) error {
	return &refusal{class: class, detail: fmt.Sprintf(format, args...)}
}

// refusals numbers the sentinels in snapshots, by index. Append only.
var refusals = []error{
	nil, ErrStaleTerm, ErrStaleAttempt, ErrEndedIncarnation, ErrNoJob, ErrJobExists,
	ErrJobEnded, ErrNotRunning, ErrNotPending, ErrNoCheckpoint, ErrCheckpointNeeded,
	ErrMarkedObject, ErrTooManyPending, ErrInvalid, ErrNotSuspended, ErrDamaged,
	ErrNoSavepoint, ErrSavepointBusy, ErrStopping, ErrTooManySavepoints, ErrNotEnded, ErrUpgrading,
}

// remembered is the first result of a keyed command.
type remembered struct {
	Key        string                `cbor:"1,keyasint"` // with the command's kind before it
	Refusal    int                   `cbor:"2,keyasint,omitempty"`
	Detail     string                `cbor:"3,keyasint,omitempty"`
	Job        dataflow.JobID        `cbor:"4,keyasint,omitempty"`
	Execution  *Execution            `cbor:"5,keyasint,omitempty"`
	Checkpoint dataflow.CheckpointID `cbor:"6,keyasint,omitempty"`
	Completed  *Completed            `cbor:"7,keyasint,omitempty"`
	Resumed    *Resumed              `cbor:"8,keyasint,omitempty"`
}

func (r remembered) name() string { return r.Key }

func remember(key string, result any) remembered {
	r := remembered{Key: key}
	switch v := result.(type) {
	case *Job:
		r.Job = v.ID
	case *Execution:
		r.Execution = v
	case dataflow.CheckpointID:
		r.Checkpoint = v
	case *Completed:
		r.Completed = v
	case *Resumed:
		r.Resumed = v
	case error:
		var why *refusal
		if errors.As(v, &why) {
			r.Refusal, r.Detail = slices.Index(refusals, why.class), why.detail
		}
	}
	return r
}

// result is the first result again; a job is given as it is now.
func (r remembered) result(s *State) any {
	switch {
	case r.Refusal != 0:
		return &refusal{class: refusals[r.Refusal], detail: r.Detail}
	case r.Job != "":
		return s.Jobs[r.Job]
	case r.Execution != nil:
		return r.Execution
	case r.Checkpoint != 0:
		return r.Checkpoint
	case r.Completed != nil:
		return r.Completed
	case r.Resumed != nil:
		return r.Resumed
	}
	return nil
}
