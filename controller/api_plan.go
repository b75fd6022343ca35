package controller

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// PlanJob does all of a submit but the submit: the program plans and matches itself with what it
// would start from. What a submit would be refused for is in the answer; an error is what keeps
// the plan itself from being made.
func (s controlService) PlanJob(ctx context.Context, r *wire.SubmitJobRequest) (*wire.PlanJobResponse, error) {
	response, err := s.plan(ctx, r)
	return response, statusOf(err)
}

func (s controlService) plan(ctx context.Context, r *wire.SubmitJobRequest) (*wire.PlanJobResponse, error) {
	l, err := s.reading(ctx)
	if err != nil {
		return nil, err
	}
	over, err := decodeOptions(r.Options)
	if err != nil {
		return nil, err
	}
	point, err := l.planPoint(r.Origin)
	if err != nil {
		return nil, err
	}
	if !l.artifacts.pin(r.ArtifactSha256) {
		return nil, fmt.Errorf("artifact %.12s, which no job needed, is being deleted right now; put it again: %w", r.ArtifactSha256, errNotReady)
	}
	defer l.artifacts.unpin(r.ArtifactSha256)
	if err := l.needArtifact(ctx, r.ArtifactSha256); err != nil {
		return nil, err
	}
	plan, err := l.planArtifact(ctx, r, point)
	if err != nil {
		return nil, err
	}
	response := &wire.PlanJobResponse{Match: plan.match}
	if response.Graph, err = json.Marshal(plan.graph); err != nil {
		return nil, fmt.Errorf("encode graph: %w", err)
	}
	if _, err := submission(plan.graph, over, r); err != nil {
		response.Refusal = err.Error()
	} else if err := plan.refusal(); err != nil {
		response.Refusal = err.Error()
	}
	return response, nil
}

// planPoint is the checkpoint that an origin of this cluster names; nil without an origin.
func (l *leader) planPoint(o *wire.Origin) (*wire.RestorePoint, error) {
	if o == nil {
		return nil, nil
	}
	if o.Job == "" {
		return nil, fmt.Errorf("plan from %s: name a job of this cluster, or JOB/CHECKPOINT: %w", o.Path, errInvalid)
	}
	record := l.record(jobID(o.Job))
	if record == nil {
		return nil, fmt.Errorf("plan from job %s: %w", o.Job, errNotFound)
	}
	from := record.Catalog.Newest()
	if o.Checkpoint != 0 {
		from = record.Catalog.Record(dataflow.CheckpointID(o.Checkpoint))
	}
	if from == nil {
		return nil, fmt.Errorf("plan from checkpoint %d of job %s: it is not in the catalog; `cairn checkpoint list %s` names those that are: %w",
			o.Checkpoint, record.ID, record.ID, errNotFound)
	}
	return &wire.RestorePoint{
		Key: from.Metadata.Key, Size: from.Metadata.Size, Sha256: from.Metadata.SHA256,
		AllowNonRestoredState: o.AllowNonRestoredState, OwnTransactions: o.Claim,
	}, nil
}
