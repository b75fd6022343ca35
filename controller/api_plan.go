package controller

import (
	"context"
	"encoding/json"
	"fmt"

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
	var from *origin
	var point *wire.RestorePoint
	if r.Origin != nil {
		if from, err = l.findOrigin(ctx, r.Origin); err != nil {
			return nil, err
		}
		point = pointOf(&from.Origin)
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
	cmd, err := submission(plan.graph, over, r)
	if err == nil {
		err = plan.refusal()
	}
	if err == nil && from != nil {
		err = from.checkBackend(cmd.Options)
	}
	if err != nil {
		response.Refusal = err.Error()
	}
	return response, nil
}
