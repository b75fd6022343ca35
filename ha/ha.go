// Package ha is the Raft group: it replicates opaque commands, ties
// leader-only work to terms, takes and restores snapshots, and knows who leads.
// It knows nothing of jobs or checkpoints.
//
// A controller opens a Node on its data directory with its StateMachine, calls
// Terms with what only the leader does, and Propose with what must be agreed on:
//
//	node, err := ha.Open(cfg, ledger)
//	...
//	err = node.Terms(ctx, func(ctx context.Context, term uint64) error {
//		// Everything committed before is applied; ctx ends with the term.
//		result, err := node.Propose(ctx, command)
//		...
//	})
//
// The node is fail-stop: whatever it can't be sure of (a failed or hanging disk,
// a damaged file, an entry that can't be applied) ends the process rather than
// being worked around, since the others go on without it. docs/design/0001-raft-group.md
// has the reasons and the file formats.
package ha

import (
	"context"
	"errors"
	"io"
)

var (
	// ErrNotLeader is returned by Propose and Barrier when this node does not
	// lead: the command was certainly not applied. Ask the leader.
	ErrNotLeader = errors.New("not the leader")
	// ErrUnknown is returned when a command may or may not be applied: the
	// leader lost its role, the time ran out or the node stops. Propose again
	// with the same idempotency key.
	ErrUnknown = errors.New("outcome unknown")
	// ErrTermOver is the cancellation cause of a term's context.
	ErrTermOver = errors.New("leadership term over")
	// ErrForeignCluster is returned by Open when the data directory belongs
	// to another cluster or another node.
	ErrForeignCluster = errors.New("data directory belongs to another cluster or node")
)

// StateMachine is what ha replicates commands to. All calls come from one
// goroutine, except that a snapshot's Persist runs beside Apply.
//
// Apply must be deterministic and do no I/O. An error stops the node: it is for
// a command of an unknown version and for a broken invariant, never for a
// command that is merely refused, which is a result.
type StateMachine interface {
	Apply(e Entry) (result any, err error)
	// Snapshot freezes the state; cheap. The returned function writes it.
	Snapshot() (persist func(w io.Writer) error, err error)
	// Restore replaces the state. It must leave the old state whole if it fails.
	Restore(r io.Reader) error
}

// Entry is a committed command.
type Entry struct {
	Index uint64
	Term  uint64
	Data  []byte
}

// Replica is what the controller sees of a node. *Node implements it.
type Replica interface {
	// Propose replicates a command and returns what Apply returned for it.
	// Concurrent proposals share Raft entries' cost (group commit).
	// Errors: ErrNotLeader, ErrUnknown.
	Propose(ctx context.Context, command []byte) (result any, err error)
	// Barrier returns when the state machine has applied everything that was
	// committed when it was called. Callers at the same time share one.
	Barrier(ctx context.Context) error
	// Leader is the last known leader's id, or "".
	Leader() string
	// Terms calls work once for every term in which this node leads.
	Terms(ctx context.Context, work func(ctx context.Context, term uint64) error) error
}
