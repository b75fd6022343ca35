package controller

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/coordinator"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// ListCheckpoints lists a job's checkpoints, newest first: those in flight, and
// the history of those that completed or failed.
func (s controlService) ListCheckpoints(ctx context.Context, r *wire.ListCheckpointsRequest) (*wire.ListCheckpointsResponse, error) {
	_, record, err := s.job(ctx, r.Job)
	if err != nil {
		return nil, statusOf(err)
	}
	if r.Limit < 0 {
		return nil, statusOf(fmt.Errorf("limit %d: %w: give a number above 0, or 0 for all", r.Limit, errInvalid))
	}
	views, leftOut := checkpointViews(record, int(r.Limit))
	return &wire.ListCheckpointsResponse{Checkpoints: views, Completed: record.Completed, Failed: record.FailedCount, LeftOut: int32(leftOut)}, nil
}

// checkpointViews are the newest checkpoints up to a limit (0: all), and how many are left
// out. With a limit its cost does not grow with what is retained.
func checkpointViews(record *ledger.Job, limit int) (views []*wire.CheckpointView, leftOut int) {
	ids := allCheckpoints(record)
	if limit > 0 && len(ids) > limit {
		ids, leftOut = ids[:limit], len(ids)-limit
	}
	for _, id := range ids {
		views = append(views, checkpointView(record, id))
	}
	return views, leftOut
}

// allCheckpoints are the ids of all checkpoints that Raft knows of, newest first.
func allCheckpoints(record *ledger.Job) []dataflow.CheckpointID {
	ids := make([]dataflow.CheckpointID, 0, len(record.Pending)+len(record.History)+record.Catalog.Len())
	for _, p := range record.Pending {
		ids = append(ids, p.ID)
	}
	for _, h := range record.History {
		ids = append(ids, h.ID)
	}
	for r := range record.Catalog.All() { // kept for longer than the history
		ids = append(ids, r.ID)
	}
	slices.Sort(ids)
	slices.Reverse(ids)
	return slices.Compact(ids)
}

// checkpointView is one checkpoint; nil if there is none.
func checkpointView(record *ledger.Job, id dataflow.CheckpointID) *wire.CheckpointView {
	for _, p := range record.Pending {
		if p.ID == id {
			return &wire.CheckpointView{
				Id: uint64(p.ID), Attempt: uint64(p.Attempt), Status: "pending", BegunUnixMs: p.At, BegunTerm: uint64(p.Term), Trigger: p.Trigger,
				Savepoint: savepointFormat(record, id),
			}
		}
	}
	kept := record.Catalog.Record(id)
	for i := len(record.History) - 1; i >= 0; i-- {
		if h := &record.History[i]; h.ID == id {
			v := historyView(h, kept)
			v.Savepoint = savepointFormat(record, id)
			return v
		}
	}
	if kept == nil {
		return nil
	}
	return restorable(&wire.CheckpointView{Id: uint64(id), Attempt: uint64(kept.Attempt), Status: "completed", Savepoint: savepointFormat(record, id)}, kept)
}

// savepointFormat is the format of the savepoint with this id; empty if it is none.
func savepointFormat(record *ledger.Job, id dataflow.CheckpointID) string {
	if s := record.Savepoint(id); s != nil {
		return s.Format
	}
	return ""
}

// historyView is a line of the history; kept is its record in the catalog, or nil.
func historyView(h *ledger.CheckpointHistory, kept *catalog.Record) *wire.CheckpointView {
	const ms = 1e3 // microseconds
	v := &wire.CheckpointView{
		Id: uint64(h.ID), Attempt: uint64(h.Attempt), Status: h.Status, Reason: h.Reason, Trigger: h.Trigger,
		BegunUnixMs: h.BegunAt, EndedUnixMs: h.EndedAt, BegunTerm: uint64(h.BegunTerm), EndedTerm: uint64(h.EndedTerm),
		DurationMs: float64(h.Stats.Duration) / ms, StateBytes: h.Stats.StateBytes, UploadedBytes: h.Stats.UploadedBytes, Puts: h.Stats.Puts,
		StartDelayMs: float64(h.Stats.StartDelay) / ms, AlignMs: float64(h.Stats.Align) / ms, SyncMs: float64(h.Stats.Sync) / ms,
		AsyncMs: float64(h.Stats.Async) / ms, CommitMs: float64(h.Stats.Commit) / ms,
		MetadataKey: h.Metadata.Key, MetadataSize: h.Metadata.Size,
		InFlightBytes: h.Stats.InFlightBytes, Failure: string(h.Failure()),
	}
	if h.Status == ledger.CheckpointCompleted {
		v.Mode = cmp.Or(h.Stats.Mode, "aligned")
	}
	if kept != nil {
		return restorable(v, kept)
	}
	if v.Status == "completed" {
		v.Status = "subsumed"
	}
	return v
}

func restorable(v *wire.CheckpointView, r *catalog.Record) *wire.CheckpointView {
	v.Restorable, v.CommitsOwed = true, r.Owed
	v.MetadataKey, v.MetadataSize = r.Metadata.Key, r.Metadata.Size
	v.Pinned = r.Holds[catalog.PinHold]
	for _, who := range slices.Sorted(maps.Keys(r.Holds)) {
		v.Holds = append(v.Holds, holdText(who))
	}
	return v
}

// GetCheckpoint tells all of one checkpoint: its metadata object if it can be
// restored, and whom it waits for while it is in flight.
func (s controlService) GetCheckpoint(ctx context.Context, r *wire.GetCheckpointRequest) (*wire.GetCheckpointResponse, error) {
	l, record, err := s.job(ctx, r.Job)
	if err != nil {
		return nil, statusOf(err)
	}
	id := dataflow.CheckpointID(r.Checkpoint)
	if id == 0 { // whatever is in flight
		if len(record.Pending) == 0 {
			return nil, statusOf(fmt.Errorf("job %s has no checkpoint in flight: %w; `cairn checkpoint trigger %s` takes one", record.ID, ledger.ErrNoCheckpoint, record.ID))
		}
		id = record.Pending[0].ID
	}
	response := &wire.GetCheckpointResponse{Checkpoint: checkpointView(record, id)}
	if response.Checkpoint == nil {
		return nil, statusOf(fmt.Errorf("job %s, checkpoint %d: %w; `cairn checkpoint list %s` names them all", record.ID, id, ledger.ErrNoCheckpoint, record.ID))
	}
	if kept := record.Catalog.Record(id); kept != nil {
		if response.Metadata, err = l.store().ReadBytes(ctx, kept.Metadata); err != nil {
			return nil, statusOf(err)
		}
	}
	if response.Checkpoint.Status == "pending" {
		_, err = inLoop(ctx, l, func() (struct{}, error) {
			response.WaitingFor, response.Alignments = l.waitingFor(record.ID, id)
			return struct{}{}, nil
		})
	}
	return response, statusOf(err)
}

// waitingFor names the processes that have not acknowledged a checkpoint, and the
// subtasks that wait for barriers of it, as the processes told last.
func (l *leader) waitingFor(job dataflow.JobID, id dataflow.CheckpointID) (waiting []string, alignments []*wire.AlignmentView) {
	j := l.jobs[job]
	if j == nil {
		return nil, nil
	}
	for _, p := range j.processes {
		if p.acks[id] == nil {
			waiting = append(waiting, fmt.Sprintf("%s on %s", p.nonce(), p.worker))
		}
		for _, a := range p.stats.GetAlignments() {
			if dataflow.CheckpointID(a.Checkpoint) == id {
				alignments = append(alignments, a)
			}
		}
	}
	slices.SortFunc(alignments, func(a, b *wire.AlignmentView) int {
		return cmp.Or(cmp.Compare(a.GetSubtask().GetVertex(), b.GetSubtask().GetVertex()), cmp.Compare(a.GetSubtask().GetIndex(), b.GetSubtask().GetIndex()))
	})
	return waiting, alignments
}

// TriggerCheckpoint begins a checkpoint now and answers with its id. The same key
// begins one checkpoint, whoever leads and whatever has become of it.
func (s controlService) TriggerCheckpoint(ctx context.Context, r *wire.TriggerCheckpointRequest) (*wire.TriggerCheckpointResponse, error) {
	l, record, err := s.job(ctx, r.Job)
	if err != nil {
		return nil, statusOf(err)
	}
	if len(r.Key) > ledger.KeyMax {
		return nil, statusOf(fmt.Errorf("an id of %d bytes: use at most %d: %w", len(r.Key), ledger.KeyMax, errInvalid))
	}
	if id, begun := l.begunBy(record.ID, r.Key); begun {
		return &wire.TriggerCheckpointResponse{Checkpoint: uint64(id)}, nil
	}
	if record.Status != ledger.Running {
		return nil, statusOf(fmt.Errorf("checkpoint of job %s, which is %s: %w", record.ID, record.Status, ledger.ErrNotRunning))
	}
	answer := make(chan triggered, 1)
	key := cmp.Or(r.Key, freshKey())
	_, err = inLoop(ctx, l, func() (struct{}, error) { return struct{}{}, l.requestCheckpoint(record.ID, key, answer) })
	if err != nil {
		return nil, statusOf(err)
	}
	select {
	case t := <-answer:
		return &wire.TriggerCheckpointResponse{Checkpoint: uint64(t.id)}, statusOf(t.err)
	case <-l.over:
		return nil, statusOf(errLeaderGone)
	case <-ctx.Done():
		return nil, statusOf(context.Cause(ctx))
	}
}

// begunBy is the checkpoint that the caller's key began, as far as Raft knows. A
// leader has applied all that was committed before its term, so that it knows of
// every one that another leader began.
func (l *leader) begunBy(job dataflow.JobID, key string) (id dataflow.CheckpointID, begun bool) {
	l.ledger.View(func(s *ledger.State) { id, begun = s.Triggered(job, key) })
	return id, begun
}

func (l *leader) requestCheckpoint(id dataflow.JobID, key string, answer chan<- triggered) error {
	j := l.jobs[id]
	if j == nil {
		return fmt.Errorf("job %s: %w", id, ledger.ErrNotRunning)
	}
	if first, begun := l.begunBy(id, key); begun {
		answer <- triggered{id: first}
		return nil
	}
	j.triggers[key] = append(j.triggers[key], answer)
	l.step(j, coordinator.Requested{Key: key}) // later, if the job is just being taken over
	return nil
}

// DeleteCheckpoint drops a checkpoint from the catalog; its objects follow.
func (s controlService) DeleteCheckpoint(ctx context.Context, r *wire.DeleteCheckpointRequest) (*wire.DeleteCheckpointResponse, error) {
	l, record, err := s.job(ctx, r.Job)
	if err != nil {
		return nil, statusOf(err)
	}
	cmd := &ledger.DeleteCheckpoint{Header: l.header(""), Job: record.ID, ID: dataflow.CheckpointID(r.Checkpoint)}
	if _, err := l.commit(ctx, cmd); err != nil {
		return nil, statusOf(err)
	}
	l.passed(StepDeleteDropped)
	l.wakeCollector()
	return &wire.DeleteCheckpointResponse{}, nil
}

// PinCheckpoint keeps a checkpoint, or lets it go.
func (s controlService) PinCheckpoint(ctx context.Context, r *wire.PinCheckpointRequest) (*wire.PinCheckpointResponse, error) {
	l, record, err := s.job(ctx, r.Job)
	if err != nil {
		return nil, statusOf(err)
	}
	cmd := &ledger.PinCheckpoint{Header: l.header(""), Job: record.ID, ID: dataflow.CheckpointID(r.Checkpoint), Unpin: r.Unpin}
	if _, err := l.commit(ctx, cmd); err != nil {
		return nil, statusOf(err)
	}
	l.passed(StepPinned)
	l.wakeCollector()
	return &wire.PinCheckpointResponse{}, nil
}
