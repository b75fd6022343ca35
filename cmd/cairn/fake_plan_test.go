package main

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/wire"
)

// cannedMatch is a plan of a program whose operator count has a field more, whose joiner is gone and
// whose source is new.
const cannedMatch = `{"checkpoint":41,"key_groups":128,"key_groups_now":128,"operators":[
{"uid":"in","name":"in","parallelism_now":1,"outcome":"new"},
{"uid":"count","name":"count","parallelism":2,"parallelism_now":4,"outcome":"restored","states":[
 {"name":"n","kind":"value","schema":"{N:int64}","schema_now":"{N:int64,Max:int64}","outcome":"restored"},
 {"name":"late","kind":"map","schema_now":"int64 -> int64","outcome":"new"}]},
{"uid":"joiner","parallelism":2,"outcome":"dropped","why":"the program has no operator of this uid"}],
"refusals":["state of an unknown operator: \"joiner\""]}`

// PlanJob refuses unless state may be dropped.
func (f *fakeCluster) PlanJob(_ context.Context, r *wire.SubmitJobRequest) (*wire.PlanJobResponse, error) {
	if r.Origin == nil {
		return &wire.PlanJobResponse{Graph: []byte("{}")}, nil
	}
	p := &wire.PlanJobResponse{Graph: []byte("{}"), Match: []byte(cannedMatch)}
	if !r.Origin.AllowNonRestoredState {
		p.Refusal = `state of an unknown operator: "joiner"`
	}
	return p, nil
}

// UpgradeJob upgrades at once; how it ended depends on the arguments.
func (f *fakeCluster) UpgradeJob(_ context.Context, r *wire.UpgradeJobRequest) (*wire.UpgradeJobResponse, error) {
	job := f.canned.job[r.Job]
	switch {
	case job == nil:
		return nil, noJob(r.Job)
	case len(r.Args) > 0 && r.Args[0] == "unfit":
		return nil, status.Error(codes.InvalidArgument, "restore checkpoint 41: it has 128 key groups and the program 64: they can not be changed")
	case len(r.Args) > 0 && r.Args[0] == "panics":
		job.Upgrade = "rolled back: artifact aaaabbbbcccc goes on from savepoint 43 again: panic: no"
	default:
		job.Upgrade = "done: artifact ddddeeeeffff goes on from savepoint 43"
	}
	return &wire.UpgradeJobResponse{Savepoint: 43}, nil
}
