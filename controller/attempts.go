package controller

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/scheduler"
	"github.com/cairnstream/cairn/wire"
)

// supervise brings the current attempt to run and keeps it so: it deploys what
// is absent, starts what is deployed, and fails the attempt when a share of it
// is lost. For a new leader the same rules adopt what already runs.
func (l *leader) supervise(j *job, record *ledger.Job) {
	if err := j.decode(record); err != nil {
		l.jobLog(j).Error("graph of a submitted job", "err", err)
		return
	}
	running := record.Status == ledger.Running
	verdict := scheduler.Adopt(j.previous, l.reports(j), running, l.settled)
	switch verdict.Decision {
	case scheduler.Redeploy:
		l.deploy(j, record, verdict.Workers)
	case scheduler.Start:
		l.start(j, verdict.Workers)
	case scheduler.AllRunning:
		if running {
			l.coordinate(j, record)
			return
		}
		cmd := &ledger.AttemptRunning{Header: l.header(""), Job: j.id, Attempt: j.attempt}
		l.proposeFor(j, cmd, "record running attempt", func(any) { l.jobLog(j).Info("attempt running") })
	case scheduler.Fail:
		l.attemptFailed(j, record, verdict.Reason)
	}
}

// reports are what the agents said of the current attempt, and what Raft says
// of the agents.
func (l *leader) reports(j *job) []scheduler.Report {
	var reports []scheduler.Report
	for _, p := range j.processes {
		r := scheduler.Report{Worker: p.worker, Incarnation: p.incarnation, State: p.state, Tasks: p.tasks, Reason: p.status.GetReason()}
		switch {
		case l.incarnationEnded(p.worker, p.incarnation):
			r.State, r.Reason = scheduler.Broken, "lost"
		case !p.heard:
			continue
		case p.state == scheduler.Absent:
			r.Tasks = nil
		case len(p.status.GetSubtasks()) > 0:
			r.Tasks = tasksOf(p.status)
		}
		reports = append(reports, r)
	}
	return reports
}

func tasksOf(status *wire.ProcessStatus) []dataflow.TaskID {
	tasks := make([]dataflow.TaskID, len(status.Subtasks))
	for i, s := range status.Subtasks {
		tasks[i] = dataflow.TaskID{Vertex: int(s.Vertex), Subtask: int(s.Index)}
	}
	return tasks
}

// failure explains why the attempt is over and since when.
func (j *job) failure(verdict string) (reason, stack string, at time.Time) {
	at = time.Now()
	for _, p := range j.processes {
		if !p.brokenAt.IsZero() && p.brokenAt.Before(at) {
			at = p.brokenAt
		}
		if p.state == scheduler.Broken && stack == "" {
			stack = p.status.GetStack()
		}
	}
	return verdict, stack, at
}

// deploy orders the shares on these workers. A worker that is not attached
// gets its order when it is, because it will report the share as absent.
func (l *leader) deploy(j *job, record *ledger.Job, workers []dataflow.WorkerID) {
	order, err := deployment(l.cluster(), record)
	if err != nil {
		l.jobLog(j).Error("deploy", "err", err)
		return
	}
	for _, p := range j.on(workers) {
		if l.order(p.worker, p.incarnation, &wire.LeaderMessage{Body: &wire.LeaderMessage_Deploy{Deploy: order}}) {
			p.state = scheduler.Restoring
		}
	}
	if order.Restore != nil {
		l.passed(StepOriginDeployed)
	}
}

func deployment(cluster string, record *ledger.Job) (*wire.Deploy, error) {
	options, err := json.Marshal(record.Options.WithDefaults())
	if err != nil {
		return nil, fmt.Errorf("options of job %s: %w", record.ID, err)
	}
	e := record.Execution
	d := &wire.Deploy{
		Cluster: cluster, Job: string(record.ID), Attempt: uint64(e.Attempt),
		ArtifactSha256: record.Artifact, Args: record.Args, Graph: record.Graph, Options: options,
		RestoreCheckpoint: uint64(e.Restore), RestoreKey: e.Metadata.Key, RestoreSize: e.Metadata.Size, RestoreSha256: e.Metadata.SHA256,
		CommitsKnown: uint64(record.Committed), Parallelism: int32(record.Parallelism),
	}
	if e.Origin && record.Origin != nil {
		d.RestoreKey, d.RestoreSize, d.RestoreSha256 = "", 0, ""
		d.Restore = pointOf(record.Origin)
	} else if record.DropsState(e.Restore) {
		d.Restore = &wire.RestorePoint{AllowNonRestoredState: true} // without a key: of the job's own checkpoint
	}
	for _, p := range e.Placement {
		d.Placements = append(d.Placements, &wire.Placement{
			Subtask: &wire.Subtask{Vertex: int32(p.Task.Vertex), Index: int32(p.Task.Subtask)},
			Worker:  string(p.Worker), Incarnation: string(p.Incarnation),
		})
	}
	return d, nil
}

// start tells the deployed shares on these workers their peers, once a session.
func (l *leader) start(j *job, workers []dataflow.WorkerID) {
	start := &wire.Start{Job: string(j.id), Attempt: uint64(j.attempt)}
	for _, p := range j.processes {
		start.Peers = append(start.Peers, &wire.Peer{
			Worker: string(p.worker), Process: p.status.GetProcess(), ExchangeAddress: p.status.GetExchangeAddress(),
		})
	}
	for _, p := range j.on(workers) {
		w := l.workers[p.worker]
		if w == nil || w.session == p.startedIn {
			continue
		}
		if l.order(p.worker, p.incarnation, &wire.LeaderMessage{Body: &wire.LeaderMessage_Start{Start: start}}) {
			p.startedIn = w.session
		}
	}
}

// on are the shares on the given workers.
func (j *job) on(workers []dataflow.WorkerID) []*process {
	var on []*process
	for _, p := range j.processes {
		for _, w := range workers {
			if p.worker == w {
				on = append(on, p)
			}
		}
	}
	return on
}

// fail ends the current attempt. The delay before the next one counts from at,
// when the failure happened, not from when we were sure of it.
func (l *leader) fail(j *job, record *ledger.Job, reason, stack string, at time.Time) {
	delay, failures, giveUp := scheduler.NextRestart(record.Options.Restart, record.FailuresInRow, ranFor(record), rand.Float64())
	if giveUp {
		reason = fmt.Sprintf("%s (after %d failures in a row the restart strategy gives up)", reason, failures)
	}
	l.failWith(j, at, delay, &ledger.FailAttempt{
		Job: j.id, Attempt: j.attempt, Reason: reason, Stack: stack, Final: giveUp, FailuresInRow: failures,
	})
}

func (l *leader) failWith(j *job, at time.Time, delay time.Duration, cmd *ledger.FailAttempt) {
	cmd.Header = l.header("")
	cmd.NotBefore = at.Add(delay).UnixMilli()
	l.jobLog(j).Warn("attempt failed", "reason", cmd.Reason, "restart_in", delay, "final", cmd.Final)
	l.stopCoordinating(j)
	l.proposeFor(j, cmd, "fail attempt", func(any) {
		l.stopEverywhere(j, cmd.Final, cmd.Reason)
		l.wakeSweeper()
		l.restartIn(j, max(0, delay-time.Since(at)))
	})
}

// ranFor is how long all subtasks of the attempt ran. Both times are a
// leader's wall clock, perhaps not the same leader's: it decides nothing but
// whether the count of failures begins anew.
func ranFor(record *ledger.Job) time.Duration {
	if record.Status != ledger.Running || record.RunningSince == 0 {
		return 0
	}
	return max(0, time.Since(time.UnixMilli(record.RunningSince)))
}

// stopEverywhere orders the end of the attempt on all of its workers and
// forgets its shares. An agent that is away is told when it reports.
func (l *leader) stopEverywhere(j *job, endProcess bool, reason string) {
	for _, p := range j.processes {
		l.order(p.worker, p.incarnation, stopOrder(j.id, j.attempt, endProcess, reason))
	}
	if endProcess && !j.swept {
		j.swept = true
		l.endLeftovers(j)
	}
	j.processes = nil
}

// endLeftovers ends the task processes that were stopped without being ended,
// for a next attempt that never came: the job waited for its restart.
func (l *leader) endLeftovers(j *job) {
	told := map[dataflow.WorkerID]bool{}
	for _, p := range j.previous {
		if told[p.Worker] || j.process(p.Worker, p.Incarnation) != nil {
			continue
		}
		told[p.Worker] = true
		l.order(p.Worker, p.Incarnation, stopOrder(j.id, j.attempt, true, "the job runs no more"))
	}
}

func stopOrder(id dataflow.JobID, attempt dataflow.Attempt, endProcess bool, reason string) *wire.LeaderMessage {
	return &wire.LeaderMessage{Body: &wire.LeaderMessage_Stop{Stop: &wire.Stop{
		Job: string(id), Attempt: uint64(attempt), EndProcess: endProcess, Reason: reason,
	}}}
}
