package controller

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/scheduler"
	"github.com/cairnstream/cairn/wire"
)

// worker is an agent's incarnation that attached to this leader.
//
//	attached -> detached (the session broke) -> attached again
//	                                         -> lost: EndWorker
type worker struct {
	id          dataflow.WorkerID
	incarnation dataflow.Incarnation
	session     *session // nil while detached
	slots       int
	platform    string
	host        string
	loss        *appointment // ends the incarnation unless it attaches again
}

func (w *worker) attached() bool { return w.session != nil }

// register makes the agent's incarnation known to Raft. It is proposed for each
// session: the entry is idempotent, and refuses an incarnation that has ended.
func (l *leader) register(ctx context.Context, hello *wire.Hello) error {
	if cluster := l.cluster(); hello.Cluster != "" && hello.Cluster != cluster {
		return fmt.Errorf("belongs to cluster %s and this is %s; start it with another data directory: %w", hello.Cluster, cluster, errForeign)
	}
	if hello.HighestTerm > uint64(l.term) {
		return fmt.Errorf("has seen term %d: %w", hello.HighestTerm, errLeaderGone)
	}
	if hello.Slots < 1 {
		return fmt.Errorf("%d slots, want at least 1: %w", hello.Slots, errInvalid)
	}
	if l.incarnationEnded(dataflow.WorkerID(hello.Worker), dataflow.Incarnation(hello.Incarnation)) {
		return fmt.Errorf("incarnation %s: %w", hello.Incarnation, ledger.ErrEndedIncarnation) // Apply would say so too
	}
	_, err := l.commit(ctx, &ledger.RegisterWorker{
		Header: l.header(""), Worker: dataflow.WorkerID(hello.Worker), Incarnation: dataflow.Incarnation(hello.Incarnation),
		Slots: int(hello.Slots), Platform: hello.Platform, Host: hello.Host, Build: hello.Version,
	})
	return err
}

// welcome answers an agent's first word. Of the jobs that it keeps files of, it
// names those that will never run again.
func (l *leader) welcome(hello *wire.Hello) *wire.LeaderMessage {
	return &wire.LeaderMessage{Body: &wire.LeaderMessage_Welcome{Welcome: &wire.Welcome{
		Cluster: l.cluster(), Leader: l.cfg.ID, ObjectStore: l.bucket.URL(), HeartbeatMs: l.cfg.Heartbeat.Milliseconds(),
		EndedJobs: slices.DeleteFunc(slices.Clone(hello.KeptJobs), func(id string) bool {
			record := l.record(dataflow.JobID(id))
			return record != nil && !record.Status.Terminal()
		}),
	}}}
}

// attach begins a session: the agent is registered, and says what it runs.
func (l *leader) attach(s *session, hello *wire.Hello) {
	if l.incarnationEnded(s.worker, s.incarnation) { // since it registered
		s.cut(ledger.ErrEndedIncarnation)
		return
	}
	if old := l.workers[s.worker]; old != nil {
		l.agenda.cancel(old.loss)
		if old.attached() {
			old.session.cut(errReplaced)
			l.dropRequests(old.session)
		}
	}
	l.workers[s.worker] = &worker{
		id: s.worker, incarnation: s.incarnation, session: s,
		slots: int(hello.Slots), platform: hello.Platform, host: hello.Host,
	}
	l.log.Info("worker attached", "worker", s.worker, "incarnation", s.incarnation, "processes", len(hello.Processes))
	s.send(l.term, l.welcome(hello))
	l.takeReports(s, hello.Processes)
	l.settleIfComplete()
	l.driveAll() // slots came, an older incarnation may have ended
}

// detach ends a session. The worker has a grace time to come back.
func (l *leader) detach(s *session, cause error) {
	w := l.workers[s.worker]
	if w == nil || w.session != s {
		return
	}
	l.log.Info("session broke", "worker", w.id, "incarnation", w.incarnation, "reason", cause)
	w.session = nil
	for _, j := range l.jobs {
		if p := j.process(w.id, w.incarnation); p != nil {
			p.brokenAt = time.Now() // if it does not come back, this is when it was lost
		}
	}
	l.dropRequests(s)
	w.loss = l.agenda.after(l.cfg.WorkerGrace, func() { l.endWorker(w.id, w.incarnation, "session broke and did not come back") })
}

// endWorker has the incarnation ended by Raft; then its attempts fail.
func (l *leader) endWorker(id dataflow.WorkerID, incarnation dataflow.Incarnation, reason string) {
	l.log.Warn("worker lost", "worker", id, "incarnation", incarnation, "reason", reason)
	end := &ledger.EndWorker{Header: l.header(""), Worker: id, Incarnation: incarnation, Reason: reason}
	l.propose(end, func(_ any, err error) {
		if err != nil {
			l.log.Error("end worker", "worker", id, "err", err)
			return
		}
		if w := l.workers[id]; w != nil && w.incarnation == incarnation {
			if w.attached() { // it came back while the entry was under way: too late, it is dismissed next time
				w.session.cut(ledger.ErrEndedIncarnation)
				l.dropRequests(w.session)
			}
			delete(l.workers, id)
		}
		l.settleIfComplete()
		l.driveAll()
	})
}

// heard takes one message of a session. A session that was replaced says nothing.
func (l *leader) heard(s *session, m *wire.AgentMessage) {
	if w := l.workers[s.worker]; w == nil || w.session != s {
		return
	}
	switch body := m.Body.(type) {
	case *wire.AgentMessage_Status:
		l.takeStatus(s, body.Status)
	case *wire.AgentMessage_Ack:
		l.takeAck(s, body.Ack)
	case *wire.AgentMessage_Decline:
		l.takeDecline(s, body.Decline)
	case *wire.AgentMessage_CommitDone:
		l.takeCommitDone(s, body.CommitDone)
	case *wire.AgentMessage_Stats:
		l.takeStats(s, body.Stats)
	case *wire.AgentMessage_SourceTimes:
		l.takeSourceTimes(s, body.SourceTimes)
	case *wire.AgentMessage_SavepointWritten:
		l.takeSavepointWritten(s, body.SavepointWritten)
	case *wire.AgentMessage_PlanResult:
		l.answer(body.PlanResult.Request, m)
	case *wire.AgentMessage_LogsResult:
		l.answer(body.LogsResult.Request, m)
	}
}

// order sends an order to the worker's incarnation if it is attached; else it is
// dropped: what matters is repeated when the agent attaches.
func (l *leader) order(id dataflow.WorkerID, incarnation dataflow.Incarnation, m *wire.LeaderMessage) bool {
	w := l.workers[id]
	if w == nil || !w.attached() || w.incarnation != incarnation {
		return false
	}
	w.session.send(l.term, m)
	return true
}

// views are the workers on which a job can be placed. The slots that job
// itself uses count as free.
func (l *leader) views(job dataflow.JobID) []scheduler.WorkerView {
	used := l.slotsUsed(job)
	var views []scheduler.WorkerView
	for _, w := range l.sortedWorkers() {
		if w.attached() {
			views = append(views, scheduler.WorkerView{
				ID: w.id, Incarnation: w.incarnation, Platform: w.platform, SlotsFree: max(0, w.slots-used[w.id]),
			})
		}
	}
	return views
}

// slotsUsed counts the slots that jobs' executions take on each worker, except
// those of one job. Slot i of a job hosts subtask i of every vertex.
func (l *leader) slotsUsed(except dataflow.JobID) map[dataflow.WorkerID]int {
	used := map[dataflow.WorkerID]int{}
	for _, j := range l.jobs {
		if j.id == except {
			continue
		}
		for _, p := range j.processes {
			used[p.worker] += p.slots()
		}
	}
	return used
}

func (l *leader) sortedWorkers() []*worker {
	return slices.SortedFunc(maps.Values(l.workers), func(a, b *worker) int { return cmp.Compare(a.id, b.id) })
}
