package ledger

import "github.com/cairnstream/cairn/dataflow"

// ReleaseOrigin records that what a job has claimed is gone from its store:
// Origin.Release is done. Idempotent. Refused: a job without an origin (ErrInvalid).
type ReleaseOrigin struct {
	Header Header         `cbor:"1,keyasint"`
	Job    dataflow.JobID `cbor:"2,keyasint"`
}

func (c *ReleaseOrigin) header() *Header { return &c.Header }
