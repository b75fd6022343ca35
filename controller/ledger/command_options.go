package ledger

import "github.com/cairnstream/cairn/dataflow"

// SetOptions changes options of a job that need no restart: those about checkpoints
// and restarts. A job that waits for its restart takes them too. Result: *Job.
// Refused: options that only a restart changes, by name (ErrInvalid), a job that
// has ended or is ending (ErrJobEnded), and one whose upgrade is not over: each program
// has options of its own, so the change would be lost with one of them (ErrUpgrading).
type SetOptions struct {
	Header Header         `cbor:"1,keyasint"`
	Job    dataflow.JobID `cbor:"2,keyasint"`
	// Options are all of them, as they are to be: the leader has merged what was asked
	// for, one request after the other, and checked the whole.
	Options dataflow.Options `cbor:"3,keyasint"`
}

func (c *SetOptions) header() *Header { return &c.Header }
