package ha

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// CommandMax is the largest command, in bytes. Raft sends up to 64 entries
	// in one message and keeps hundreds in memory; the placement of 1,000
	// workers of 16 slots takes about 1 MiB.
	CommandMax = 4 << 20
	// proposalsMax bounds the proposals in flight; more of them wait. It gives
	// full group commits (64 entries) with some to spare, and must stay far
	// below trailingLogs.
	proposalsMax = 256
	// enqueueTimeout bounds the wait for Raft's main loop to take a command
	// up. A loop that is busy for longer is the watchdog's business.
	enqueueTimeout = 2 * time.Second
)

// ErrTooLarge is returned by Propose for a command above CommandMax.
var ErrTooLarge = errors.New("command too large")

// outcome is the answer to one proposal.
type outcome struct {
	result any
	err    error
}

// Propose replicates a command and returns what Apply returned for it. See
// Replica. While proposalsMax are in flight it waits.
//
// ErrNotLeader, ErrTooLarge and the context's own error say that the command
// was certainly not applied; ErrUnknown that it may be, now or later.
func (n *Node) Propose(ctx context.Context, command []byte) (result any, err error) {
	if len(command) > CommandMax {
		return nil, fmt.Errorf("propose %d bytes: %w: at most %d", len(command), ErrTooLarge, CommandMax)
	}
	if !n.leads() {
		return nil, fmt.Errorf("propose: %w", ErrNotLeader)
	}
	select {
	case n.slots <- struct{}{}:
	case <-n.life.failed:
		return nil, fmt.Errorf("propose: %w", ErrNotLeader)
	case <-ctx.Done():
		return nil, fmt.Errorf("propose: wait for %d others: %w", proposalsMax, context.Cause(ctx))
	}
	answer := make(chan outcome, 1)
	entry := seal(command)
	// The slot belongs to the entry, not to the caller, who may give up sooner.
	if !n.life.call(func() { answer <- n.replicate(entry); <-n.slots }) {
		<-n.slots
		return nil, fmt.Errorf("propose: %w: the node closes", ErrNotLeader)
	}
	return n.await(ctx, answer)
}

// await waits for the answer within the caller's patience. Raft itself may
// never answer: a leader whose disk or state machine hangs does not.
func (n *Node) await(ctx context.Context, answer <-chan outcome) (any, error) {
	select {
	case o := <-answer:
		return o.result, o.err
	case <-ctx.Done():
		return nil, fmt.Errorf("propose: %w: %w", ErrUnknown, context.Cause(ctx))
	case <-n.life.failed:
		return nil, fmt.Errorf("propose: %w: %w", ErrUnknown, n.life.err)
	}
}

// replicate hands an entry to Raft and waits for its outcome.
func (n *Node) replicate(entry []byte) outcome {
	future := n.raft.Apply(entry, enqueueTimeout)
	err := future.Error()
	n.transfer.observe(err)
	if err != nil {
		return outcome{err: fmt.Errorf("propose: %w", classify(err))}
	}
	done, ok := future.Response().(applied)
	if !ok || done.err != nil {
		return outcome{err: fmt.Errorf("propose: %w: %w", ErrUnknown, n.fsm.failure())}
	}
	return outcome{result: done.result}
}

// classify sorts Raft's errors into certainly not applied and unknown. All that
// is not known to be harmless is unknown: bbolt, for one, can fail after its
// write has become durable.
func classify(err error) error {
	for _, harmless := range []error{
		raft.ErrNotLeader, raft.ErrLeadershipTransferInProgress, raft.ErrEnqueueTimeout, raft.ErrAbortedByRestore,
	} {
		if errors.Is(err, harmless) {
			return fmt.Errorf("%w: %w", ErrNotLeader, err)
		}
	}
	return fmt.Errorf("%w: %w", ErrUnknown, err)
}
