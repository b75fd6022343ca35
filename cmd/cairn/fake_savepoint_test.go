//go:build unix

package main

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/wire"
)

// savepoints are those of flights-a1b2c3: one of each kind. Each time they are listed
// the one that is being taken comes further.
func (f *fakeCluster) savepoints() []*wire.Savepoint {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looked++
	taken := &wire.Savepoint{
		Id: 44, Job: "flights-a1b2c3", Format: "canonical", Status: "taking", Trigger: "manual", BegunUnixMs: 1773480414089,
	}
	switch {
	case f.looked == 2:
		taken.Status = "writing"
	case f.looked > 2:
		taken.Status, taken.Bytes, taken.Rows, taken.EndedUnixMs = "completed", 80<<20, 331000, 1773480418089
		taken.Location = "s3://keep/flights/flights-a1b2c3-savepoint-44-8f2k/"
	}
	return []*wire.Savepoint{taken,
		{Id: 43, Job: "flights-a1b2c3", Format: "canonical", Status: "failed", Trigger: "periodic", BegunUnixMs: 1773480410089, EndedUnixMs: 1773480411089,
			Reason: "not written in 5 tries: disk full"},
		{Id: 39, Job: "flights-a1b2c3", Format: "native", Status: "completed", Trigger: "manual", BegunUnixMs: 1773480310089, EndedUnixMs: 1773480311089,
			Bytes: 77 << 20, Location: "s3://bucket/c0ffee/jobs/flights-a1b2c3/metadata/000000000039-t3-aa", NeededBy: []string{"flights-copy-x7y8z9"}},
	}
}

func (f *fakeCluster) ListSavepoints(_ context.Context, r *wire.ListSavepointsRequest) (*wire.ListSavepointsResponse, error) {
	if r.Job == "orders-d4e5f6" {
		return &wire.ListSavepointsResponse{}, nil
	}
	return &wire.ListSavepointsResponse{Savepoints: f.savepoints()}, nil
}

func (f *fakeCluster) TriggerSavepoint(_ context.Context, r *wire.TriggerSavepointRequest) (*wire.TriggerSavepointResponse, error) {
	switch {
	case r.Job == "orders-d4e5f6":
		return nil, status.Error(codes.FailedPrecondition, "savepoint of job orders-d4e5f6: it is failed, and only a running job can take one")
	case r.Savepoint.GetKey() == "yesterday":
		return &wire.TriggerSavepointResponse{Savepoint: f.savepoints()[1]}, nil
	}
	return &wire.TriggerSavepointResponse{Savepoint: f.savepoints()[0]}, nil
}

func (f *fakeCluster) StopJob(_ context.Context, r *wire.StopJobRequest) (*wire.StopJobResponse, error) {
	ended := "finished"
	if r.Cancel {
		ended = "cancelled"
	}
	f.mu.Lock()
	for _, j := range f.canned.jobs.Jobs {
		if j.Id == r.Job {
			j.Status = ended
		}
	}
	f.mu.Unlock()
	return &wire.StopJobResponse{Savepoint: f.savepoints()[0]}, nil
}

func (f *fakeCluster) DisposeSavepoint(_ context.Context, r *wire.DisposeSavepointRequest) (*wire.DisposeSavepointResponse, error) {
	if r.Savepoint == 44 {
		return nil, status.Error(codes.FailedPrecondition, "dispose of savepoint 44 of job flights-a1b2c3: it is writing: savepoint is not finished")
	}
	return &wire.DisposeSavepointResponse{}, nil
}
