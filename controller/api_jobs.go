package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/scheduler"
	"github.com/cairnstream/cairn/wire"
)

// ListJobs lists all jobs, by id.
func (s controlService) ListJobs(ctx context.Context, _ *wire.ListJobsRequest) (*wire.ListJobsResponse, error) {
	l, err := s.reading(ctx)
	if err != nil {
		return nil, statusOf(err)
	}
	response := &wire.ListJobsResponse{}
	for _, record := range l.records() {
		response.Jobs = append(response.Jobs, summary(record))
	}
	return response, nil
}

func summary(record *ledger.Job) *wire.JobSummary {
	v := &wire.JobSummary{
		Id: string(record.ID), Name: record.Name, Status: string(record.Status), Reason: record.Reason,
		Attempt: uint64(attemptOf(record)), SubmittedUnixMs: record.SubmittedAt, Restarts: int32(record.Restarts),
		Origin: described(record),
	}
	if newest := record.Catalog.Newest(); newest != nil {
		v.LastCheckpoint = uint64(newest.ID)
	}
	for _, h := range slices.Backward(record.History) {
		if uint64(h.ID) == v.LastCheckpoint {
			v.LastCheckpointUnixMs = h.EndedAt
			break
		}
	}
	if graph, _, err := decodeGraph(record.Graph); err == nil {
		for _, o := range graph.Operators {
			v.Parallelism = max(v.Parallelism, int32(o.Parallelism))
		}
	}
	return v
}

// GetJob tells all of one job: its record, and what its processes reported.
func (s controlService) GetJob(ctx context.Context, r *wire.GetJobRequest) (*wire.GetJobResponse, error) {
	l, record, err := s.job(ctx, r.Job)
	if err != nil {
		return nil, statusOf(err)
	}
	view, err := jobView(record)
	if err != nil {
		return nil, statusOf(err)
	}
	_, err = inLoop(ctx, l, func() (struct{}, error) {
		if j := l.jobs[record.ID]; j != nil {
			j.describe(view)
		}
		return struct{}{}, nil
	})
	return view, statusOf(err)
}

// jobView is what the record alone tells.
func jobView(record *ledger.Job) (*wire.GetJobResponse, error) {
	options, err := json.Marshal(record.Options.WithDefaults())
	if err != nil {
		return nil, fmt.Errorf("options of job %s: %w", record.ID, err)
	}
	v := &wire.GetJobResponse{
		Summary: summary(record), Graph: record.Graph, Options: options, ArtifactSha256: record.Artifact, Args: record.Args,
		Damage: damageView(record), Origin: described(record), Upgrade: upgradeText(record, time.Now()),
	}
	if record.Status == ledger.Restarting {
		v.RestartAtUnixMs = record.NotBefore
	}
	failures := slices.SortedStableFunc(slices.Values(record.Failures), func(a, b ledger.FailureRecord) int { return int(b.At - a.At) })
	for _, f := range failures {
		v.Failures = append(v.Failures, &wire.Failure{AtUnixMs: f.At, Attempt: uint64(f.Attempt), Reason: f.Reason, Stack: f.Stack})
	}
	if _, plan, err := decodeGraph(record.Graph); err == nil {
		for _, vertex := range plan.Vertices {
			uids := make([]string, len(vertex.Operators))
			for i, uid := range vertex.Operators {
				uids[i] = string(uid)
			}
			v.OperatorsByVertex = append(v.OperatorsByVertex, strings.Join(uids, " -> "))
		}
	}
	return v, nil
}

// describe adds what the loop knows: where subtasks run and what they report.
func (j *job) describe(v *wire.GetJobResponse) {
	v.SlotsMissing = int32(j.slotsMissing)
	for _, p := range j.processes {
		if p.stats != nil {
			v.Stats = append(v.Stats, p.stats)
		}
		if p.state == scheduler.Restoring {
			v.Restores = append(v.Restores, p.restoreView())
		}
		for _, t := range p.tasks {
			subtask := &wire.Subtask{Vertex: int32(t.Vertex), Index: int32(t.Subtask)}
			v.Subtasks = append(v.Subtasks, &wire.SubtaskView{
				Subtask: subtask, Worker: string(p.worker), Process: string(p.nonce()), State: p.describeState(), Stats: p.statsOf(t),
			})
		}
	}
	slices.SortFunc(v.Subtasks, func(a, b *wire.SubtaskView) int {
		return taskID(a.Subtask).Compare(taskID(b.Subtask))
	})
}

func taskID(s *wire.Subtask) dataflow.TaskID {
	return dataflow.TaskID{Vertex: int(s.GetVertex()), Subtask: int(s.GetIndex())}
}

func (p *process) statsOf(t dataflow.TaskID) *wire.SubtaskStats {
	for _, s := range p.stats.GetSubtasks() {
		if taskID(s.Subtask) == t {
			return s
		}
	}
	return nil
}

// restoreView is how far the process has come with its state.
func (p *process) restoreView() *wire.RestoreView {
	return &wire.RestoreView{
		Worker: string(p.worker), Process: string(p.nonce()), DoneBytes: p.status.GetRestoredBytes(), TotalBytes: p.status.GetRestoreBytes(),
		LocalBytes: p.status.GetRestoredLocalBytes(), RemoteBytes: p.status.GetRestoredRemoteBytes(), LeftMs: p.status.GetRestoreLeftMs(),
	}
}

// describeState names the state of a process's subtasks, for people.
func (p *process) describeState() string {
	switch {
	case p.endOfData && p.state == scheduler.Active:
		return "end of data"
	case p.state == scheduler.Active:
		return "running"
	case p.state == scheduler.Deployed:
		return "deployed"
	case p.state == scheduler.Restoring:
		return "restoring"
	case p.state == scheduler.Broken:
		return "failed"
	}
	return "waiting"
}

// CancelJob ends a job for good. Cancelling what has ended changes nothing.
func (s controlService) CancelJob(ctx context.Context, r *wire.CancelJobRequest) (*wire.CancelJobResponse, error) {
	l, record, err := s.job(ctx, r.Job)
	if err != nil {
		return nil, statusOf(err)
	}
	result, err := l.commit(ctx, &ledger.CancelJob{Header: l.header(r.Key), Job: record.ID})
	if err != nil {
		return nil, statusOf(fmt.Errorf("cancel %s: %w", record.ID, err))
	}
	l.post(context.WithoutCancel(ctx), func() {
		if j := l.jobs[record.ID]; j != nil {
			l.drive(j)
		}
	})
	cancelled, ok := result.(*ledger.Job)
	if !ok {
		return nil, statusOf(fmt.Errorf("cancel %s: apply answered %T", record.ID, result))
	}
	return &wire.CancelJobResponse{Status: string(cancelled.Status)}, nil
}

// RestartJob ends the current attempt and starts the next one at once, from the
// newest checkpoint. A job that waits for its restart does not wait any longer. One
// that is suspended may also go on from an older checkpoint.
func (s controlService) RestartJob(ctx context.Context, r *wire.RestartJobRequest) (*wire.RestartJobResponse, error) {
	l, record, err := s.job(ctx, r.Job)
	if err != nil {
		return nil, statusOf(err)
	}
	if record.Status == ledger.Suspended || r.FromCheckpoint != 0 { // Apply decides, and knows a repetition
		response, err := l.resume(ctx, record, r)
		return response, statusOf(err)
	}
	if !record.Status.Active() {
		return nil, statusOf(fmt.Errorf("it is %s: %w", record.Status, ledger.ErrJobEnded))
	}
	attempt := attemptOf(record)
	if record.Status == ledger.Deploying || record.Status == ledger.Running {
		now := time.Now()
		_, err := l.commit(ctx, &ledger.FailAttempt{
			Header: l.header(r.Key), Job: record.ID, Attempt: attempt, Reason: "restart was asked for",
			NotBefore: now.UnixMilli(), FailuresInRow: record.FailuresInRow,
		})
		if err != nil {
			return nil, statusOf(err)
		}
	}
	_, err = inLoop(ctx, l, func() (struct{}, error) { l.restartNow(record.ID, attempt); return struct{}{}, nil })
	return &wire.RestartJobResponse{Attempt: uint64(attempt) + 1}, statusOf(err)
}

// restartNow stops what is left of an attempt that Raft has ended, and places
// the next one without delay. The loop may have done so already.
func (l *leader) restartNow(id dataflow.JobID, attempt dataflow.Attempt) {
	j := l.jobs[id]
	if j == nil || j.attempt != attempt {
		return
	}
	l.stopCoordinating(j)
	l.stopEverywhere(j, false, "restart was asked for")
	l.agenda.cancel(j.restart)
	j.restart = nil
	l.drive(j)
}
