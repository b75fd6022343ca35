//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// fakeCluster answers Control's calls with what canned_test.go holds, and
// remembers what it was asked.
type fakeCluster struct {
	wire.UnimplementedControlServer
	canned canned
	called chan string // the method of each call, as it comes in

	mu        sync.Mutex
	refusals  int               // so many calls more are refused with UNAVAILABLE
	hang      bool              // calls get no answer
	log       []string          // a line for each call
	looked    int               // how often the savepoints were asked for
	keys      map[string]string // idempotency keys by their short names
	artifacts map[string]bool   // by SHA-256
}

func newFakeCluster() *fakeCluster {
	return &fakeCluster{canned: newCanned(), called: make(chan string, 1000), keys: map[string]string{}, artifacts: map[string]bool{}}
}

func (f *fakeCluster) server() *grpc.Server {
	s := grpc.NewServer(
		grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			if err := f.admit(ctx, info.FullMethod, req.(proto.Message)); err != nil {
				return nil, err
			}
			return handle(ctx, req)
		}))
	wire.RegisterControlServer(s, f)
	return s
}

// admit notes the call, and refuses it or lets it hang as a script wants.
func (f *fakeCluster) admit(ctx context.Context, method string, req proto.Message) error {
	method = method[strings.LastIndex(method, "/")+1:]
	f.mu.Lock()
	f.log = append(f.log, method+" "+f.textLocked(req))
	hang, refuse := f.hang, f.refusals > 0
	if refuse {
		f.refusals--
	}
	f.mu.Unlock()
	f.called <- method
	switch {
	case refuse:
		return status.Error(codes.Unavailable, "no leader yet, retry")
	case hang:
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// textLocked is a request as JSON, with key-1 for the first idempotency key seen.
func (f *fakeCluster) textLocked(req proto.Message) string {
	var fields map[string]any
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(req)
	if err == nil {
		err = json.Unmarshal(text, &fields)
	}
	if err != nil {
		return err.Error()
	}
	if key, ok := fields["key"].(string); ok {
		if f.keys[key] == "" {
			f.keys[key] = fmt.Sprintf("key-%d", len(f.keys)+1)
		}
		fields["key"] = f.keys[key]
	}
	delete(fields, "artifact_sha256")
	if r, ok := req.(*wire.SubmitJobRequest); ok {
		fields["options"] = json.RawMessage(r.Options)
	}
	if r, ok := req.(*wire.SetOptionsRequest); ok && len(r.Options) > 0 {
		fields["options"] = json.RawMessage(r.Options)
	}
	text, err = json.Marshal(fields)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (f *fakeCluster) ClusterStatus(context.Context, *wire.ClusterStatusRequest) (*wire.ClusterStatusResponse, error) {
	return f.canned.status, nil
}

func (f *fakeCluster) ListWorkers(context.Context, *wire.ListWorkersRequest) (*wire.ListWorkersResponse, error) {
	return f.canned.workers, nil
}

func (f *fakeCluster) ListJobs(context.Context, *wire.ListJobsRequest) (*wire.ListJobsResponse, error) {
	return f.canned.jobs, nil
}

func (f *fakeCluster) GetJob(_ context.Context, r *wire.GetJobRequest) (*wire.GetJobResponse, error) {
	if job := f.canned.job[r.Job]; job != nil {
		return job, nil
	}
	return nil, noJob(r.Job)
}

func noJob(id string) error {
	return status.Errorf(codes.NotFound, "job %q: no such job; `cairn job list` names them all", id)
}

func (f *fakeCluster) CancelJob(_ context.Context, r *wire.CancelJobRequest) (*wire.CancelJobResponse, error) {
	if f.canned.job[r.Job] == nil {
		return nil, noJob(r.Job)
	}
	return &wire.CancelJobResponse{Status: "cancelling"}, nil
}

// SetOptions changes nothing but its answer.
func (f *fakeCluster) SetOptions(_ context.Context, r *wire.SetOptionsRequest) (*wire.SetOptionsResponse, error) {
	job := f.canned.job[r.Job]
	if job == nil {
		return nil, noJob(r.Job)
	}
	var o dataflow.Options
	if err := json.Unmarshal(job.Options, &o); err != nil {
		return nil, err
	}
	o = o.WithDefaults()
	was := o
	if len(r.Options) > 0 {
		if err := json.Unmarshal(r.Options, &o); err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
	}
	if names := was.NeedsRestart(o); len(names) > 0 {
		return nil, status.Errorf(codes.InvalidArgument, "set options of %s: %s can't be changed while the job runs", r.Job, strings.Join(names, ", "))
	}
	return &wire.SetOptionsResponse{Options: mustJSON(o)}, nil
}

func (f *fakeCluster) RestartJob(_ context.Context, r *wire.RestartJobRequest) (*wire.RestartJobResponse, error) {
	job := f.canned.job[r.Job]
	switch {
	case job == nil:
		return nil, noJob(r.Job)
	case job.Summary.Status == "failed":
		return nil, status.Errorf(codes.FailedPrecondition, "restart %s, which is failed: the job has ended", r.Job)
	}
	return &wire.RestartJobResponse{Attempt: job.Summary.Attempt + 1}, nil
}

func (f *fakeCluster) JobLogs(_ context.Context, r *wire.JobLogsRequest) (*wire.JobLogsResponse, error) {
	if f.canned.job[r.Job] == nil {
		return nil, noJob(r.Job)
	}
	return f.canned.logs, nil
}

func (f *fakeCluster) ListCheckpoints(_ context.Context, r *wire.ListCheckpointsRequest) (*wire.ListCheckpointsResponse, error) {
	if f.canned.job[r.Job] == nil {
		return nil, noJob(r.Job)
	}
	list := proto.CloneOf(f.canned.checkpoints)
	if n := int(r.Limit); n > 0 && n < len(list.Checkpoints) {
		list.LeftOut = int32(len(list.Checkpoints) - n)
		list.Checkpoints = list.Checkpoints[:n]
	}
	return list, nil
}

func (f *fakeCluster) GetCheckpoint(_ context.Context, r *wire.GetCheckpointRequest) (*wire.GetCheckpointResponse, error) {
	id := r.Checkpoint
	if id == 0 {
		id = 42 // the one in flight
	}
	if k := f.canned.checkpoint[id]; k != nil {
		return k, nil
	}
	return nil, status.Errorf(codes.NotFound, "job %s, checkpoint %d: no such checkpoint", r.Job, r.Checkpoint)
}

func (f *fakeCluster) TriggerCheckpoint(_ context.Context, r *wire.TriggerCheckpointRequest) (*wire.TriggerCheckpointResponse, error) {
	if f.canned.job[r.Job] == nil {
		return nil, noJob(r.Job)
	}
	return &wire.TriggerCheckpointResponse{Checkpoint: 43}, nil
}

func (f *fakeCluster) DeleteCheckpoint(_ context.Context, r *wire.DeleteCheckpointRequest) (*wire.DeleteCheckpointResponse, error) {
	if r.Checkpoint == 41 {
		return nil, status.Errorf(codes.FailedPrecondition, "delete checkpoint 41 of job %s: it is the newest completed one of a job that has not ended", r.Job)
	}
	return &wire.DeleteCheckpointResponse{}, nil
}

func (f *fakeCluster) PinCheckpoint(_ context.Context, r *wire.PinCheckpointRequest) (*wire.PinCheckpointResponse, error) {
	if f.canned.checkpoint[r.Checkpoint] == nil {
		return nil, status.Errorf(codes.NotFound, "pin checkpoint %d of job %s: no such checkpoint", r.Checkpoint, r.Job)
	}
	return &wire.PinCheckpointResponse{}, nil
}

func (f *fakeCluster) WhyObject(_ context.Context, r *wire.WhyObjectRequest) (*wire.WhyObjectResponse, error) {
	if why := f.canned.why[r.Key]; why != nil {
		return why, nil
	}
	return &wire.WhyObjectResponse{Kind: "unknown", Fate: "there is no such object in the bucket"}, nil
}

func (f *fakeCluster) CollectGarbage(_ context.Context, r *wire.CollectGarbageRequest) (*wire.CollectGarbageResponse, error) {
	found := proto.CloneOf(f.canned.garbage)
	if !r.DryRun {
		found.Deleted = found.Garbage
	}
	return found, nil
}

func (f *fakeCluster) SubmitJob(_ context.Context, r *wire.SubmitJobRequest) (*wire.SubmitJobResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.artifacts[r.ArtifactSha256] {
		return nil, status.Error(codes.FailedPrecondition, "artifact is not in file:///bucket: put it first")
	}
	if r.Name == "keyless" {
		return nil, status.Error(codes.InvalidArgument, "the program refused to plan: operator \"count\" is stateful and has no uid")
	}
	return &wire.SubmitJobResponse{Job: r.Name + "-x1y2z3"}, nil
}

func (f *fakeCluster) PutArtifact(stream grpc.ClientStreamingServer[wire.ArtifactChunk, wire.PutArtifactResponse]) error {
	var sum string
	var got, want int64
	for {
		chunk, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		sum, got, want = chunk.Sha256, got+int64(len(chunk.Data)), chunk.Size
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, fmt.Sprintf("PutArtifact whole=%t", got == want))
	f.artifacts[sum] = true
	return stream.SendAndClose(&wire.PutArtifactResponse{})
}
