package controller

import (
	"time"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/scheduler"
	"github.com/cairnstream/cairn/wire"
)

// finishPause is how long a failed finishing of commits rests before another
// worker tries: the reason is most often the store behind the sink.
const finishPause = time.Second

// committed is up to which checkpoint this process's sinks have committed. A
// process that is deployed has finished its restore point's commits.
func (p *process) committed(restore dataflow.CheckpointID) dataflow.CheckpointID {
	if p.state == scheduler.Deployed || p.state == scheduler.Active {
		return max(p.commits, restore)
	}
	return p.commits
}

// confirmCommits has Raft record up to which checkpoint the sinks of all
// processes have committed, and then lets the processes forget it.
func (l *leader) confirmCommits(j *job) {
	record := l.record(j.id)
	if record == nil || j.confirming || len(j.processes) == 0 {
		return
	}
	upTo := j.processes[0].committed(j.restore)
	for _, p := range j.processes {
		upTo = min(upTo, p.committed(j.restore))
	}
	if !record.Catalog.OwedUpTo(upTo) {
		l.commitsKnown(j, upTo) // nothing that Raft has to hold
		return
	}
	l.confirm(j, upTo)
}

func (l *leader) confirm(j *job, upTo dataflow.CheckpointID) {
	j.confirming = true
	cmd := &ledger.ConfirmCommits{Header: l.header(""), Job: j.id, ID: upTo}
	l.propose(cmd, func(_ any, err error) {
		j.confirming = false
		if err != nil {
			l.jobLog(j).Warn("confirm commits", "checkpoint", upTo, "err", err)
			return
		}
		l.commitsKnown(j, upTo)
		if record := l.record(j.id); record != nil && record.Status.Terminal() {
			l.passed(StepStopCommitsDone)
		}
		l.wakeCollector()
		l.drive(j)          // it may have been the last thing that the job waited for
		l.confirmCommits(j) // more may have come meanwhile
	})
}

// commitsKnown lets the processes forget what they keep of commits up to id.
func (l *leader) commitsKnown(j *job, id dataflow.CheckpointID) {
	if id == 0 {
		return
	}
	for _, p := range j.processes {
		if p.commits == 0 || p.known >= id {
			continue
		}
		if l.order(p.worker, p.incarnation, &wire.LeaderMessage{Body: &wire.LeaderMessage_CommitsKnown{CommitsKnown: &wire.CommitsKnown{
			Job: string(j.id), Attempt: uint64(j.attempt), Checkpoint: uint64(id),
		}}}) {
			p.known = id
		}
	}
}

// lastCommitsKnown tells the processes of a job that has ended, before they are
// told to stop, that all its commits are known: what made them repeatable goes.
func (l *leader) lastCommitsKnown(j *job) {
	record := l.record(j.id)
	if record == nil || record.Catalog.Owed() != nil {
		return
	}
	id, _ := commitTip(record)
	l.commitsKnown(j, max(id, record.Committed))
}

// windDown sees to the end of a job that will not run again but owes sink
// commits (I5). A finishing job's own processes commit; when one of them is
// lost, and for a cancelled or failed job, any worker does it from the
// checkpoint's metadata.
func (l *leader) windDown(j *job, record *ledger.Job) {
	l.stopCoordinating(j)
	if record.Status == ledger.Finishing && len(j.processes) > 0 {
		verdict := scheduler.Adopt(j.previous, l.reports(j), true, l.settled)
		if verdict.Decision != scheduler.Fail {
			l.confirmCommits(j)
			return
		}
		l.loseFinishing(j, verdict.Reason)
		return
	}
	l.stopEverywhere(j, true, "the job runs no more")
	owed := record.Catalog.Owed()
	if owed == nil || !l.settled || j.finisher != nil || j.retry != nil {
		return
	}
	for _, w := range l.sortedWorkers() {
		if w.attached() && w.platform == record.Platform {
			l.finishOn(j, record, w)
			return
		}
	}
}

// loseFinishing records that a finishing job lost its processes: it does not
// run again, and any worker finishes its commits.
func (l *leader) loseFinishing(j *job, reason string) {
	cmd := &ledger.FailAttempt{Header: l.header(""), Job: j.id, Attempt: j.attempt, Reason: reason}
	l.proposeFor(j, cmd, "give up finishing attempt", func(any) { l.stopEverywhere(j, true, reason) })
}

// finishOn has a worker commit what is owed, without running operators.
func (l *leader) finishOn(j *job, record *ledger.Job, w *worker) {
	owed := record.Catalog.Owed()
	j.finisher = w.session
	l.jobLog(j).Info("finishing commits", "checkpoint", owed.ID, "worker", w.id)
	w.session.send(l.term, &wire.LeaderMessage{Body: &wire.LeaderMessage_FinishCommits{FinishCommits: &wire.FinishCommits{
		Job: string(j.id), Attempt: uint64(attemptOf(record)), Checkpoint: uint64(owed.ID),
		ArtifactSha256: record.Artifact, Args: record.Args, Parallelism: int32(record.Parallelism),
		MetadataKey: owed.Metadata.Key, MetadataSize: owed.Metadata.Size, MetadataSha256: owed.Metadata.SHA256,
	}}})
	l.passed(StepStopCommitsOrdered)
}

// finisherFailed lets another worker try after a pause.
func (l *leader) finisherFailed(j *job, reason string) {
	l.jobLog(j).Warn("finish commits", "err", reason)
	j.finisher = nil
	l.agenda.cancel(j.retry)
	j.retry = l.agenda.after(finishPause, func() {
		j.retry = nil
		l.drive(j)
	})
}

// takeCommitDone takes a process's word that its sinks have committed.
func (l *leader) takeCommitDone(s *session, m *wire.CommitDone) {
	j := l.jobs[dataflow.JobID(m.Job)]
	if j == nil {
		return
	}
	if j.finisher == s {
		l.confirm(j, dataflow.CheckpointID(m.Checkpoint))
		return
	}
	p := j.process(s.worker, s.incarnation)
	if p == nil || dataflow.Attempt(m.Attempt) != j.attempt {
		return
	}
	p.commits = max(p.commits, dataflow.CheckpointID(m.Checkpoint))
	l.confirmCommits(j)
}
