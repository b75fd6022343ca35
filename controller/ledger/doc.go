// Package ledger is the replicated state machine of a cluster: it joins the
// members, the workers, the jobs with their executions, the checkpoints in
// flight and the catalog of those that completed, and their history.
//
// Invariants. Apply is deterministic and does no I/O: no clock, no random
// numbers, no map order; time and identifiers travel in the command. Every
// command has a version, and one that this build does not know stops the node.
// A command of another term than its entry's changes nothing. A checkpoint is
// complete if, and only if, its CompleteCheckpoint was applied. A terminal job
// never changes its status again.
package ledger
