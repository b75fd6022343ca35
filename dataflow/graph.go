package dataflow

// Partitioning says how an edge spreads records over the subtasks downstream.
type Partitioning string

// The partitionings, as Flink has them.
const (
	Forward   Partitioning = "forward"   // subtask i to subtask i; may be chained
	Hash      Partitioning = "hash"      // by key group of the record's key
	Rebalance Partitioning = "rebalance" // round robin, a batch at a time
	Broadcast Partitioning = "broadcast" // every record to every subtask
)

// Kind is what an operator is to the graph.
type Kind string

// The kinds of operators.
const (
	Source    Kind = "source"    // no inputs; takes checkpoint triggers
	Transform Kind = "transform" // inputs and outputs
	Sink      Kind = "sink"      // no outputs
)

// Operator is one step of a job.
type Operator struct {
	UID  UID    `json:"uid"`
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
	// Stateful operators must have a UID from the author. AutoUID says that
	// the UID was made up from the operator's place because none was given.
	Stateful bool `json:"stateful,omitempty"`
	AutoUID  bool `json:"auto_uid,omitempty"`
	// Parallelism is the number of subtasks, at least 1 and at most the
	// graph's number of key groups.
	Parallelism int `json:"parallelism"`
	// Transactional sinks take part in two-phase commit: their transactions
	// are committed only after a checkpoint completes.
	Transactional bool `json:"transactional,omitempty"`
	// Inputs is how many inputs it has; 0 is one, or none of a source. Each has one edge at least.
	Inputs int `json:"inputs,omitempty"`
}

// InputCount is how many inputs the operator has.
func (o Operator) InputCount() int {
	if o.Kind == Source {
		return 0
	}
	return max(1, o.Inputs)
}

// Edge carries records from one operator to another.
type Edge struct {
	From         UID          `json:"from"`
	Output       int          `json:"output,omitempty"` // which output of From; 0 is the main one, others are side outputs
	To           UID          `json:"to"`
	Input        int          `json:"input"` // which input of To; a union has many edges on one input
	Partitioning Partitioning `json:"partitioning"`
	Type         string       `json:"type"` // Go type of the records, for people and checks
	// NoChain forbids fusing From and To into one subtask even where it could be done.
	NoChain bool `json:"no_chain,omitempty"`
}

// Graph is a job as data. Order matters: operators are listed in the order in
// which the author declared them, and edges likewise, so that the same program
// gives the same graph on every machine.
type Graph struct {
	Name      string     `json:"name"`
	KeyGroups int        `json:"key_groups"`
	Operators []Operator `json:"operators"`
	Edges     []Edge     `json:"edges"`
	// Options are the program's own defaults; what a submit gives wins.
	Options Options `json:"options"`
}

// DefaultKeyGroups is the number of key groups of a job that does not choose.
// It is fixed at the first submit: it bounds the parallelism for ever, and 1,024
// costs less than 10 KiB of bookkeeping a job.
const DefaultKeyGroups = 1024
