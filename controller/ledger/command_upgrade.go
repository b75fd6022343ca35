package ledger

import (
	"github.com/cairnstream/cairn/dataflow"
)

// The commands of upgrades, see docs/design/0011-savepoints.md.
type (
	// BeginUpgrade asks for another program in the job's place, from a savepoint on. The
	// leader has the savepoint taken next; its completion swaps the programs, in one entry.
	// Result: *Job. Refused: a job that does not run (ErrNotRunning), one that is upgraded
	// already (ErrUpgrading) or is being stopped (ErrStopping).
	BeginUpgrade struct {
		Header  Header         `cbor:"1,keyasint"`
		Job     dataflow.JobID `cbor:"2,keyasint"`
		Program Program        `cbor:"3,keyasint"`
		// HealthyWithin is how long the program may take to its first checkpoint, in
		// milliseconds from the swap.
		HealthyWithin int64 `cbor:"4,keyasint"`
		// AllowNonRestored drops state that the program has no place for.
		AllowNonRestored bool `cbor:"5,keyasint,omitempty"`
	}
	// EndUpgrade gives an upgrade up: before the swap nothing has happened, after it the old
	// program is put back and restores what the new one did. Result: *Job. Idempotent: an
	// upgrade that is over, or another one than that of Savepoint, stays as it is.
	EndUpgrade struct {
		Header    Header                `cbor:"1,keyasint"`
		Job       dataflow.JobID        `cbor:"2,keyasint"`
		Savepoint dataflow.CheckpointID `cbor:"3,keyasint,omitempty"` // of the upgrade; 0: it has none yet
		Reason    string                `cbor:"4,keyasint"`
	}
)

func (c *BeginUpgrade) header() *Header { return &c.Header }
func (c *EndUpgrade) header() *Header   { return &c.Header }
