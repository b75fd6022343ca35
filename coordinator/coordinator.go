// Package coordinator decides about the checkpoints of one job: when one
// starts, what an acknowledgement completes, what expires and what a failure
// costs. It is Flink's CheckpointCoordinator and CheckpointFailureManager as a
// pure value: an event and the time go in, the next state and a list of actions
// come out. It has no clock, no goroutine and no I/O; its host carries out the
// actions and reports what became of them as further events.
//
// Several checkpoints may be in flight (MaxConcurrent). What is asked for waits in
// a queue: savepoints first, then what people asked for, then the clock's and the
// volume's. See docs/design/0009 for the rules and what differs from Flink.
//
// A State lives for one attempt of a job under one leader. A new leader builds
// another with Adopt, from what Raft holds; it repeats triggers and counts
// timeouts anew by its own clock. Every event is harmless twice.
package coordinator

import (
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

// Trigger says why a checkpoint is taken.
type Trigger string

// The triggers.
const (
	Periodic  Trigger = "periodic"
	ByVolume  Trigger = "volume"    // the sources have read EveryBytes or EveryRecords
	Manual    Trigger = "manual"    // a person asked; not held back by MinPause
	Savepoint Trigger = "savepoint" // for a savepoint, whoever asked
	Final     Trigger = "final"     // the data ended; its completion finishes the job
)

// SavepointWish is a savepoint that was asked for. The state only looks at what
// sources do afterwards; the rest is for the host.
type SavepointWish struct {
	Format    string // dataflow.Canonical or dataflow.Native
	Directory string // URL; empty: the cluster's bucket
	Trigger   string // who asked: manual, periodic
	Stop      bool   // its completion ends the job
	Drain     bool   // with Stop: sources end first, as at the end of the data
	Cancel    bool   // with Stop: the job is cancelled, not finished
	Upgrade   bool   // its completion ends the attempt: another program goes on
}

// Holds tells whether sources read nothing after its barrier until its outcome is
// known.
func (w *SavepointWish) Holds() bool { return w != nil && (w.Stop || w.Upgrade) }

// Event is what the host tells. Exactly one of the types below.
type Event interface{ event() }

// The events.
type (
	// Running: all subtasks of the attempt run, in these processes, each of
	// which will acknowledge every checkpoint once.
	Running struct{ Processes []dataflow.Incarnation }
	// Tick: time passed. Next says when one is due; more of them do no harm.
	Tick struct{}
	// Requested: a person asks for a checkpoint. The key comes back once, in
	// ProposeBegin or in RefuseRequest; one that waits already is ignored.
	Requested struct{ Key string }
	// RequestedSavepoint: a savepoint is asked for. Like Requested, but each has a
	// checkpoint of its own, beside which no other is in flight, and they come before
	// all others.
	RequestedSavepoint struct {
		Key       string
		Savepoint SavepointWish
	}
	// Reconfigured: the job's options changed. What is in flight keeps the limits
	// that it began with.
	Reconfigured struct{ Options dataflow.Options }
	// Volume: what the sources of a process have read since the attempt began. The
	// numbers never fall; an older one that comes late changes nothing.
	Volume struct {
		Process dataflow.Incarnation
		Records int64
		Bytes   int64
		Backlog bool // a source there works off a backlog
	}
	// EndOfData: every subtask of the process has seen the end of its inputs.
	EndOfData struct{ Process dataflow.Incarnation }
	// Began: Raft holds the checkpoint that ProposeBegin asked for.
	Began struct {
		ID      dataflow.CheckpointID
		Trigger Trigger
	}
	// BeginRefused: Raft refused it (the attempt ended), or the proposal was
	// given up. A later one may succeed; the requests that this one was to
	// answer are the host's to answer.
	BeginRefused struct{}
	// Ack: the process's part of the checkpoint is durable.
	Ack struct {
		ID      dataflow.CheckpointID
		Process dataflow.Incarnation
		Part    *snapshot.Process
	}
	// Decline: the process cannot take the checkpoint; the attempt goes on.
	Decline struct {
		ID      dataflow.CheckpointID
		Process dataflow.Incarnation
		Reason  string
		Store   bool // the object store does not take the data
	}
	// Lagging: what the process has changed is not durable since longer than
	// the store should ever need, or (Behind false) no longer so. An
	// expiry that waits only for such processes is the store's.
	Lagging struct {
		Process dataflow.Incarnation
		Behind  bool
	}
	// Completed: Raft holds the completion that Complete asked for.
	Completed struct{ ID dataflow.CheckpointID }
	// CompleteFailed: the metadata object could not be written, or Raft
	// refused the completion. An outcome that is unknown is none of these: the
	// host proposes again until it knows, or has lost its term. It bounds the
	// time of the writing; a checkpoint that is being completed does not expire.
	CompleteFailed struct {
		ID     dataflow.CheckpointID
		Reason string
		Store  bool // the object store did not take the metadata object
	}
	// Aborted: Raft holds that the checkpoint will not complete.
	Aborted struct{ ID dataflow.CheckpointID }
	// AttemptOver: the attempt ended. The state does nothing any more.
	AttemptOver struct{}
)

// Action is what the host is to do. Exactly one of the types below.
type Action interface{ action() }

// The actions.
type (
	// ProposeBegin: propose BeginCheckpoint; answer with Began or BeginRefused.
	ProposeBegin struct {
		Trigger   Trigger
		Keys      []string       // the requests that this checkpoint answers
		Savepoint *SavepointWish // nil: it is none
	}
	// SendTrigger: tell all processes of the attempt. Sources ignore repeats.
	SendTrigger struct {
		ID        dataflow.CheckpointID
		Options   dataflow.Options // as they were when it began
		Savepoint *SavepointWish   // nil: it is none
	}
	// RefuseRequest: no checkpoint will answer the request.
	RefuseRequest struct{ Key, Reason string }
	// Complete: all parts are there, sorted by process. Write the metadata
	// object, propose CompleteCheckpoint; answer with Completed or CompleteFailed.
	Complete struct {
		ID    dataflow.CheckpointID
		Parts []*snapshot.Process
	}
	// ProposeAbort: propose AbortCheckpoint; answer with Aborted.
	ProposeAbort struct {
		ID            dataflow.CheckpointID
		Reason        string
		FailuresInRow int
	}
	// FailJob: too many checkpoints failed in a row, none has completed for MaxAge,
	// or a draining savepoint failed; fail the attempt.
	FailJob struct{ Reason string }
	// FinishJob: the final checkpoint completed.
	FinishJob struct{}
	// ReportLate: a message about a checkpoint that is not (or no longer) in
	// flight; for the log, nothing else.
	ReportLate struct {
		ID      dataflow.CheckpointID
		Process dataflow.Incarnation
		What    string
	}
)

// Pending is a checkpoint in flight that a new leader takes over.
type Pending struct {
	ID        dataflow.CheckpointID
	Trigger   Trigger
	Savepoint *SavepointWish // nil: it is none
}

// Ages are how long ago, when the leader took over, something last happened in
// this attempt. They are differences between times that Raft holds, so that no
// leader compares its clock with another's.
type Ages struct {
	Begun time.Duration // the last checkpoint by clock or volume, or the attempt's running
	Ended time.Duration // any checkpoint; negative: none has
}

// Facts are what Raft holds of a running attempt's checkpoints.
type Facts struct {
	Job           dataflow.JobID // its jitter differs from that of other jobs
	Pending       []Pending      // by id
	Ages          *Ages          // nil: the attempt has just begun to run
	FailuresInRow int            // of checkpoints
	// FinalCompleted: this attempt's final checkpoint completed, and the job
	// is not finishing yet.
	FinalCompleted bool
}

func (Running) event()            {}
func (Tick) event()               {}
func (Requested) event()          {}
func (RequestedSavepoint) event() {}
func (Reconfigured) event()       {}
func (Volume) event()             {}
func (EndOfData) event()          {}
func (Began) event()              {}
func (BeginRefused) event()       {}
func (Ack) event()                {}
func (Decline) event()            {}
func (Lagging) event()            {}
func (Completed) event()          {}
func (CompleteFailed) event()     {}
func (Aborted) event()            {}
func (AttemptOver) event()        {}

func (ProposeBegin) action()  {}
func (SendTrigger) action()   {}
func (Complete) action()      {}
func (ProposeAbort) action()  {}
func (FailJob) action()       {}
func (FinishJob) action()     {}
func (RefuseRequest) action() {}
func (ReportLate) action()    {}
