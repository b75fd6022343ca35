package ledger

import (
	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
)

// The commands of savepoints, see docs/design/0011-savepoints.md.
type (
	// BeginSavepoint opens a checkpoint that is to become a savepoint. With Stop the
	// job ends with it: finishing, or with Cancel cancelling. Result:
	// dataflow.CheckpointID, the savepoint's id; the header's key is the caller's, so
	// that a repeated wish is answered with the first savepoint. Refused: what
	// BeginCheckpoint refuses, a stop beside another one (ErrStopping), more
	// savepoints than are kept (ErrTooManySavepoints).
	BeginSavepoint struct {
		Header    Header           `cbor:"1,keyasint"`
		Job       dataflow.JobID   `cbor:"2,keyasint"`
		Attempt   dataflow.Attempt `cbor:"3,keyasint"`
		Format    string           `cbor:"4,keyasint"`           // dataflow.Canonical or dataflow.Native
		Directory string           `cbor:"5,keyasint,omitempty"` // canonical: URL; empty: in the cluster's bucket
		Trigger   string           `cbor:"6,keyasint"`           // one of the SavepointTriggers
		Stop      bool             `cbor:"7,keyasint,omitempty"`
		Drain     bool             `cbor:"8,keyasint,omitempty"` // with Stop: the sources end first
		Cancel    bool             `cbor:"9,keyasint,omitempty"` // with Stop: cancelled and not finished
	}
	// FinishSavepoint says that a canonical savepoint is written, or with Reason why
	// it will not be. A job that ended with the savepoint has nothing else to start
	// from: then the savepoint stays as a native one. Idempotent: a savepoint that is
	// not being written stays as it is. Refused: ErrNoSavepoint.
	FinishSavepoint struct {
		Header   Header                `cbor:"1,keyasint"`
		Job      dataflow.JobID        `cbor:"2,keyasint"`
		ID       dataflow.CheckpointID `cbor:"3,keyasint"`
		Location string                `cbor:"4,keyasint,omitempty"` // URL of the folder
		Metadata catalog.Object        `cbor:"5,keyasint,omitempty"` // in the bucket of Savepoint.Directory
		Bytes    int64                 `cbor:"6,keyasint,omitempty"`
		Rows     int64                 `cbor:"7,keyasint,omitempty"`
		Reason   string                `cbor:"8,keyasint,omitempty"`
	}
	// DisposeSavepoint gives a savepoint up. A native or failed one is forgotten. A
	// canonical one is disposing until the same command says with Gone that its
	// folder is deleted. Idempotent. Refused: ErrNoSavepoint, ErrSavepointBusy
	// while it is taken or written, and ErrCheckpointNeeded while a job that started
	// from it still reads it.
	DisposeSavepoint struct {
		Header Header                `cbor:"1,keyasint"`
		Job    dataflow.JobID        `cbor:"2,keyasint"`
		ID     dataflow.CheckpointID `cbor:"3,keyasint"`
		Gone   bool                  `cbor:"4,keyasint,omitempty"`
	}
)

func (c *BeginSavepoint) header() *Header   { return &c.Header }
func (c *FinishSavepoint) header() *Header  { return &c.Header }
func (c *DisposeSavepoint) header() *Header { return &c.Header }
