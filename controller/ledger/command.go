package ledger

import (
	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

// Version is the newest command version that this build applies. Version 2 brought
// SuspendJob, ResumeJob and the options of state; version 3 the options of
// checkpoints, savepoints, origins and upgrades.
const Version = 3

// Header is what every command carries.
type Header struct {
	// Term is the term in which the proposer began to lead; Apply refuses a
	// command whose entry has another (result ErrStaleTerm). Zero for
	// commands that clients may cause under any leader never occurs: the
	// leader proposes for them.
	Term dataflow.Term `cbor:"1,keyasint"`
	// At is the proposer's wall clock in Unix milliseconds. Apply clamps it so
	// that time never runs backwards.
	At int64 `cbor:"2,keyasint"`
	// Key makes a repeated proposal harmless: a key seen before gets the
	// first result again. Empty for commands that are idempotent by content.
	Key string `cbor:"3,keyasint,omitempty"`
}

// Command is one change of the replicated state. Exactly one of the
// concrete types below; Encode gives each a number and a version.
type Command interface{ header() *Header }

// The commands. Each comment says what Apply refuses and what it answers. All that
// name a job refuse one that does not exist (ErrNoJob), and all refuse ErrStaleTerm
// and content that can not be meant (ErrInvalid).
type (
	// LeaderEstablished is a leader's first entry of its term.
	LeaderEstablished struct {
		Header     Header `cbor:"1,keyasint"`
		Controller string `cbor:"2,keyasint"`
		// Cluster is used by the very first one only: it names the cluster
		// incarnation for ever.
		Cluster string `cbor:"3,keyasint,omitempty"`
		// ObjectStore likewise: the URL that the cluster was made for.
		ObjectStore string `cbor:"4,keyasint,omitempty"`
	}
	// AnnounceController tells what a member can apply (I8) and where it serves.
	AnnounceController struct {
		Header      Header `cbor:"1,keyasint"`
		Controller  string `cbor:"2,keyasint"`
		APIAddress  string `cbor:"3,keyasint"`
		RaftAddress string `cbor:"4,keyasint"`
		MaxVersion  int    `cbor:"5,keyasint"`
		Build       string `cbor:"6,keyasint"`
	}
	// RegisterWorker makes an agent's incarnation known. A new incarnation of
	// the same worker ends the one before. Refused: an incarnation that Raft
	// has ended (ErrEndedIncarnation).
	RegisterWorker struct {
		Header      Header               `cbor:"1,keyasint"`
		Worker      dataflow.WorkerID    `cbor:"2,keyasint"`
		Incarnation dataflow.Incarnation `cbor:"3,keyasint"`
		Slots       int                  `cbor:"4,keyasint"`
		Platform    string               `cbor:"5,keyasint"`
		Host        string               `cbor:"6,keyasint"`
		Build       string               `cbor:"7,keyasint"`
	}
	// EndWorker ends an agent's incarnation: what it still says changes
	// nothing. Idempotent.
	EndWorker struct {
		Header      Header               `cbor:"1,keyasint"`
		Worker      dataflow.WorkerID    `cbor:"2,keyasint"`
		Incarnation dataflow.Incarnation `cbor:"3,keyasint"`
		Reason      string               `cbor:"4,keyasint"`
	}
	// SubmitJob adds a job in status created. Result: *Job. Refused: ErrJobExists, an
	// origin whose job or checkpoint is not there (ErrNoJob, ErrNoCheckpoint), one that
	// another job has claimed or, to be claimed, needs (ErrCheckpointNeeded), a claim of a
	// checkpoint of a job that may still run (ErrNotEnded).
	SubmitJob struct {
		Header   Header           `cbor:"1,keyasint"`
		Job      dataflow.JobID   `cbor:"2,keyasint"`
		Name     string           `cbor:"3,keyasint"`
		Artifact string           `cbor:"4,keyasint"` // SHA-256
		Args     []string         `cbor:"5,keyasint"`
		Graph    []byte           `cbor:"6,keyasint"` // dataflow.Graph as JSON
		Options  dataflow.Options `cbor:"7,keyasint"` // defaults filled in
		Platform string           `cbor:"8,keyasint"`
		// Parallelism is what the submit asked for of operators that do not
		// fix their own; 0: nothing. The program needs it to build Graph again.
		Parallelism int `cbor:"9,keyasint,omitempty"`
		// Origin is what the job starts from; nil: from the beginning.
		Origin *Origin `cbor:"30,keyasint,omitempty"`
	}
	// StartAttempt begins the next attempt of a job: Apply chooses the number
	// and the restore point (the newest complete checkpoint at this index),
	// ends the attempt before, voids its pending checkpoints and holds the
	// restore point. Result: *Execution. Refused: a job that is cancelled or
	// terminal (ErrJobEnded), an incarnation in the placement that is not
	// live (ErrEndedIncarnation), another attempt than After being the
	// current one (ErrStaleAttempt).
	StartAttempt struct {
		Header    Header           `cbor:"1,keyasint"`
		Job       dataflow.JobID   `cbor:"2,keyasint"`
		After     dataflow.Attempt `cbor:"3,keyasint"` // the attempt that it follows
		Placement []Placement      `cbor:"4,keyasint"`
	}
	// FailAttempt ends the current attempt; the job is restarting and not
	// before NotBefore. Pending checkpoints are void. Idempotent by attempt.
	// Result: *Job. Refused: an attempt that is yet to come (ErrStaleAttempt).
	FailAttempt struct {
		Header    Header           `cbor:"1,keyasint"`
		Job       dataflow.JobID   `cbor:"2,keyasint"`
		Attempt   dataflow.Attempt `cbor:"3,keyasint"`
		Reason    string           `cbor:"4,keyasint"`
		Stack     string           `cbor:"5,keyasint,omitempty"`
		NotBefore int64            `cbor:"6,keyasint"` // Unix milliseconds
		// Final: the restart strategy gives up; the job fails with Reason
		// (failing first, if commits are owed).
		Final bool `cbor:"7,keyasint,omitempty"`
		// FailuresInRow replaces the job's count, as the strategy decided it.
		FailuresInRow int `cbor:"8,keyasint"`
	}
	// AttemptRunning records that all subtasks of an attempt run. Result: *Job.
	// Refused: ErrStaleAttempt.
	AttemptRunning struct {
		Header  Header           `cbor:"1,keyasint"`
		Job     dataflow.JobID   `cbor:"2,keyasint"`
		Attempt dataflow.Attempt `cbor:"3,keyasint"`
	}
	// BeginCheckpoint opens a checkpoint. Result: dataflow.CheckpointID, the next
	// of the job. Refused: ErrStaleAttempt, ErrNotRunning, ErrTooManyPending.
	BeginCheckpoint struct {
		Header  Header           `cbor:"1,keyasint"`
		Job     dataflow.JobID   `cbor:"2,keyasint"`
		Attempt dataflow.Attempt `cbor:"3,keyasint"`
		Trigger string           `cbor:"4,keyasint"` // periodic, volume, manual, final
		// Triggers are the ids that callers gave their wishes for a checkpoint: Raft
		// remembers which one each of them began, see State.Triggered.
		Triggers []string `cbor:"20,keyasint,omitempty"`
	}
	// CompleteCheckpoint is the commit point of a checkpoint. Result:
	// *Completed. Refused: ErrStaleAttempt, ErrNotPending (unless it is
	// already complete with the same metadata: then the first result, of which
	// only the id is left if the command has no key), an object that is marked
	// (ErrMarkedObject).
	CompleteCheckpoint struct {
		Header   Header                `cbor:"1,keyasint"`
		Job      dataflow.JobID        `cbor:"2,keyasint"`
		Attempt  dataflow.Attempt      `cbor:"3,keyasint"`
		ID       dataflow.CheckpointID `cbor:"4,keyasint"`
		Metadata catalog.Object        `cbor:"5,keyasint"`
		Objects  []snapshot.Run        `cbor:"6,keyasint"`
		Released []snapshot.Run        `cbor:"7,keyasint,omitempty"`
		Owed     bool                  `cbor:"8,keyasint,omitempty"` // sinks have transactions to commit
		Stats    CheckpointStats       `cbor:"9,keyasint"`
	}
	// AbortCheckpoint ends a pending checkpoint that will not complete. Idempotent.
	AbortCheckpoint struct {
		Header  Header                `cbor:"1,keyasint"`
		Job     dataflow.JobID        `cbor:"2,keyasint"`
		Attempt dataflow.Attempt      `cbor:"3,keyasint"`
		ID      dataflow.CheckpointID `cbor:"4,keyasint"`
		Reason  string                `cbor:"5,keyasint"`
		// FailuresInRow replaces the job's count of checkpoint failures.
		FailuresInRow int `cbor:"6,keyasint"`
	}
	// ConfirmCommits records that all sink transactions up to and with a
	// checkpoint are committed. Idempotent; monotonic. It may end a job that is
	// finishing, cancelling or failing. Refused: a checkpoint that is not
	// complete (ErrNoCheckpoint).
	ConfirmCommits struct {
		Header Header                `cbor:"1,keyasint"`
		Job    dataflow.JobID        `cbor:"2,keyasint"`
		ID     dataflow.CheckpointID `cbor:"3,keyasint"`
	}
	// FinishJob says that a bounded job's final checkpoint completed: the job
	// is finishing, or finished if no commit is owed. Idempotent. Refused:
	// ErrStaleAttempt, ErrJobEnded, ErrNoCheckpoint if the newest complete
	// checkpoint is not the attempt's final one.
	FinishJob struct {
		Header  Header           `cbor:"1,keyasint"`
		Job     dataflow.JobID   `cbor:"2,keyasint"`
		Attempt dataflow.Attempt `cbor:"3,keyasint"`
	}
	// CancelJob ends a job at its owner's wish: cancelling while commits are
	// owed, then cancelled. Result: *Job. A job that has ended, or is ending in
	// another way, stays as it is.
	CancelJob struct {
		Header Header         `cbor:"1,keyasint"`
		Job    dataflow.JobID `cbor:"2,keyasint"`
	}
	// SuspendJob ends the current attempt because an object that its restore point
	// needs is missing or damaged: the job is suspended until an operator decides.
	// Idempotent by attempt. Result: *Job. Refused: ErrStaleAttempt, ErrJobEnded.
	SuspendJob struct {
		Header  Header           `cbor:"1,keyasint"`
		Job     dataflow.JobID   `cbor:"2,keyasint"`
		Attempt dataflow.Attempt `cbor:"3,keyasint"`
		Object  string           `cbor:"4,keyasint"` // its key
		Reason  string           `cbor:"5,keyasint"`
	}
	// ResumeJob is an operator's decision about a suspended job: it starts again
	// from checkpoint ID, and the newer ones are dropped, owed or not: what their
	// sinks have published comes once more. ID 0 tries again from the newest,
	// as if nothing were damaged. Result: *Resumed. Refused: a job that is not
	// suspended (ErrNotSuspended), an unknown checkpoint (ErrNoCheckpoint), one that
	// needs an object which is known to be damaged (ErrDamaged).
	ResumeJob struct {
		Header Header                `cbor:"1,keyasint"`
		Job    dataflow.JobID        `cbor:"2,keyasint"`
		ID     dataflow.CheckpointID `cbor:"3,keyasint,omitempty"`
	}
	// DeleteCheckpoint drops a checkpoint from the catalog. Refused: the
	// newest of a job that is not terminal, one that is held or owed
	// (ErrCheckpointNeeded), an unknown one (ErrNoCheckpoint).
	DeleteCheckpoint struct {
		Header Header                `cbor:"1,keyasint"`
		Job    dataflow.JobID        `cbor:"2,keyasint"`
		ID     dataflow.CheckpointID `cbor:"3,keyasint"`
	}
	// ForgetGarbage records that marked objects are gone from the store.
	ForgetGarbage struct {
		Header Header           `cbor:"1,keyasint"`
		Job    dataflow.JobID   `cbor:"2,keyasint"`
		Runs   []snapshot.Run   `cbor:"3,keyasint,omitempty"`
		Single []catalog.Object `cbor:"4,keyasint,omitempty"`
	}
)

// Placement puts one subtask on one incarnation of an agent. It never changes
// within an attempt.
type Placement struct {
	Task        dataflow.TaskID      `cbor:"1,keyasint"`
	Worker      dataflow.WorkerID    `cbor:"2,keyasint"`
	Incarnation dataflow.Incarnation `cbor:"3,keyasint"`
}

// CheckpointStats is what the history keeps of a checkpoint. Durations in
// microseconds, of the slowest subtask.
type CheckpointStats struct {
	StateBytes    int64 `cbor:"1,keyasint"`
	UploadedBytes int64 `cbor:"2,keyasint"`
	Puts          int64 `cbor:"3,keyasint"`
	StartDelay    int64 `cbor:"4,keyasint"`
	Align         int64 `cbor:"5,keyasint"`
	Sync          int64 `cbor:"6,keyasint"`
	Async         int64 `cbor:"7,keyasint"`
	Commit        int64 `cbor:"8,keyasint"` // metadata object
	Duration      int64 `cbor:"9,keyasint"` // begin to completion, by the proposer's clock

	// InFlightBytes are the records that barriers overtook, kept with the checkpoint.
	InFlightBytes int64 `cbor:"40,keyasint,omitempty"`
	// Mode is how its barriers passed: ModeUnaligned or ModeAtLeastOnce; empty: aligned.
	Mode string `cbor:"41,keyasint,omitempty"`
}
