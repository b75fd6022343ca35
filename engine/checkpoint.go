package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/changelog"
)

// checkpoint gathers the cuts of the subtasks here.
type checkpoint struct {
	id   dataflow.CheckpointID
	cuts []*subtaskCut
}

// cutDone takes a subtask's cut. With the last one the asynchronous part
// begins: everything is made durable and acknowledged, on a goroutine of Run's
// group, which a subtask's call keeps alive.
func (a *Attempt) cutDone(ctx context.Context, id dataflow.CheckpointID, c *subtaskCut) {
	a.mu.Lock()
	ck := a.checkpoints[id]
	if ck == nil {
		ck = &checkpoint{id: id}
		a.checkpoints[id] = ck
	}
	ck.cuts = append(ck.cuts, c)
	whole := len(ck.cuts) == len(a.subtasks)
	a.mu.Unlock()
	if whole {
		a.group.Go(func() error {
			a.finish(ctx, ck)
			return nil
		})
	}
}

// decline tells that a checkpoint can not be taken here.
func (a *Attempt) decline(id dataflow.CheckpointID, reason error) {
	a.dropCheckpoint(id)
	a.cfg.Events.Decline(id, reason)
}

// finish makes a checkpoint durable and acknowledges it, or declines it. A
// failure costs the checkpoint and nothing else: the changelog and the sinks
// keep what was not durable for the next one.
func (a *Attempt) finish(ctx context.Context, ck *checkpoint) {
	s, err := a.makeDurable(ctx, ck)
	if ctx.Err() != nil || !a.inFlight(ck.id) {
		return
	}
	if err != nil {
		a.decline(ck.id, err)
		return
	}
	a.cfg.Events.Acknowledge(ck.id, s)
}

// makeDurable seals the changelog and finishes the sinks' preparations.
func (a *Attempt) makeDurable(ctx context.Context, ck *checkpoint) (*snapshot.Process, error) {
	cuts := map[*changelog.Log]state.Cut{}
	group, inner := errgroup.WithContext(ctx)
	for _, c := range ck.cuts {
		for i := range c.parts {
			p := &c.parts[i]
			if p.log != nil {
				cuts[p.log] = p.cut
			}
			if p.sink != nil {
				group.Go(func() error { return finishSink(inner, ck.id, p) })
			}
		}
	}
	kept, inFlight := a.keepInFlight(ck)
	seal, err := a.uploader.Seal(ctx, ck.id, cuts)
	if werr := group.Wait(); err == nil {
		err = werr
	}
	if err != nil {
		return nil, err
	}
	out := a.snapshot(ck, seal)
	out.InFlightBytes = inFlight
	return out, a.refer(out, kept, seal.InFlight)
}

// finishSink completes a sink's part. Its error and panics are the checkpoint's.
func finishSink(ctx context.Context, id dataflow.CheckpointID, p *part) error {
	return guard(func() error {
		txns, err := p.sink.finish(ctx, id)
		if err != nil {
			return fmt.Errorf("sink %q: %w", p.operator.UID, err)
		}
		p.operator.Transactions = txns
		return nil
	})
}

// snapshot joins the parts of a checkpoint.
func (a *Attempt) snapshot(ck *checkpoint, seal *changelog.Seal) *snapshot.Process {
	out := &snapshot.Process{
		Process: a.cfg.Process, Objects: seal.Objects, Sums: seal.Sums, Released: seal.Released,
		Bytes: seal.Bytes, Puts: seal.Puts,
	}
	for _, c := range ck.cuts {
		t := snapshot.Subtask{Task: c.task, Timing: c.timing}
		t.Timing.Async = time.Since(c.at)
		for _, p := range c.parts {
			o := p.operator
			if p.log != nil {
				k := seal.Keyed[p.log]
				a.stores[p.log].describe(&k)
				o.Keyed = &k
				t.Timing.StateBytes += p.cut.Bytes
				t.Timing.LogBytes += newBytes(k, a.cfg.ObjectPrefix, p.after)
			}
			t.Operators = append(t.Operators, o)
		}
		out.Subtasks = append(out.Subtasks, t)
	}
	return out
}

// newBytes is the size of a handle's segments that this attempt wrote after a
// position: what the checkpoint added to the log.
func newBytes(k snapshot.Keyed, prefix string, after uint64) int64 {
	var n int64
	for _, s := range k.Segments {
		if s.To > after && strings.HasPrefix(s.Ref.Key, prefix) {
			n += s.Ref.Length
		}
	}
	return n
}

// inFlight tells whether a checkpoint's outcome is open.
func (a *Attempt) inFlight(id dataflow.CheckpointID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.checkpoints[id] != nil
}

// dropCheckpoint forgets a checkpoint that will not complete.
func (a *Attempt) dropCheckpoint(id dataflow.CheckpointID) {
	a.mu.Lock()
	delete(a.checkpoints, id)
	a.mu.Unlock()
}

// forgetCheckpoints forgets those up to one that is complete: older ones are
// subsumed.
func (a *Attempt) forgetCheckpoints(id dataflow.CheckpointID) {
	a.mu.Lock()
	for old := range a.checkpoints {
		if old <= id {
			delete(a.checkpoints, old)
		}
	}
	a.mu.Unlock()
}
