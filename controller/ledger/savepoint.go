package ledger

import (
	"errors"
	"slices"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
)

// Refusals of the commands of savepoints.
var (
	// ErrNoSavepoint is the refusal of a command that names a savepoint which does
	// not exist, or no more.
	ErrNoSavepoint = errors.New("no such savepoint")
	// ErrSavepointBusy is the refusal to dispose of a savepoint that is being taken
	// or written.
	ErrSavepointBusy = errors.New("savepoint is not finished")
	// ErrStopping is the refusal of a savepoint of a job that is being stopped.
	ErrStopping = errors.New("job is being stopped")
	// ErrTooManySavepoints is the refusal of a savepoint of a job that has savepointsMax.
	ErrTooManySavepoints = errors.New("too many savepoints")
)

// TriggerSavepoint is the trigger of a checkpoint that becomes a savepoint.
const TriggerSavepoint = "savepoint"

// SavepointTriggers say why a savepoint is taken: Savepoint.Trigger.
const (
	SavepointManual   = "manual"   // a person asked for it
	SavepointPeriodic = "periodic" // the options do: these are collected
	SavepointStop     = "stop"     // the job is to stop there
	SavepointCancel   = "cancel"   // the job is to be cancelled there
	SavepointUpgrade  = "upgrade"  // another program goes on from there
)

// SavepointStatus is where a savepoint is in its life.
//
//	taking -> completed                    native
//	taking -> writing -> completed         canonical
//	   either -> failed
//	completed -> disposing -> (gone)       canonical
//	completed, failed -> (gone)
type SavepointStatus string

// The statuses of a savepoint.
const (
	SavepointTaking    SavepointStatus = "taking"    // its checkpoint is in flight
	SavepointWriting   SavepointStatus = "writing"   // its checkpoint is complete, its folder is not
	SavepointCompleted SavepointStatus = "completed" // it can be restored from
	SavepointFailed    SavepointStatus = "failed"    // there is none, Reason says why
	SavepointDisposing SavepointStatus = "disposing" // its folder is being deleted
)

// SavepointHold is the hold of a savepoint on its checkpoint's record.
const SavepointHold = "savepoint"

const (
	// savepointsMax bounds a job's savepoints, failed ones not counted: they are
	// a person's to dispose of, and every one stands in each snapshot of the log.
	savepointsMax = 1000
	// failedSavepointsMax is how many failed ones are remembered, oldest forgotten
	// first: a person looks at the last few.
	failedSavepointsMax = 16
)

// Savepoint is what Raft holds of a savepoint. Its id is its checkpoint's.
type Savepoint struct {
	ID        dataflow.CheckpointID `cbor:"1,keyasint"`
	Key       string                `cbor:"2,keyasint,omitempty"` // the caller's
	Format    string                `cbor:"3,keyasint"`
	Directory string                `cbor:"4,keyasint,omitempty"`
	Trigger   string                `cbor:"5,keyasint"`
	Stop      bool                  `cbor:"6,keyasint,omitempty"`
	Drain     bool                  `cbor:"7,keyasint,omitempty"`
	Cancel    bool                  `cbor:"8,keyasint,omitempty"`
	Status    SavepointStatus       `cbor:"9,keyasint"`
	// Location is the URL of a canonical savepoint's folder. A native one is where
	// Metadata is in the cluster's bucket.
	Location string `cbor:"10,keyasint,omitempty"`
	// Metadata is the metadata object: the checkpoint's while it is native or
	// being written, the folder's of a canonical one that is complete.
	Metadata catalog.Object `cbor:"11,keyasint"`
	Reason   string         `cbor:"12,keyasint,omitempty"`
	BegunAt  int64          `cbor:"13,keyasint"`           // Unix milliseconds
	EndedAt  int64          `cbor:"14,keyasint,omitempty"` // completed or failed
	Bytes    int64          `cbor:"15,keyasint,omitempty"` // in the store
	Rows     int64          `cbor:"16,keyasint,omitempty"` // canonical
}

// Busy tells whether it is being taken or written.
func (s *Savepoint) Busy() bool { return s.Status == SavepointTaking || s.Status == SavepointWriting }

// Savepoint is the job's savepoint of this id, or nil. It must not be changed.
func (j *Job) Savepoint(id dataflow.CheckpointID) *Savepoint {
	if i := j.savepointAt(id); i >= 0 {
		return &j.Savepoints[i]
	}
	return nil
}

// SavepointByKey is the job's savepoint that this caller's key began, or nil. It
// must not be changed.
func (j *Job) SavepointByKey(key string) *Savepoint {
	i := slices.IndexFunc(j.Savepoints, func(s Savepoint) bool { return key != "" && s.Key == key })
	if i < 0 {
		return nil
	}
	return &j.Savepoints[i]
}

func (j *Job) savepointAt(id dataflow.CheckpointID) int {
	return slices.IndexFunc(j.Savepoints, func(s Savepoint) bool { return s.ID == id })
}

// changeSavepoint replaces a savepoint in the job's own list by what change makes of it.
func (j *Job) changeSavepoint(id dataflow.CheckpointID, change func(*Savepoint)) {
	if i := j.savepointAt(id); i >= 0 {
		j.Savepoints = slices.Clone(j.Savepoints)
		change(&j.Savepoints[i])
	}
}

// dropSavepoint removes a savepoint from the job's own list.
func (j *Job) dropSavepoint(id dataflow.CheckpointID) {
	j.Savepoints = slices.DeleteFunc(slices.Clone(j.Savepoints), func(s Savepoint) bool { return s.ID == id })
}
