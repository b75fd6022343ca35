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
	// Sums are size and checksum of each of Objects, run by run in the order of
	// the numbers, so that a whole object can be verified without a restore.
	Sums []Sum `json:"sums,omitempty"`
	// Released are runs of this process's own objects that no handle will
	// ever name (again): garbage as soon as this checkpoint completes.
	Released []Run `json:"released,omitempty"`
	// Bytes and Puts count what this process uploaded since the checkpoint
	// before, for people.
	Bytes int64 `json:"bytes"`
	Puts  int64 `json:"puts"`
	// Edges are those that had something in flight, by index.
	Edges []Edge `json:"edges,omitempty"`
	// InFlightBytes is what the barriers overtook, as batches travel, for people.
	InFlightBytes int64 `json:"in_flight_bytes,omitempty"`
}

// Run is a run of objects of one writer: Prefix + %012d of each of Lo..Hi.
// A writer numbers its objects from 1, so a catalog holds intervals and not names.
type Run struct {
	Prefix string `json:"prefix" cbor:"p"`
	Lo     uint64 `json:"lo" cbor:"l"`
	Hi     uint64 `json:"hi" cbor:"h"`
}

// Sum is the size of an object and the CRC32C of all of its bytes.
type Sum struct {
	Size   int64  `json:"size"`
	CRC32C uint32 `json:"crc32c"`
}

// Subtask is one subtask's part: one entry for each operator of its chain.
type Subtask struct {
	Task      dataflow.TaskID `json:"task"`
	Operators []Operator      `json:"operators"`
	Timing    Timing          `json:"timing"`
	// InFlight is what the barriers have overtaken on their way to this subtask and from it.
	InFlight []InFlight `json:"in_flight,omitempty"`
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
	// Unions is union-redistributable operator state by name, Flink's union list
	// state: a restore gives every subtask the items of all.
	Unions map[string][][]byte `json:"unions,omitempty"`
	// Broadcast is operator state that is the same in all subtasks: a restore gives
	// every subtask one of the copies. Items come in pairs: key, value.
	Broadcast map[string][][]byte `json:"broadcast,omitempty"`
	// Schemas are the schemas of the items of Lists, Unions and Broadcast, by name. What
	// has none there is in the operator's own words.
	Schemas map[string]string `json:"schemas,omitempty"`
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
	Entries  int64     `json:"entries"` // live entries at the barrier, for people, and a hint for restores
	Bytes    int64     `json:"bytes"`   // live bytes at the barrier, for people
	// Estimated says that Entries and Bytes are not exact: the checkpoint came before
	// what a restore had loaded was counted.
	Estimated bool `json:"estimated,omitempty"`
	// Backend is the kind of store that wrote it: "memory" or "lsm". Only segments
	// of SegmentFile depend on it.
	Backend string `json:"backend,omitempty"`
	// KeySchema is codec.Codec.Schema of the key, and States are the states in
	// the store, by handle: enough to read it without the program.
	KeySchema string  `json:"key_schema,omitempty"`
	States    []State `json:"states,omitempty"`
}

// State is a named state of an operator.
type State struct {
	Name   string        `json:"name"`
	Kind   string        `json:"kind"`
	Schema string        `json:"schema"`
	TTL    time.Duration `json:"ttl,omitempty"` // 0: entries live for ever
}

// SegmentKind says how a segment is read.
type SegmentKind string

const (
	// SegmentEntries is a run of changes, or a part of an image, that is loaded
	// entry by entry; the segment's own header says how they are encoded.
	SegmentEntries SegmentKind = ""
	// SegmentFile is a file of an image that its backend wrote.
	SegmentFile SegmentKind = "file"
	// SegmentParquet is a Parquet file of a canonical savepoint: entries of the state
	// that Name says. No backend writes it, and any can be restored from it.
	SegmentParquet SegmentKind = "parquet"
	// SegmentInFlight is batches that a barrier overtook: see InFlight.
	SegmentInFlight SegmentKind = "in flight"
)

// Segment is a run of changelog entries, or a base image, in an object.
type Segment struct {
	Ref     objectstore.Ref `json:"ref"`
	Kind    SegmentKind     `json:"kind,omitempty"`
	Name    string          `json:"name,omitempty"` // of a SegmentFile; the state's of a SegmentParquet
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
