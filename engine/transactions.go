package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

// transactions are those of one sink subtask: prepared, committed, forgotten.
//
// A checkpoint lists every transaction that is prepared and not known to be
// committed, also those that aborted checkpoints prepared: their records are
// not written again, so the next checkpoint takes them along. A sink without
// two-phase commit has preparations only.
type transactions struct {
	sink connector.Transactional // nil without two-phase commit
	env  connector.Env

	turn chan struct{} // held by whoever finishes preparations

	mu       sync.Mutex
	waiting  []preparation
	prepared []snapshot.Transaction // by checkpoint
	visible  dataflow.CheckpointID  // committed up to here
}

// preparation is the part of a prepared transaction that takes time.
type preparation struct {
	id     dataflow.CheckpointID
	finish func(context.Context) ([][]byte, error)
}

// restore commits the restore point's transactions and aborts later ones of
// older attempts.
func (t *transactions) restore(ctx context.Context, r *restored) error {
	if t.sink == nil {
		return nil
	}
	var at dataflow.CheckpointID
	if r != nil {
		at = r.own
		t.prepared = r.transactions(t.env.Subtask, t.env.Parallelism)
	}
	if len(t.prepared) > 0 {
		if err := t.sink.Commit(ctx, t.env, t.prepared); err != nil {
			return fmt.Errorf("commit the transactions of checkpoint %d: %w", r.checkpoint, err)
		}
	}
	t.visible = at
	if t.env.Attempt <= 1 || t.env.Subtask != 0 {
		return nil
	}
	if err := t.sink.AbortAfter(ctx, t.env, at); err != nil {
		return fmt.Errorf("abort transactions after checkpoint %d: %w", at, err)
	}
	return nil
}

// add takes what a Prepare returned. nil is nothing to do.
func (t *transactions) add(id dataflow.CheckpointID, finish func(context.Context) ([][]byte, error)) {
	if finish == nil {
		return
	}
	t.mu.Lock()
	t.waiting = append(t.waiting, preparation{id, finish})
	t.mu.Unlock()
}

// finish makes everything up to checkpoint id durable and returns what the
// checkpoint must list. What fails stays, and is tried again by the next.
func (t *transactions) finish(ctx context.Context, id dataflow.CheckpointID) ([]snapshot.Transaction, error) {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	for {
		p, ok := t.first(id)
		if !ok {
			return t.upTo(id), nil
		}
		payloads, err := p.finish(ctx)
		if err != nil {
			return nil, fmt.Errorf("prepare checkpoint %d: %w", p.id, err)
		}
		t.finished(p, payloads)
	}
}

func (t *transactions) first(id dataflow.CheckpointID) (preparation, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 || t.waiting[0].id > id {
		return preparation{}, false
	}
	return t.waiting[0], true
}

func (t *transactions) finished(p preparation, payloads [][]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = slices.Delete(t.waiting, 0, 1)
	if t.sink == nil {
		return
	}
	for _, b := range payloads {
		t.prepared = append(t.prepared, snapshot.Transaction{Checkpoint: p.id, Attempt: t.env.Attempt, Payload: b})
	}
}

// upTo returns the transactions up to checkpoint id that are not forgotten.
func (t *transactions) upTo(id dataflow.CheckpointID) []snapshot.Transaction {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []snapshot.Transaction
	for _, txn := range t.prepared {
		if txn.Checkpoint <= id {
			out = append(out, txn)
		}
	}
	return out
}

// commit makes everything up to checkpoint id visible and returns whether
// there was anything.
func (t *transactions) commit(ctx context.Context, id dataflow.CheckpointID) (bool, error) {
	t.mu.Lock()
	visible := t.visible
	t.mu.Unlock()
	due := slices.DeleteFunc(t.upTo(id), func(x snapshot.Transaction) bool { return x.Checkpoint <= visible })
	if len(due) > 0 {
		if err := t.sink.Commit(ctx, t.env, due); err != nil {
			return false, err
		}
	}
	t.mu.Lock()
	t.visible = max(t.visible, id)
	t.mu.Unlock()
	return len(due) > 0, nil
}

// forget drops the transactions up to checkpoint id, whose commit is known.
func (t *transactions) forget(ctx context.Context, id dataflow.CheckpointID) error {
	due := t.upTo(id)
	if len(due) == 0 {
		return nil
	}
	if err := t.sink.Forget(ctx, t.env, due); err != nil {
		return err
	}
	t.mu.Lock()
	t.prepared = slices.DeleteFunc(t.prepared, func(x snapshot.Transaction) bool { return x.Checkpoint <= id })
	t.mu.Unlock()
	return nil
}
