package controller

import (
	"time"

	"github.com/cairnstream/cairn/coordinator"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/scheduler"
	"github.com/cairnstream/cairn/wire"
)

// takeReports takes what an agent says in its Hello: all that runs there. What
// it does not name does not run there.
func (l *leader) takeReports(s *session, reports []*wire.ProcessReport) {
	var told []*job
	for _, j := range l.jobs {
		if p := j.process(s.worker, s.incarnation); p != nil {
			p.heard, p.brokenAt, p.known = true, time.Time{}, 0
			if p.state != scheduler.Broken {
				p.state = scheduler.Absent
			}
		}
	}
	for _, r := range reports { // first all of them: to drive one job may drive the others
		if j := l.noteStatus(s, r.GetStatus()); j != nil {
			told = append(told, j)
		}
	}
	for _, r := range reports {
		for _, ack := range r.Acks {
			l.takeAck(s, ack)
		}
		for _, decline := range r.Declines {
			l.takeDecline(s, decline)
		}
		for _, done := range r.Commits {
			l.takeCommitDone(s, done)
		}
	}
	for _, j := range told {
		l.drive(j)
	}
	for _, j := range l.jobs {
		if p := j.process(s.worker, s.incarnation); p != nil {
			l.repeatOrders(j, p)
		}
	}
}

// repeatOrders says again what a session that broke, or a leader that died, may
// not have said: the triggers in flight and the newest outcomes.
func (l *leader) repeatOrders(j *job, p *process) {
	record := l.record(j.id)
	if record == nil || p.state != scheduler.Active {
		return
	}
	if id, attempt := commitTip(record); id != 0 && attempt == j.attempt {
		l.sendOutcome(j, p, id, wire.OutcomeKind_OUTCOME_KIND_COMPLETED, "")
		p.settle(id)
	}
	l.repeatSavepoints(j, p, record)
	pending := map[dataflow.CheckpointID]bool{}
	for _, c := range record.Pending {
		pending[c.ID] = true
	}
	if j.coordinating { // otherwise coord tells all of them once it knows who runs
		for _, t := range j.coord.Triggers() {
			l.sendTrigger(j, p, t)
		}
	}
	for id := range p.acks {
		if !pending[id] {
			l.sendOutcome(j, p, id, wire.OutcomeKind_OUTCOME_KIND_ABORTED, "ended while nobody led")
			delete(p.acks, id)
		}
	}
	if record.Committed > 0 && p.commits > 0 {
		l.commitsKnown(j, min(record.Committed, p.commits))
	}
}

// takeStatus takes the state of an attempt in one process.
func (l *leader) takeStatus(s *session, status *wire.ProcessStatus) {
	if j := l.noteStatus(s, status); j != nil {
		l.drive(j)
	}
}

// noteStatus notes the state of an attempt in one process, and returns the job
// that may have a next step now. What belongs to an attempt that is over is told
// to stop; nothing else comes of it.
func (l *leader) noteStatus(s *session, status *wire.ProcessStatus) *job {
	if status == nil {
		return nil
	}
	id, attempt := dataflow.JobID(status.Job), dataflow.Attempt(status.Attempt)
	j := l.jobs[id]
	if j != nil && j.finisher == s {
		if status.State == wire.ProcessState_PROCESS_STATE_FAILED {
			l.finisherFailed(j, status.Reason)
		}
		return nil
	}
	if j == nil {
		l.stopStray(s, status, true, "the job does not run")
		return nil
	}
	p := j.process(s.worker, s.incarnation)
	if p == nil || attempt != j.attempt {
		record := l.record(id)
		l.stopStray(s, status, record == nil || record.Status.Ending(), "the attempt is over")
		return nil
	}
	p.take(status)
	if p.endOfData {
		l.step(j, coordinator.EndOfData{Process: p.nonce()})
	}
	return j
}

// stopStray ends what runs without an attempt to belong to.
func (l *leader) stopStray(s *session, status *wire.ProcessStatus, endProcess bool, reason string) {
	ended := status.State == wire.ProcessState_PROCESS_STATE_FAILED || status.State == wire.ProcessState_PROCESS_STATE_STOPPED
	if ended && !endProcess {
		return
	}
	if status.State == wire.ProcessState_PROCESS_STATE_STOPPED && status.ProcessGone {
		return // this is what an agent answers
	}
	s.send(l.term, stopOrder(dataflow.JobID(status.Job), dataflow.Attempt(status.Attempt), endProcess, reason))
}

// take notes the latest state. A share that broke stays broken.
func (p *process) take(status *wire.ProcessStatus) {
	if p.state == scheduler.Broken {
		return
	}
	p.heard, p.status = true, status
	switch status.State {
	case wire.ProcessState_PROCESS_STATE_RESTORING:
		p.state = scheduler.Restoring
	case wire.ProcessState_PROCESS_STATE_DEPLOYED:
		p.state = scheduler.Deployed
	case wire.ProcessState_PROCESS_STATE_RUNNING:
		p.state = scheduler.Active
	case wire.ProcessState_PROCESS_STATE_END_OF_DATA:
		p.state, p.endOfData = scheduler.Active, true
	case wire.ProcessState_PROCESS_STATE_FAILED, wire.ProcessState_PROCESS_STATE_STOPPED:
		p.state, p.brokenAt = scheduler.Broken, time.Now()
	}
}

// takeAck takes a process's part of a checkpoint. One of another attempt
// changes nothing.
func (l *leader) takeAck(s *session, ack *wire.CheckpointAck) {
	j, p := l.share(s, ack.Job, ack.Attempt)
	if p == nil {
		return
	}
	id := dataflow.CheckpointID(ack.Checkpoint)
	part, err := parsePart(ack)
	if err != nil {
		l.jobLog(j).Error("acknowledgement", "checkpoint", id, "worker", s.worker, "err", err)
		l.step(j, coordinator.Decline{ID: id, Process: p.nonce(), Reason: "unreadable acknowledgement: " + err.Error()})
		return
	}
	p.acks[id] = part
	l.step(j, coordinator.Ack{ID: id, Process: dataflow.Incarnation(ack.Process), Part: part})
}

func (l *leader) takeDecline(s *session, m *wire.CheckpointDecline) {
	j, p := l.share(s, m.Job, m.Attempt)
	if p == nil {
		return
	}
	id := dataflow.CheckpointID(m.Checkpoint)
	p.declines[id] = decline{m.Reason, m.Store}
	l.step(j, coordinator.Decline{ID: id, Process: dataflow.Incarnation(m.Process), Reason: m.Reason, Store: m.Store})
}

// takeStats takes what a process has done. One whose changes have waited for the
// object store for longer than lagMax waits for the store and for nothing else.
func (l *leader) takeStats(s *session, stats *wire.ProcessStats) {
	j, p := l.share(s, stats.Job, stats.Attempt)
	if p == nil {
		return
	}
	p.stats = stats
	if behind := stats.LagMs > lagMax.Milliseconds(); behind != p.behind {
		p.behind = behind
		l.step(j, coordinator.Lagging{Process: p.nonce(), Behind: behind})
	}
	l.tellVolume(j, p)
}

// tellVolume tells the coordinator what the process's sources have read.
func (l *leader) tellVolume(j *job, p *process) {
	if s := p.stats; s.GetSourceRecords() > 0 || s.GetSourceBytes() > 0 || s.GetBacklog() {
		l.step(j, coordinator.Volume{Process: p.nonce(), Records: s.SourceRecords, Bytes: s.SourceBytes, Backlog: s.Backlog})
	}
}

// share is the share of the current attempt that a message of this session
// speaks of, or nil.
func (l *leader) share(s *session, id string, attempt uint64) (*job, *process) {
	j := l.jobs[dataflow.JobID(id)]
	if j == nil || j.attempt != dataflow.Attempt(attempt) {
		return nil, nil
	}
	return j, j.process(s.worker, s.incarnation)
}
