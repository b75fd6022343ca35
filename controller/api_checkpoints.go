package controller

import (
	"cmp"
	"context"
	"fmt"
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
	return &wire.ListCheckpointsResponse{
		Checkpoints: checkpointViews(record), Completed: record.Completed, Failed: record.FailedCount,
	}, nil
}

func checkpointViews(record *ledger.Job) []*wire.CheckpointView {
	var views []*wire.CheckpointView
	for _, p := range record.Pending {
		views = append(views, &wire.CheckpointView{
			Id: uint64(p.ID), Attempt: uint64(p.Attempt), Status: "pending", BegunUnixMs: p.At, BegunTerm: uint64(p.Term), Trigger: p.Trigger,
		})
	}
	listed := map[dataflow.CheckpointID]bool{}
	for _, h := range record.History {
		listed[h.ID] = true
		views = append(views, historyView(h, record.Catalog.Record(h.ID)))
	}
	for r := range record.Catalog.All() { // kept for longer than the history
		if !listed[r.ID] {
			views = append(views, restorable(&wire.CheckpointView{Id: uint64(r.ID), Attempt: uint64(r.Attempt), Status: "completed"}, r))
		}
	}
	slices.SortStableFunc(views, func(a, b *wire.CheckpointView) int { return cmp.Compare(b.Id, a.Id) })
	return views
}

// historyView is a line of the history; kept is its record in the catalog, or nil.
func historyView(h ledger.CheckpointHistory, kept *catalog.Record) *wire.CheckpointView {
	const ms = 1e3 // microseconds
	v := &wire.CheckpointView{
		Id: uint64(h.ID), Attempt: uint64(h.Attempt), Status: h.Status, Reason: h.Reason, Trigger: h.Trigger,
		BegunUnixMs: h.BegunAt, EndedUnixMs: h.EndedAt, BegunTerm: uint64(h.BegunTerm), EndedTerm: uint64(h.EndedTerm),
		DurationMs: float64(h.Stats.Duration) / ms, StateBytes: h.Stats.StateBytes, UploadedBytes: h.Stats.UploadedBytes, Puts: h.Stats.Puts,
		StartDelayMs: float64(h.Stats.StartDelay) / ms, AlignMs: float64(h.Stats.Align) / ms, SyncMs: float64(h.Stats.Sync) / ms,
		AsyncMs: float64(h.Stats.Async) / ms, CommitMs: float64(h.Stats.Commit) / ms,
		MetadataKey: h.Metadata.Key, MetadataSize: h.Metadata.Size,
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
	return v
}

// GetCheckpoint tells all of one checkpoint: its metadata object if it can be
// restored, and whom it waits for while it is in flight.
func (s controlService) GetCheckpoint(ctx context.Context, r *wire.GetCheckpointRequest) (*wire.GetCheckpointResponse, error) {
	l, record, err := s.job(ctx, r.Job)
	if err != nil {
		return nil, statusOf(err)
	}
	response := &wire.GetCheckpointResponse{}
	for _, v := range checkpointViews(record) {
		if v.Id == r.Checkpoint {
			response.Checkpoint = v
		}
	}
	id := dataflow.CheckpointID(r.Checkpoint)
	if response.Checkpoint == nil {
		return nil, statusOf(fmt.Errorf("job %s, checkpoint %d: %w; `cairn checkpoint list %s` names them all", record.ID, id, ledger.ErrNoCheckpoint, record.ID))
	}
	if kept := record.Catalog.Record(id); kept != nil {
		if response.Metadata, err = l.store().ReadBytes(ctx, kept.Metadata); err != nil {
			return nil, statusOf(err)
		}
	}
	if response.Checkpoint.Status == "pending" {
		response.WaitingFor, err = inLoop(ctx, l, func() ([]string, error) { return l.waitingFor(record.ID, id), nil })
	}
	return response, statusOf(err)
}

// waitingFor names the processes that have not acknowledged a checkpoint.
func (l *leader) waitingFor(job dataflow.JobID, id dataflow.CheckpointID) []string {
	var waiting []string
	if j := l.jobs[job]; j != nil {
		for _, p := range j.processes {
			if p.acks[id] == nil {
				waiting = append(waiting, fmt.Sprintf("%s on %s", p.nonce(), p.worker))
			}
		}
	}
	return waiting
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
	l.wakeCollector()
	return &wire.DeleteCheckpointResponse{}, nil
}
