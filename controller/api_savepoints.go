package controller

import (
	"cmp"
	"context"
	"fmt"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/coordinator"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/open"
	"github.com/cairnstream/cairn/wire"
)

// TriggerSavepoint begins a savepoint and answers as soon as it has begun: what
// becomes of it is in the list. A key that began one before is answered with that.
func (s controlService) TriggerSavepoint(ctx context.Context, r *wire.TriggerSavepointRequest) (*wire.TriggerSavepointResponse, error) {
	view, err := s.takeSavepoint(ctx, r.Job, r.Savepoint, coordinator.SavepointWish{Trigger: ledger.SavepointManual})
	if err != nil {
		return nil, statusOf(err)
	}
	return &wire.TriggerSavepointResponse{Savepoint: view}, nil
}

// StopJob begins a savepoint whose completion ends the job. It answers like
// TriggerSavepoint; if the savepoint fails, the job goes on.
func (s controlService) StopJob(ctx context.Context, r *wire.StopJobRequest) (*wire.StopJobResponse, error) {
	wish := coordinator.SavepointWish{Trigger: ledger.SavepointStop, Stop: true, Drain: r.Drain, Cancel: r.Cancel}
	if r.Cancel {
		wish.Trigger = ledger.SavepointCancel
	}
	if r.Cancel && r.Drain {
		return nil, statusOf(fmt.Errorf("stop %s: a job that is cancelled is not drained: leave one of the two away: %w", r.Job, errInvalid))
	}
	view, err := s.takeSavepoint(ctx, r.Job, r.Savepoint, wish)
	if err != nil {
		return nil, statusOf(err)
	}
	return &wire.StopJobResponse{Savepoint: view}, nil
}

// takeSavepoint begins a savepoint and returns it as it stands then.
func (s controlService) takeSavepoint(ctx context.Context, job string, r *wire.SavepointRequest, wish coordinator.SavepointWish) (*wire.Savepoint, error) {
	l, record, err := s.job(ctx, job)
	if err != nil {
		return nil, err
	}
	if known := record.SavepointByKey(r.GetKey()); known != nil {
		return l.savepointView(record, known), nil
	}
	if record.Status != ledger.Running {
		return nil, fmt.Errorf("savepoint of job %s: it is %s, and only a running job can take one: %w", record.ID, record.Status, ledger.ErrNotRunning)
	}
	if err := describeSavepoint(&wish, r, record.Options.WithDefaults().Checkpoint); err != nil {
		return nil, fmt.Errorf("savepoint of job %s: %w", record.ID, err)
	}
	if err := l.checkVersion(ledger.VersionOf(&ledger.BeginSavepoint{})); err != nil {
		return nil, err
	}
	answer := make(chan triggered, 1)
	key := cmp.Or(r.GetKey(), freshKey())
	_, err = inLoop(ctx, l, func() (struct{}, error) {
		return struct{}{}, l.requestSavepoint(record.ID, key, wish, answer)
	})
	if err != nil {
		return nil, err
	}
	return l.awaitSavepoint(ctx, record.ID, answer)
}

// awaitSavepoint waits until a savepoint that was asked for has begun.
func (l *leader) awaitSavepoint(ctx context.Context, job dataflow.JobID, answer <-chan triggered) (*wire.Savepoint, error) {
	select {
	case t := <-answer:
		if t.err != nil {
			return nil, t.err
		}
		record := l.record(job)
		begun := record.Savepoint(t.id)
		if begun == nil {
			return nil, fmt.Errorf("savepoint %d of job %s: %w: it is gone already", t.id, job, ledger.ErrNoSavepoint)
		}
		return l.savepointView(record, begun), nil
	case <-l.over:
		return nil, errLeaderGone
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// describeSavepoint fills in what was asked for, or else what the job's options say.
func describeSavepoint(wish *coordinator.SavepointWish, r *wire.SavepointRequest, o dataflow.CheckpointOptions) error {
	wish.Format = cmp.Or(r.GetFormat(), o.SavepointFormat, dataflow.Canonical)
	switch {
	case wish.Format != dataflow.Canonical && wish.Format != dataflow.Native:
		return fmt.Errorf("format %q: want %s or %s: %w", wish.Format, dataflow.Canonical, dataflow.Native, errInvalid)
	case wish.Format == dataflow.Native && r.GetDirectory() != "":
		return fmt.Errorf("a native savepoint refers to the checkpoint's objects and has no directory: leave the directory away, or take a canonical one: %w", errInvalid)
	case wish.Format == dataflow.Canonical:
		wish.Directory = cmp.Or(r.GetDirectory(), o.SavepointDirectory)
	}
	if wish.Directory == "" {
		return nil
	}
	if err := open.Check(wish.Directory); err != nil {
		return fmt.Errorf("directory: %w: %w", err, errInvalid)
	}
	return nil
}

// ListSavepoints lists a job's savepoints, or all jobs', newest first.
func (s controlService) ListSavepoints(ctx context.Context, r *wire.ListSavepointsRequest) (*wire.ListSavepointsResponse, error) {
	l, err := s.reading(ctx)
	if err != nil {
		return nil, statusOf(err)
	}
	records := l.records()
	if r.Job != "" {
		_, record, err := s.job(ctx, r.Job)
		if err != nil {
			return nil, statusOf(err)
		}
		records = []*ledger.Job{record}
	}
	response := &wire.ListSavepointsResponse{}
	for _, record := range records {
		for i := len(record.Savepoints) - 1; i >= 0; i-- {
			response.Savepoints = append(response.Savepoints, l.savepointView(record, &record.Savepoints[i]))
		}
	}
	return response, nil
}

// savepointView is a savepoint for people.
func (l *leader) savepointView(record *ledger.Job, s *ledger.Savepoint) *wire.Savepoint {
	v := &wire.Savepoint{
		Id: uint64(s.ID), Job: string(record.ID), Format: s.Format, Status: string(s.Status), Location: s.Location, Reason: s.Reason,
		BegunUnixMs: s.BegunAt, EndedUnixMs: s.EndedAt, Bytes: s.Bytes, Rows: s.Rows, Trigger: s.Trigger,
	}
	if s.Format == dataflow.Native && s.Status == ledger.SavepointCompleted {
		v.Location = objectstore.JoinURL(l.bucket.URL(), s.Metadata.Key)
	}
	for _, child := range l.neededBy(record.ID, s.ID) {
		v.NeededBy = append(v.NeededBy, string(child))
	}
	return v
}

// neededBy are the jobs that started from a savepoint and still read it.
func (l *leader) neededBy(job dataflow.JobID, id dataflow.CheckpointID) (jobs []dataflow.JobID) {
	l.ledger.View(func(s *ledger.State) { jobs = s.NeededBy(job, id) })
	return jobs
}

// DisposeSavepoint gives a savepoint up, unless a job needs it that started from it. A canonical one's folder is deleted
// afterwards; until then it is listed as disposing.
func (s controlService) DisposeSavepoint(ctx context.Context, r *wire.DisposeSavepointRequest) (*wire.DisposeSavepointResponse, error) {
	l, record, err := s.job(ctx, r.Job)
	if err != nil {
		return nil, statusOf(err)
	}
	cmd := &ledger.DisposeSavepoint{Header: l.header(""), Job: record.ID, ID: dataflow.CheckpointID(r.Savepoint)}
	if _, err := l.commit(ctx, cmd); err != nil {
		return nil, statusOf(fmt.Errorf("%w; `cairn savepoint list %s` names them all", err, record.ID))
	}
	l.passed(StepSavepointDisposing)
	l.wakeCollector()
	l.post(context.WithoutCancel(ctx), l.keepSavepoints)
	return &wire.DisposeSavepointResponse{}, nil
}
