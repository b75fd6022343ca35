package worker

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// jobOrdersMax bounds what waits for a job's goroutine, which waits itself only
// while it fetches an artifact or ends a process.
const jobOrdersMax = 256

// job is a job on this machine. Its goroutine (run) owns its process and takes
// the leader's orders one after the other.
type job struct {
	id     dataflow.JobID
	agent  *agent
	log    *slog.Logger
	orders chan *wire.LeaderMessage

	// Owned by run.
	child     *child
	output    *jobLog
	program   program          // of child
	attempt   dataflow.Attempt // the newest that was deployed here
	ended     dataflow.Attempt // this and earlier attempts never start again
	finishing bool             // a FinishCommits is under way

	// What a later order may interrupt.
	mu        sync.Mutex
	fetching  dataflow.Attempt
	interrupt context.CancelFunc
}

func newJob(a *agent, id dataflow.JobID, ended dataflow.Attempt) *job {
	return &job{id: id, agent: a, log: a.log.With("job", id), ended: ended,
		orders: make(chan *wire.LeaderMessage, jobOrdersMax)}
}

// enqueue hands an order over; false if too many wait. An order that ends the
// attempt whose artifact is being fetched interrupts that.
func (j *job) enqueue(m *wire.LeaderMessage) bool {
	select {
	case j.orders <- m:
	default:
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.interrupt == nil {
		return true
	}
	if s := m.GetStop(); s != nil && dataflow.Attempt(s.Attempt) >= j.fetching {
		j.interrupt()
	}
	if d := m.GetDeploy(); d != nil && dataflow.Attempt(d.Attempt) > j.fetching {
		j.interrupt()
	}
	return true
}

// run takes orders until the job will not run here again, or ctx ends: then
// its process goes at once.
func (j *job) run(ctx context.Context) {
	defer j.closeOutput()
	for {
		select {
		case <-ctx.Done():
			if j.child != nil {
				j.child.kill("the agent ends")
				<-j.child.exited
				j.dropChild()
			}
			return
		case <-j.exited():
			j.childGone()
		case m := <-j.orders:
			j.obey(ctx, m)
		}
		if j.agent.retire(j) {
			return
		}
	}
}

// exited is closed when the process is gone; nil without one.
func (j *job) exited() <-chan struct{} {
	if j.child == nil {
		return nil
	}
	return j.child.exited
}

func (j *job) obey(ctx context.Context, m *wire.LeaderMessage) {
	switch o := m.Body.(type) {
	case *wire.LeaderMessage_Deploy:
		j.deploy(ctx, o.Deploy)
	case *wire.LeaderMessage_FinishCommits:
		j.finishCommits(ctx, o.FinishCommits)
	case *wire.LeaderMessage_Stop:
		j.stop(ctx, o.Stop)
	case *wire.LeaderMessage_Start:
		j.pass(&wire.TaskOrder{Body: &wire.TaskOrder_Start{Start: o.Start}})
	case *wire.LeaderMessage_Trigger:
		j.pass(&wire.TaskOrder{Body: &wire.TaskOrder_Trigger{Trigger: o.Trigger}})
	case *wire.LeaderMessage_Outcome:
		j.agent.reports.settled(o.Outcome)
		j.pass(&wire.TaskOrder{Body: &wire.TaskOrder_Outcome{Outcome: o.Outcome}})
	case *wire.LeaderMessage_CommitsKnown:
		j.agent.reports.commitsKnown(o.CommitsKnown)
		j.pass(&wire.TaskOrder{Body: &wire.TaskOrder_CommitsKnown{CommitsKnown: o.CommitsKnown}})
	case *wire.LeaderMessage_SourceTimes:
		j.pass(&wire.TaskOrder{Body: &wire.TaskOrder_SourceTimes{SourceTimes: o.SourceTimes}})
	}
}

// pass gives an order to the process. Without one there is nothing to do: the
// leader hears of its end.
func (j *job) pass(o *wire.TaskOrder) {
	if j.child != nil {
		j.child.send(o)
	}
}

// deploy begins an attempt. A repeat is answered with what is known of it.
func (j *job) deploy(ctx context.Context, d *wire.Deploy) {
	attempt := dataflow.Attempt(d.Attempt)
	switch {
	case attempt == j.attempt:
		j.agent.reports.repeat(j.id)
		return
	case attempt <= max(j.ended, j.attempt):
		j.log.Warn("deployment of an ended attempt refused", "attempt", attempt, "newest", max(j.ended, j.attempt))
		if attempt > j.attempt { // else its leader is not the one that counts
			j.agent.reports.refused(j.id, attempt)
		}
		return
	case !placedHere(d.Placements, j.agent.cfg.ID, j.agent.incarnation):
		j.log.Warn("deployment for another start of this agent refused", "attempt", attempt)
		return
	}
	j.attempt, j.ended, j.finishing = attempt, attempt-1, false
	j.agent.reports.begin(&wire.ProcessStatus{Job: d.Job, Attempt: d.Attempt, State: wire.ProcessState_PROCESS_STATE_RESTORING})
	if j.ensureChild(ctx, program{d.ArtifactSha256, d.Args, d.Parallelism}) {
		j.pass(&wire.TaskOrder{Body: &wire.TaskOrder_Deploy{Deploy: d}})
	}
}

func placedHere(placements []*wire.Placement, worker string, incarnation dataflow.Incarnation) bool {
	return slices.ContainsFunc(placements, func(p *wire.Placement) bool {
		return p.Worker == worker && p.Incarnation == string(incarnation)
	})
}

// finishCommits has a process commit what the job still owes, without running
// its operators; it starts one if there is none.
func (j *job) finishCommits(ctx context.Context, f *wire.FinishCommits) {
	if attempt := dataflow.Attempt(f.Attempt); attempt > j.attempt {
		j.attempt, j.ended = attempt, attempt
		j.finishing = false
	}
	if j.finishing && j.child != nil {
		j.agent.reports.repeat(j.id) // with the CommitDone, if it is done
		return
	}
	j.agent.reports.begin(&wire.ProcessStatus{Job: f.Job, Attempt: f.Attempt, State: wire.ProcessState_PROCESS_STATE_STOPPED})
	j.finishing = true
	if j.ensureChild(ctx, program{f.ArtifactSha256, f.Args, f.Parallelism}) {
		j.pass(&wire.TaskOrder{Body: &wire.TaskOrder_FinishCommits{FinishCommits: f}})
	}
}

// stop ends the attempts up to the order's. With end_process the process ends
// as well, and the job is forgotten but for its highest attempt.
func (j *job) stop(ctx context.Context, s *wire.Stop) {
	last := dataflow.Attempt(s.Attempt)
	j.ended = max(j.ended, last)
	if !s.EndProcess || j.attempt > last {
		if j.child == nil {
			j.agent.reports.stopped(j.id, last)
		}
		j.pass(&wire.TaskOrder{Body: &wire.TaskOrder_Stop{Stop: &wire.Stop{
			Job: s.Job, Attempt: s.Attempt, Reason: s.Reason}}})
		return
	}
	if j.child != nil {
		j.child.end(ctx, s)
		j.dropChild()
	}
	j.finishing = false
	j.agent.reports.stopped(j.id, last)
	j.agent.reports.forget(j.id)
	j.agent.forgetState(j.id, s)
}

// ensureChild makes sure that a process of this program runs. If it can not,
// it reports why and returns false.
func (j *job) ensureChild(ctx context.Context, p program) bool {
	if j.child != nil && !j.program.equal(p) {
		j.child.end(ctx, &wire.Stop{Job: string(j.id), Attempt: uint64(j.ended), EndProcess: true, Reason: "another program"})
		j.dropChild()
	}
	if j.child != nil {
		return true
	}
	if err := j.startChild(ctx, p); err != nil {
		j.log.Error("job process not started", "attempt", j.attempt, "error", err)
		j.agent.reports.fail(j.id, err.Error(), "") // the leader names the worker
		return false
	}
	return true
}

func (j *job) startChild(ctx context.Context, p program) (err error) {
	path, err := j.fetch(ctx, p.artifact)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			j.releaseArtifact(p.artifact)
		}
	}()
	work := j.agent.dir.file("jobs", string(j.id), "work")
	if err := os.MkdirAll(work, 0o755); err != nil {
		return fmt.Errorf("make the working directory: %w", err)
	}
	if j.output == nil {
		if j.output, err = openJobLog(j.agent.dir.jobDir(j.id)); err != nil {
			return err
		}
	}
	c, err := startChild(childConfig{
		job: j.id, path: path, program: p, dir: work, socket: j.agent.nextSocket(),
		welcome: j.agent.taskWelcome(j.id), log: j.output, spawner: j.agent.spawner,
		heard: func(m *wire.TaskMessage) { j.agent.reports.heard(j.id, m) },
	})
	if err != nil {
		return err
	}
	j.child, j.program = c, p
	j.agent.metrics.started.Inc()
	j.log.Info("job process started", "attempt", j.attempt, "pid", c.cmd.Process.Pid)
	return nil
}

// fetch brings the artifact here. A later order may interrupt it.
func (j *job) fetch(ctx context.Context, artifact string) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	j.setInterrupt(cancel)
	defer j.setInterrupt(nil)
	return j.agent.artifacts.acquire(ctx, artifact)
}

func (j *job) setInterrupt(cancel context.CancelFunc) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.fetching, j.interrupt = j.attempt, cancel
}

// childGone tells the leader that the process ended by itself.
func (j *job) childGone() {
	reason, stack := j.child.lastWords()
	j.log.Error("job process gone", "attempt", j.attempt, "reason", reason)
	status := j.agent.reports.status(j.id)
	if j.finishing || status != nil && !over(status) {
		j.agent.reports.fail(j.id, reason, stack)
	}
	j.finishing = false
	j.dropChild()
}

// dropChild clears away after a process that is gone. Its log stays.
func (j *job) dropChild() {
	j.child = nil
	j.agent.metrics.ended.Inc()
	j.closeOutput()
	j.releaseArtifact(j.program.artifact)
	if err := os.RemoveAll(j.agent.dir.file("jobs", string(j.id), "work")); err != nil {
		j.log.Warn("working directory not removed", "error", err)
	}
}

func (j *job) closeOutput() {
	if j.output == nil {
		return
	}
	if err := j.output.Close(); err != nil {
		j.log.Warn("job log not closed", "error", err)
	}
	j.output = nil
}

func (j *job) releaseArtifact(artifact string) {
	if err := j.agent.artifacts.release(artifact); err != nil {
		j.log.Warn("old artifacts not removed", "error", err)
	}
}
