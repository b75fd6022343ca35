package controller

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	"github.com/cairnstream/cairn/wire"
)

// ForkJob starts another job of the same program, with the same arguments and options, on
// a checkpoint of this one, by reference. It is a submit with an origin; the
// parent goes on. The same key gives the same job.
func (s controlService) ForkJob(ctx context.Context, r *wire.ForkJobRequest) (*wire.SubmitJobResponse, error) {
	_, parent, err := s.job(ctx, r.Job)
	if err != nil {
		return nil, statusOf(err)
	}
	over, err := decodeOptions(r.Options)
	if err != nil {
		return nil, statusOf(err)
	}
	options, err := json.Marshal(parent.Options.Merge(over))
	if err != nil {
		return nil, statusOf(fmt.Errorf("options of job %s: %w", parent.ID, err))
	}
	id, err := s.submit(ctx, &wire.SubmitJobRequest{
		Name: cmp.Or(r.Name, parent.Name), ArtifactSha256: parent.Artifact, Args: parent.Args, Options: options, Key: r.Key,
		Platform: parent.Platform, Parallelism: cmp.Or(r.Parallelism, int32(parent.Parallelism)),
		Origin: &wire.Origin{Job: string(parent.ID), Checkpoint: r.Checkpoint, Fork: true},
	})
	if err != nil {
		return nil, statusOf(err)
	}
	return &wire.SubmitJobResponse{Job: string(id)}, nil
}
