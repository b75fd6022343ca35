package ledger

import "github.com/cairnstream/cairn/dataflow"

// PinCheckpoint keeps a checkpoint, or with Unpin ends that, which may let it go at
// once. A pin is one hold, however often it is set. Retention does not count a pinned
// checkpoint. Idempotent. Refused: an unknown checkpoint (ErrNoCheckpoint), a
// savepoint's, which is kept until it is disposed of (ErrInvalid).
type PinCheckpoint struct {
	Header Header                `cbor:"1,keyasint"`
	Job    dataflow.JobID        `cbor:"2,keyasint"`
	ID     dataflow.CheckpointID `cbor:"3,keyasint"`
	Unpin  bool                  `cbor:"4,keyasint,omitempty"`
}

func (c *PinCheckpoint) header() *Header { return &c.Header }
