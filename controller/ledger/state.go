package ledger

import (
	"errors"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
)

// Refusals: results of Apply that changed nothing. Callers decide with errors.Is.
var (
	ErrStaleTerm        = errors.New("command of another term")
	ErrStaleAttempt     = errors.New("not the job's current attempt")
	ErrEndedIncarnation = errors.New("worker incarnation has ended")
	ErrNoJob            = errors.New("no such job")
	ErrJobExists        = errors.New("job exists")
	ErrJobEnded         = errors.New("job has ended")
	ErrNotRunning       = errors.New("job is not running")
	ErrNotPending       = errors.New("checkpoint is not pending")
	ErrNoCheckpoint     = errors.New("no such checkpoint")
	ErrCheckpointNeeded = errors.New("checkpoint is still needed")
	ErrMarkedObject     = errors.New("object is marked for deletion")
	ErrTooManyPending   = errors.New("too many checkpoints in flight")
	ErrNotSuspended     = errors.New("job is not suspended")
	ErrDamaged          = errors.New("checkpoint needs a damaged object")
	ErrNotEnded         = errors.New("job has not ended")
	// ErrInvalid is the refusal of a command whose content can not be meant:
	// an empty placement, a malformed run, a key that is too long.
	ErrInvalid = errors.New("invalid command")
)

// Status is where a job is in its life.
//
//	created -> running <-> restarting
//	   any of these -> suspended -> restarting
//	                -> finishing -> finished
//	                -> cancelling -> cancelled
//	                -> failing    -> failed
//
// A job whose newest checkpoint can't be restored, because an object is missing or
// damaged, is suspended: every attempt from there would fail alike, and an older
// checkpoint repeats output, which only an operator may decide (ResumeJob).
//
// Finishing, cancelling and failing last as long as completed checkpoints have
// sink commits that are not confirmed (I5); without any, a job passes straight
// to the terminal status. A job in one of them never runs again and never takes
// another of them.
type Status string

// The statuses. The last three are terminal.
const (
	Created    Status = "created"    // no attempt yet, or waiting for slots
	Deploying  Status = "deploying"  // an attempt is placed, not all subtasks run
	Running    Status = "running"    // all subtasks of the current attempt run
	Restarting Status = "restarting" // the last attempt failed
	Suspended  Status = "suspended"  // its newest checkpoint can't be restored; waits for an operator
	Finishing  Status = "finishing"  // done; sink commits are owed
	Cancelling Status = "cancelling" // cancelled; sink commits are owed
	Failing    Status = "failing"    // given up; sink commits are owed
	Finished   Status = "finished"
	Cancelled  Status = "cancelled"
	Failed     Status = "failed"
)

// Terminal tells whether nothing of the job will ever change.
func (s Status) Terminal() bool { return s == Finished || s == Cancelled || s == Failed }

// Active tells whether the job is to run.
func (s Status) Active() bool {
	return s == Created || s == Deploying || s == Running || s == Restarting
}

// Ending tells whether the job is on its way out, or has ended.
func (s Status) Ending() bool { return !s.Active() && s != Suspended }

// Worker is an agent as Raft knows it.
type Worker struct {
	ID          dataflow.WorkerID    `cbor:"1,keyasint"`
	Incarnation dataflow.Incarnation `cbor:"2,keyasint"`
	Ended       bool                 `cbor:"3,keyasint,omitempty"`
	Slots       int                  `cbor:"4,keyasint"`
	Platform    string               `cbor:"5,keyasint"`
	Host        string               `cbor:"6,keyasint"`
	Build       string               `cbor:"7,keyasint"`
	Since       int64                `cbor:"8,keyasint"` // Unix milliseconds
	Reason      string               `cbor:"9,keyasint,omitempty"`
}

// Member is a controller as Raft knows it.
type Member struct {
	ID          string `cbor:"1,keyasint"`
	APIAddress  string `cbor:"2,keyasint"`
	RaftAddress string `cbor:"3,keyasint"`
	MaxVersion  int    `cbor:"4,keyasint"`
	Build       string `cbor:"5,keyasint"`
}

// Execution is one attempt of a job.
type Execution struct {
	Attempt   dataflow.Attempt      `cbor:"1,keyasint"`
	Placement []Placement           `cbor:"2,keyasint"`
	Restore   dataflow.CheckpointID `cbor:"3,keyasint"` // 0: from the beginning
	Metadata  catalog.Object        `cbor:"4,keyasint,omitempty"`
	StartedAt int64                 `cbor:"5,keyasint"`
	Ended     bool                  `cbor:"6,keyasint,omitempty"`
	// Origin: the job has no checkpoint of its own and restores Job.Origin. Restore
	// is 0, since checkpoints of another job are not numbered like its own, and
	// Metadata is the origin's.
	Origin bool `cbor:"30,keyasint,omitempty"`
}

// Pending is a checkpoint in flight.
type Pending struct {
	ID      dataflow.CheckpointID `cbor:"1,keyasint"`
	Attempt dataflow.Attempt      `cbor:"2,keyasint"`
	Trigger string                `cbor:"3,keyasint"`
	At      int64                 `cbor:"4,keyasint"`
	Term    dataflow.Term         `cbor:"5,keyasint"`
}

// CheckpointHistory is a checkpoint's line in the history, whatever became of it.
type CheckpointHistory struct {
	ID        dataflow.CheckpointID `cbor:"1,keyasint"`
	Attempt   dataflow.Attempt      `cbor:"2,keyasint"`
	Trigger   string                `cbor:"3,keyasint"`
	Status    string                `cbor:"4,keyasint"` // completed, failed
	Reason    string                `cbor:"5,keyasint,omitempty"`
	BegunAt   int64                 `cbor:"6,keyasint"`
	EndedAt   int64                 `cbor:"7,keyasint"`
	BegunTerm dataflow.Term         `cbor:"8,keyasint"`
	EndedTerm dataflow.Term         `cbor:"9,keyasint"`
	Stats     CheckpointStats       `cbor:"10,keyasint"`
	Metadata  catalog.Object        `cbor:"11,keyasint"`
}

// FailureRecord is one failure of a job, for people.
type FailureRecord struct {
	At      int64            `cbor:"1,keyasint"`
	Attempt dataflow.Attempt `cbor:"2,keyasint"`
	Reason  string           `cbor:"3,keyasint"`
	Stack   string           `cbor:"4,keyasint,omitempty"`
}

// Bounds of what the ledger keeps per job, so that a job that runs for years
// costs the log's snapshot no more than one that began today.
const (
	historyMax  = 1000     // checkpoints, oldest dropped first
	failuresMax = 16       // as Flink's exception history
	damagedMax  = 16       // damaged objects, oldest forgotten first; a person looks at one
	keyBytesMax = 512      // bytes of an object's key, as objectstore has it
	stackMax    = 16 << 10 // bytes of a failure's stack
	reasonMax   = 4 << 10  // bytes of a reason: a screenful
	pendingMax  = 16       // checkpoints in flight; leaders begin one at a time
	keysMax     = 10_000   // idempotency keys remembered in the cluster
	// endedMax is how many ended incarnations are remembered, oldest forgotten
	// first. One that is forgotten and still alive could register again; an
	// attempt that names it has ended long before.
	endedMax = 10_000
)

// KeyMax bounds an idempotency key and a caller's id, in bytes.
const KeyMax = 256

// Job is everything that Raft holds of a job.
type Job struct {
	ID          dataflow.JobID   `cbor:"1,keyasint"`
	Name        string           `cbor:"2,keyasint"`
	Artifact    string           `cbor:"3,keyasint"`
	Args        []string         `cbor:"4,keyasint"`
	Graph       []byte           `cbor:"5,keyasint"`
	Options     dataflow.Options `cbor:"6,keyasint"`
	Platform    string           `cbor:"7,keyasint"`
	Status      Status           `cbor:"8,keyasint"`
	Reason      string           `cbor:"9,keyasint,omitempty"`
	SubmittedAt int64            `cbor:"10,keyasint"`
	EndedAt     int64            `cbor:"11,keyasint,omitempty"`

	Execution       *Execution `cbor:"12,keyasint,omitempty"` // the latest attempt
	NotBefore       int64      `cbor:"13,keyasint,omitempty"` // restarting: Unix milliseconds
	FailuresInRow   int        `cbor:"14,keyasint,omitempty"`
	Restarts        int        `cbor:"15,keyasint,omitempty"`
	RunningSince    int64      `cbor:"16,keyasint,omitempty"`
	CheckpointFails int        `cbor:"17,keyasint,omitempty"` // in a row

	NextCheckpoint dataflow.CheckpointID `cbor:"18,keyasint"`
	Pending        []Pending             `cbor:"19,keyasint,omitempty"` // by id
	Completed      int64                 `cbor:"20,keyasint"`           // since the job began
	FailedCount    int64                 `cbor:"21,keyasint"`
	Committed      dataflow.CheckpointID `cbor:"22,keyasint"` // sink commits confirmed up to here
	History        []CheckpointHistory   `cbor:"23,keyasint,omitempty"`
	Failures       []FailureRecord       `cbor:"24,keyasint,omitempty"`
	Catalog        *catalog.Catalog      `cbor:"25,keyasint"`

	Parallelism int `cbor:"26,keyasint,omitempty"` // asked for at submit, see SubmitJob
	// Damaged are keys of objects that restores have found missing or damaged,
	// in that order, until one succeeds or an operator has it tried again.
	Damaged []string `cbor:"27,keyasint,omitempty"`

	Savepoints []Savepoint `cbor:"35,keyasint,omitempty"` // by id; see savepoint.go
	// Origin is what the job started from; nil: from the beginning.
	Origin *Origin `cbor:"40,keyasint,omitempty"`
	// TookOver: it has had a checkpoint of its own, or ended with a savepoint, so that its
	// origin is not the last copy of anything.
	TookOver bool `cbor:"41,keyasint,omitempty"`
	// Upgrade is the newest upgrade; nil: there was none.
	Upgrade *Upgrade `cbor:"45,keyasint,omitempty"`
}

// Resumed is ResumeJob's result.
type Resumed struct {
	From    dataflow.CheckpointID   `cbor:"1,keyasint"`           // 0: from the beginning
	Dropped []dataflow.CheckpointID `cbor:"2,keyasint,omitempty"` // oldest first
}

// EndedAttempts is the newest attempt that has ended, and with it all before:
// nothing that their processes still say or write changes anything.
func (j *Job) EndedAttempts() dataflow.Attempt {
	if j.Execution == nil {
		return 0
	}
	if j.Execution.Ended {
		return j.Execution.Attempt
	}
	return j.Execution.Attempt - 1
}

// Completed is CompleteCheckpoint's result.
type Completed struct {
	ID       dataflow.CheckpointID   `cbor:"1,keyasint"`
	Subsumed []dataflow.CheckpointID `cbor:"2,keyasint,omitempty"` // dropped by retention
	Aborted  []dataflow.CheckpointID `cbor:"3,keyasint,omitempty"` // older pending ones
}

// Event is one thing that an applied entry made happen, for watchers and logs.
type Event struct {
	Index      uint64
	Term       uint64
	At         int64
	Type       EventType
	Job        dataflow.JobID
	Attempt    dataflow.Attempt
	Checkpoint dataflow.CheckpointID
	Worker     dataflow.WorkerID
	Controller string
	Detail     string
}

// EventType names what happened.
type EventType string

// The events.
const (
	EventLeaderEstablished   EventType = "leader_established"
	EventWorkerRegistered    EventType = "worker_registered"
	EventWorkerEnded         EventType = "worker_ended"
	EventJobSubmitted        EventType = "job_submitted"
	EventJobStatus           EventType = "job_status" // Detail: the new status
	EventAttemptStarted      EventType = "attempt_started"
	EventAttemptRunning      EventType = "attempt_running"
	EventAttemptFailed       EventType = "attempt_failed"
	EventCheckpointBegun     EventType = "checkpoint_begun"
	EventCheckpointCompleted EventType = "checkpoint_completed"
	EventCheckpointAborted   EventType = "checkpoint_aborted"
	EventCommitsConfirmed    EventType = "commits_confirmed"
	EventCheckpointDeleted   EventType = "checkpoint_deleted"
	EventSavepoint           EventType = "savepoint"       // Detail: its new status, or gone
	EventUpgrade             EventType = "upgrade"         // Detail: how it stands
	EventOriginReleased      EventType = "origin_released" // Detail: the parent
	EventCheckpointPinned    EventType = "checkpoint_pinned"
	EventCheckpointUnpinned  EventType = "checkpoint_unpinned"
)
