// Package catalog is the pure value behind the catalog of completed
// checkpoints: which checkpoints of a job exist, which objects they hold, what
// keeps each alive, and what is garbage. It sees runs of objects and opaque
// bytes; I/O stays in checkpointstore.
//
// A Catalog belongs to the replicated state machine: its methods are
// deterministic and its encoding is canonical.
package catalog

import (
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

// Record is a completed checkpoint in the catalog.
type Record struct {
	ID       dataflow.CheckpointID `cbor:"1,keyasint"`
	Attempt  dataflow.Attempt      `cbor:"2,keyasint"`
	Metadata Object                `cbor:"3,keyasint"`
	// Objects are all runs that the metadata's handles refer to.
	Objects []snapshot.Run `cbor:"4,keyasint"`
	// Owed says that sink transactions of this checkpoint are not known to be
	// committed. A record that is owed is not dropped.
	Owed bool `cbor:"5,keyasint,omitempty"`
	// Holds counts who else needs the record: the current attempt whose
	// restore point it is (until the attempt's own first completion), pins.
	Holds map[string]bool `cbor:"6,keyasint,omitempty"`
}

// Object is a whole object with what is needed to verify it.
type Object struct {
	Key    string `json:"key" cbor:"1,keyasint"`
	Size   int64  `json:"size" cbor:"2,keyasint"`
	SHA256 string `json:"sha256" cbor:"3,keyasint"`
}
