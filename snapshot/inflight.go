package snapshot

import (
	"slices"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
)

// InFlight is what was in flight in one channel when a barrier overtook it: batches as they
// travel between processes, in the order in which the receiver would have taken them.
type InFlight struct {
	Edge int `json:"edge"` // Edge.Index
	From int `json:"from"` // subtask upstream
	To   int `json:"to"`   // subtask downstream
	// Output says that it had not left the sender, in whose part it is then: it comes behind
	// what the receiver's part has of the channel.
	Output bool `json:"output,omitempty"`
	// Age is how many restores it has been in flight over. What is older comes first: another
	// sender may have gone on with its keys since.
	Age  int             `json:"age,omitempty"`
	Ref  objectstore.Ref `json:"ref"`
	Rows int64           `json:"rows"` // for people
}

// Edge says which edge of the program had something in flight, and what its records are. Only
// a program with the same edge can take them.
type Edge struct {
	Index        int                   `json:"index"` // among the edges between subtasks
	From         dataflow.UID          `json:"from"`
	Output       int                   `json:"output,omitempty"`
	To           dataflow.UID          `json:"to"`
	Input        int                   `json:"input,omitempty"`
	Partitioning dataflow.Partitioning `json:"partitioning"`
	Schema       string                `json:"schema"`               // of the records
	KeySchema    string                `json:"key_schema,omitempty"` // hash: of the keys
}

// HasInFlight tells whether a checkpoint holds records that its barriers overtook. Who does not
// know of them would lose them.
func HasInFlight(processes []Process) bool {
	return slices.ContainsFunc(processes, func(p Process) bool {
		return slices.ContainsFunc(p.Subtasks, func(s Subtask) bool { return len(s.InFlight) > 0 })
	})
}
