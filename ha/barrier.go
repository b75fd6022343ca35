package ha

import (
	"context"
	"fmt"
	"sync"
)

// barriers lets callers at the same time share one entry of the log.
type barriers struct {
	pass func() error // writes one barrier and waits until it is applied

	mu      sync.Mutex
	next    *barrierRound // those who wait for the next one; nil if nobody does
	running bool
}

// barrierRound is one barrier and its waiters.
type barrierRound struct {
	done chan struct{}
	err  error // set before done is closed
}

// join returns the round to wait for: always one that has not begun, since what
// was committed meanwhile may be missing from one under way. lead is true for
// the caller who must see to it that run is called.
func (b *barriers) join() (round *barrierRound, lead bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = &barrierRound{done: make(chan struct{})}
	}
	lead, b.running = !b.running, true
	return b.next, lead
}

// run serves rounds until nobody waits.
func (b *barriers) run() {
	for {
		b.mu.Lock()
		round := b.next
		b.next = nil
		b.running = round != nil
		b.mu.Unlock()
		if round == nil {
			return
		}
		round.err = b.pass()
		close(round.done)
	}
}

// abandon ends the waiting round without a barrier.
func (b *barriers) abandon(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running = false
	if b.next != nil {
		b.next.err = err
		close(b.next.done)
		b.next = nil
	}
}

// Barrier returns when the state machine has applied everything that was
// committed when it was called. See Replica. It is a linearizable read's first
// half, which Raft's own VerifyLeader is not: that counts acknowledgements that
// were sent before it was called.
func (n *Node) Barrier(ctx context.Context) error {
	if !n.leads() {
		return fmt.Errorf("barrier: %w", ErrNotLeader)
	}
	round, lead := n.barriers.join()
	if lead && !n.life.call(n.barriers.run) {
		n.barriers.abandon(fmt.Errorf("%w: the node closes", ErrNotLeader))
	}
	select {
	case <-round.done:
		if round.err != nil {
			return fmt.Errorf("barrier: %w", round.err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("barrier: %w: %w", ErrUnknown, context.Cause(ctx))
	case <-n.life.failed:
		return fmt.Errorf("barrier: %w: %w", ErrUnknown, n.life.err)
	}
}

// passBarrier writes one barrier and waits until it is applied here.
func (n *Node) passBarrier() error {
	err := n.raft.Barrier(enqueueTimeout).Error()
	n.transfer.observe(err)
	if err != nil {
		return classify(err)
	}
	return n.fsm.failure()
}
