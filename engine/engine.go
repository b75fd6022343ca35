// Package engine runs the subtasks of a job's attempt in one process: the
// mailbox loop, operator chains, alignment of barriers, watermarks, timers and
// snapshots.
//
// One goroutine per subtask does all of its work, a batch at a time; what takes
// time (uploads, commits) runs beside it. The engine knows nothing of leaders
// or agents: package task (in a cluster) and package local (in one process)
// tell it what to do through Attempt's methods and hear of it through Events.
package engine

import (
	"context"
	"log/slog"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/exchange"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state/changelog"
)

// Config is what an Attempt needs to run its share of a job.
type Config struct {
	Cluster string
	Job     dataflow.JobID
	Attempt dataflow.Attempt
	Process dataflow.Incarnation
	Options dataflow.Options // defaults filled in
	// Subtasks are those that run here; the plan is the program's graph's.
	Subtasks []dataflow.TaskID
	Bucket   objectstore.Bucket
	// ObjectPrefix is where this process's changelog objects go, ending in
	// '/': cluster, job, attempt and process are in it, so that no other
	// process ever writes a name below it.
	ObjectPrefix string
	// LocalDir is a folder of this job on this machine, for spooled changes, local
	// copies of objects and files of the lsm backend. Only one process uses it at a
	// time, and one that comes later finds what an earlier one left. Empty: none.
	LocalDir string
	// Restore is the checkpoint to start from; nil starts from the beginning.
	Restore *Restore
	// Network connects to subtasks elsewhere; nil if all of them run here.
	Network Network
	Events  Events
	// OpenBucket opens a connector's store by URL.
	OpenBucket OpenBucket
	Log        *slog.Logger
}

// Restore is a completed checkpoint, from its metadata object.
type Restore struct {
	Checkpoint dataflow.CheckpointID
	Attempt    dataflow.Attempt // that made it
	KeyGroups  int
	Processes  []snapshot.Process
	// CommitsKnown says that all sink transactions up to this checkpoint are
	// committed and forgotten; a restore does not commit them again.
	CommitsKnown dataflow.CheckpointID
	// Origin says that it is another job's checkpoint, or a savepoint: Checkpoint is
	// not of this job's numbers. Its transactions are left alone, neither committed nor
	// aborted, unless OwnTransactions says that this job has claimed them.
	Origin, OwnTransactions bool
	// Bucket and Prefix are where the objects are that Processes name, if they are not the
	// cluster's own: a key there is Prefix and then the reference's. nil: Config.Bucket.
	Bucket objectstore.Bucket
	Prefix string
	// Copy makes everything that a restore needs an object of this attempt before any record
	// flows, so that its first checkpoint names no object of the restore point. What is in
	// another bucket, below a Prefix or in a canonical savepoint is copied in any case.
	Copy bool
	// AllowNonRestored drops the state that the program has no place for; otherwise such a
	// checkpoint is refused.
	AllowNonRestored bool
}

// Network is how an attempt reaches subtasks in other processes.
type Network interface {
	// Accept announces a channel whose receiving end is here. Before Run.
	Accept(id exchange.ChannelID, credit int, r exchange.Receiver) (exchange.Granter, error)
	// Open connects a channel whose sending end is here. During Run.
	Open(ctx context.Context, id exchange.ChannelID) (exchange.Sender, error)
}

// Events is how an attempt tells its host what happens. Calls come from several
// goroutines and must not block.
type Events interface {
	// Acknowledge: all subtasks here have taken part in the checkpoint and all
	// bytes are durable. s is everything needed to start them again.
	Acknowledge(id dataflow.CheckpointID, s *snapshot.Process)
	// Decline: the checkpoint can not be taken here; the attempt goes on. It is
	// changelog.ErrStoreUnavailable if the object store does not take the data.
	Decline(id dataflow.CheckpointID, reason error)
	// EndOfData: every subtask here has seen the end of all its inputs.
	EndOfData()
	// Committed: all sink transactions of subtasks here up to id are committed.
	Committed(id dataflow.CheckpointID)
	// Restoring tells how far a restore has come.
	Restoring(RestoreProgress)
	// Trace is for measurements from outside: see TraceEvent.
	Trace(TraceEvent)
}

// TraceKind says what a TraceEvent is about.
type TraceKind string

// The kinds of trace events.
const (
	TraceStart       TraceKind = "start"        // a subtask of an attempt begins to run
	TraceFirstRecord TraceKind = "first_record" // a sink subtask gets its first record of the attempt
	TraceSinkGap     TraceKind = "sink_gap"     // a sink subtask got no record from From to To (10 ms or longer)
	TraceCommit      TraceKind = "commit"       // a sink subtask's output became visible
)

// TraceEvent is a measured happening in a subtask, by this process's clock.
type TraceEvent struct {
	Kind       TraceKind             `json:"kind"`
	At         time.Time             `json:"at"`
	From       time.Time             `json:"from,omitzero"`
	Job        dataflow.JobID        `json:"job"`
	Attempt    dataflow.Attempt      `json:"attempt"`
	Process    dataflow.Incarnation  `json:"process"`
	Task       dataflow.TaskID       `json:"task"`
	UID        dataflow.UID          `json:"uid,omitempty"`
	Checkpoint dataflow.CheckpointID `json:"checkpoint,omitempty"`
}

// SubtaskStats is what a subtask has done since its attempt started.
type SubtaskStats struct {
	Task         dataflow.TaskID
	RecordsIn    int64
	RecordsOut   int64
	BytesIn      int64 // from other processes
	StateEntries int64
	StateBytes   int64
	Watermark    int64 // Unix milliseconds; connector.NoTime before the first
	BadRecords   int64
	LateRecords  int64         // after their window's end
	Busy         time.Duration // working, since the start
	Backpressure time.Duration // waiting for credit downstream, since the start
	// Of a source: what it has read since the attempt began, the bytes about as they
	// are encoded, and whether it works off a backlog.
	SourceRecords, SourceBytes int64
	Backlog                    bool
	LagBytes                   int64         // of changes that are not durable yet
	LagAge                     time.Duration // of the oldest of them
	// Alignment is what it waits for to take part in a checkpoint; nil if it waits for nothing.
	Alignment *AlignmentView
}

// RestoreProgress is how far a restore has come, in bytes of objects.
type RestoreProgress struct {
	Done, Total   int64
	Local, Remote int64         // Done, by where it was read: on this machine or from the store
	Left          time.Duration // until the end, estimated; negative if not known yet
}

// Stats is what an attempt has done in this process.
type Stats struct {
	Subtasks  []SubtaskStats
	Puts      int64
	Uploaded  int64 // bytes
	Changelog changelog.Stats
	Restored  RestoreProgress // as of the restore's end
}
