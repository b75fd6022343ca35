// Package snapshot is what a checkpoint says about a job's subtasks: the words
// that the engine writes, an acknowledgement carries, the metadata object
// stores and a restore reads. It is data only.
package snapshot

import (
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
)

// Process is one task process's part of a checkpoint: everything that its
// subtasks need to start again, with all bytes already durable. It is the
// content of an acknowledgement.
type Process struct {
	Process  dataflow.Incarnation `json:"process"`
	Subtasks []Subtask            `json:"subtasks"`
	// Objects are the runs of objects that the subtasks' handles refer to,
	// including those that processes of earlier attempts wrote.
	Objects []Run `json:"objects,omitempty"`
	// Released are runs of this process's own objects that no handle will
	// ever name (again): garbage as soon as this checkpoint completes.
	Released []Run `json:"released,omitempty"`
	// Bytes and Puts count what this process uploaded since the checkpoint
	// before, for people.
	Bytes int64 `json:"bytes"`
	Puts  int64 `json:"puts"`
}

// Run is a run of objects of one writer: Prefix + %012d of each of Lo..Hi.
// A writer numbers its objects from 1, so a catalog holds intervals and not names.
type Run struct {
	Prefix string `json:"prefix" cbor:"p"`
	Lo     uint64 `json:"lo" cbor:"l"`
	Hi     uint64 `json:"hi" cbor:"h"`
}

// Subtask is one subtask's part: one entry for each operator of its chain.
type Subtask struct {
	Task      dataflow.TaskID `json:"task"`
	Operators []Operator      `json:"operators"`
	Timing    Timing          `json:"timing"`
}

// Operator is the state of one operator in one subtask.
type Operator struct {
	UID dataflow.UID `json:"uid"`
	// Keyed is nil for an operator without keyed state.
	Keyed *Keyed `json:"keyed,omitempty"`
	// Lists is split-redistributable operator state by name, Flink's operator
	// list state: a restore spreads the items over the new subtasks. A file
	// source keeps one item per split.
	Lists map[string][][]byte `json:"lists,omitempty"`
	// Transactions are the sink transactions that this subtask has prepared
	// and does not know to be committed, of this and earlier checkpoints.
	Transactions []Transaction `json:"transactions,omitempty"`
}

// Transaction is a prepared two-phase commit. Any worker can finish it from
// these bytes alone; finishing it twice is harmless.
type Transaction struct {
	Checkpoint dataflow.CheckpointID `json:"checkpoint"`
	Attempt    dataflow.Attempt      `json:"attempt"`
	Payload    []byte                `json:"payload"` // the sink's own words
}

// Keyed is keyed state over a range of key groups. A restore applies the
// segments in order, each for its own range of key groups and up to its To
// position, also where the object holds more. Segments that an earlier attempt
// or another parallelism wrote stay in front, narrowed to this range, until a
// base of this attempt covers them.
type Keyed struct {
	GroupLo  int       `json:"group_lo"` // first key group
	GroupHi  int       `json:"group_hi"` // last key group
	Segments []Segment `json:"segments,omitempty"`
	Entries  int64     `json:"entries"` // live entries at the barrier, for people
	Bytes    int64     `json:"bytes"`   // live bytes at the barrier, for people
}

// Segment is a run of changelog entries, or a base image, in an object.
type Segment struct {
	Ref     objectstore.Ref `json:"ref"`
	Base    bool            `json:"base,omitempty"` // a full image as of To; else log entries in (From, To]
	From    uint64          `json:"from"`
	To      uint64          `json:"to"`
	GroupLo int             `json:"group_lo"` // what to take from it
	GroupHi int             `json:"group_hi"`
}

// Timing is how long the phases took in one subtask.
type Timing struct {
	StartDelay time.Duration `json:"start_delay"` // trigger to first barrier
	Align      time.Duration `json:"align"`       // first barrier to last
	Sync       time.Duration `json:"sync"`        // processing stood still
	Async      time.Duration `json:"async"`       // until all bytes were durable
	StateBytes int64         `json:"state_bytes"` // live state
	LogBytes   int64         `json:"log_bytes"`   // new in this checkpoint
}
