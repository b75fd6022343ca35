package task

import (
	"context"
	"log/slog"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
)

// driver is what a task process needs of the engine. Tests put another in its
// place.
type driver interface {
	open(ctx context.Context, p *engine.Program, cfg engine.Config) (attempt, error)
	finishCommits(ctx context.Context, p *engine.Program, job dataflow.JobID, a dataflow.Attempt,
		openBucket engine.OpenBucket, r *engine.Restore, log *slog.Logger) error
}

// attempt is an *engine.Attempt.
type attempt interface {
	Run(ctx context.Context) error
	Close() error // for one that is never run
	Trigger(t engine.Trigger)
	Completed(id dataflow.CheckpointID)
	Aborted(id dataflow.CheckpointID)
	SavepointTaken(id dataflow.CheckpointID)
	CommitsKnown(id dataflow.CheckpointID)
	Stats() engine.Stats
	SourceTimes() []engine.SourceTime
	AlignSources(others []engine.SourceTime)
}

type engineDriver struct{}

func (engineDriver) open(ctx context.Context, p *engine.Program, cfg engine.Config) (attempt, error) {
	a, err := engine.Open(ctx, p, cfg)
	if err != nil {
		return nil, err
	}
	return a, nil
}

func (engineDriver) finishCommits(ctx context.Context, p *engine.Program, job dataflow.JobID, a dataflow.Attempt,
	openBucket engine.OpenBucket, r *engine.Restore, log *slog.Logger) error {
	return engine.FinishCommits(ctx, p, job, a, openBucket, r, log)
}
