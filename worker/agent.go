package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

var (
	// errOrderGap is returned when a session's orders are not consecutive.
	errOrderGap = errors.New("orders are missing")
	// errBusy is returned when a job's orders pile up here.
	errBusy = errors.New("orders pile up")
)

const (
	// endedMax bounds the memory of ended attempts. It is only for jobs that
	// were told to go for good; forgetting the oldest after so many leaves
	// them to the terms and the placements.
	endedMax = 10_000
	// logsKept is how many logs of jobs that do not run here are kept.
	logsKept = 64
)

// agent is one incarnation of a worker: what it has begun, and what it knows of
// it. When Raft has ended the incarnation, all of that ends with the agent, and
// the next one begins with nothing. So nothing of an ended incarnation can get
// into a session of the next: its reports, its processes, its ended attempts.
type agent struct {
	*machine
	incarnation dataflow.Incarnation
	log         *slog.Logger
	reports     *reports
	answering   chan struct{} // a token for each Plan and Logs under way
	writers     savepointWriters

	working sync.WaitGroup // jobs and answers

	mu      sync.Mutex
	jobs    map[dataflow.JobID]*job
	ended   map[dataflow.JobID]dataflow.Attempt // of jobs that are not in jobs
	endings []dataflow.JobID                    // of ended, oldest first
}

func newAgent(m *machine) *agent {
	incarnation := dataflow.NewIncarnation()
	return &agent{
		machine: m, incarnation: incarnation,
		log:     m.cfg.Log.With("worker", m.cfg.ID, "incarnation", incarnation),
		reports: newReports(), answering: make(chan struct{}, answersMax),
		jobs: map[dataflow.JobID]*job{}, ended: map[dataflow.JobID]dataflow.Attempt{},
	}
}

// run has sessions until ctx ends or this incarnation has (errEnded). It stops
// in this order: first the session, so that no order begins anything; then the
// jobs, whose processes it waits for.
func (a *agent) run(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	err := a.keepSession(ctx)
	end()
	a.working.Wait()
	return err
}

// obey gives an order to whom it concerns. It does not block.
func (a *agent) obey(ctx context.Context, m *wire.LeaderMessage) error {
	switch o := m.Body.(type) {
	case *wire.LeaderMessage_Plan:
		a.answer(ctx, func(ctx context.Context) *wire.AgentMessage { return a.plan(ctx, o.Plan) }, o.Plan.Request)
		return nil
	case *wire.LeaderMessage_WriteSavepoint:
		if id := dataflow.JobID(o.WriteSavepoint.Job); !safeName(id) {
			return fmt.Errorf("order for job %q: not a job's name", id)
		}
		a.writeSavepoint(ctx, o.WriteSavepoint)
		return nil
	case *wire.LeaderMessage_Logs:
		a.answer(ctx, func(context.Context) *wire.AgentMessage { return a.logs(o.Logs) }, o.Logs.Request)
		return nil
	}
	id, known := jobOf(m)
	if !known {
		return nil // of a later version of the protocol
	}
	if !safeName(id) {
		return fmt.Errorf("order for job %q: not a job's name", id)
	}
	return a.obeyJob(ctx, id, m)
}

// safeName keeps names that are no file names out of the data directory.
func safeName(id dataflow.JobID) bool {
	return id != "" && id != "." && id != ".." && filepath.Base(string(id)) == string(id)
}

func jobOf(m *wire.LeaderMessage) (dataflow.JobID, bool) {
	switch o := m.Body.(type) {
	case *wire.LeaderMessage_Deploy:
		return dataflow.JobID(o.Deploy.Job), true
	case *wire.LeaderMessage_Start:
		return dataflow.JobID(o.Start.Job), true
	case *wire.LeaderMessage_Stop:
		return dataflow.JobID(o.Stop.Job), true
	case *wire.LeaderMessage_Trigger:
		return dataflow.JobID(o.Trigger.Job), true
	case *wire.LeaderMessage_Outcome:
		return dataflow.JobID(o.Outcome.Job), true
	case *wire.LeaderMessage_CommitsKnown:
		return dataflow.JobID(o.CommitsKnown.Job), true
	case *wire.LeaderMessage_SourceTimes:
		return dataflow.JobID(o.SourceTimes.Job), true
	case *wire.LeaderMessage_FinishCommits:
		return dataflow.JobID(o.FinishCommits.Job), true
	}
	return "", false
}

// obeyJob queues an order for its job. Only what needs a process makes a job
// known here; the rest of an unknown job's orders has nothing to act on.
func (a *agent) obeyJob(ctx context.Context, id dataflow.JobID, m *wire.LeaderMessage) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	j := a.jobs[id]
	if j == nil {
		if stop := m.GetStop(); stop != nil {
			a.rememberLocked(id, dataflow.Attempt(stop.Attempt))
			a.reports.stopped(id, dataflow.Attempt(stop.Attempt))
			a.forgetState(id, stop)
		}
		if m.GetDeploy() == nil && m.GetFinishCommits() == nil {
			return nil
		}
		j = newJob(a, id, a.ended[id])
		a.jobs[id] = j
		a.working.Go(func() { j.run(ctx) })
	}
	if !j.enqueue(m) {
		return fmt.Errorf("job %s: %w", id, errBusy)
	}
	return nil
}

// retire ends a job's goroutine when it has no process, nothing to report and
// nothing to do. What must not be forgotten of it is its highest attempt.
func (a *agent) retire(j *job) bool {
	if j.child != nil || a.reports.status(j.id) != nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(j.orders) > 0 {
		return false
	}
	delete(a.jobs, j.id)
	a.rememberLocked(j.id, max(j.ended, j.attempt))
	a.pruneLogsLocked()
	return true
}

func (a *agent) rememberLocked(id dataflow.JobID, ended dataflow.Attempt) {
	if _, known := a.ended[id]; !known {
		a.endings = append(a.endings, id)
	}
	a.ended[id] = max(a.ended[id], ended)
	if len(a.endings) > endedMax {
		delete(a.ended, a.endings[0])
		a.endings = a.endings[1:]
	}
}

func (a *agent) pruneLogsLocked() {
	err := pruneOldest(a.dir.file("jobs"), logsKept, func(name string) bool { return a.jobs[dataflow.JobID(name)] != nil })
	if err != nil {
		a.log.Warn("old job logs not removed", "error", err)
	}
}

// taskWelcome is what a process of the job is told first.
func (a *agent) taskWelcome(job dataflow.JobID) *wire.TaskWelcome {
	w := &wire.TaskWelcome{
		Cluster: a.dir.cluster(), ObjectStore: a.artifacts.store(),
		Worker: a.cfg.ID, Incarnation: string(a.incarnation), Host: a.cfg.Host,
		StateDir: a.dir.stateDir(job),
	}
	if a.cfg.Trace {
		w.TraceFile = a.dir.file("trace.jsonl")
	}
	return w
}
