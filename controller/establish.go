package controller

import (
	"context"
	"fmt"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/coordinator"
)

// establish commits the term's first entry, which names the cluster if nobody
// has, and claims the bucket for it. Nothing else is proposed before.
func (l *leader) establish(ctx context.Context) error {
	_, err := l.commit(ctx, &ledger.LeaderEstablished{
		Header: l.header(""), Controller: l.cfg.ID,
		Cluster: "c-" + freshKey(), ObjectStore: l.bucket.URL(), // used by the very first only
	})
	if err != nil {
		return fmt.Errorf("establish leadership: %w", err)
	}
	if err := l.claim(ctx); err != nil {
		return fmt.Errorf("bucket of cluster %s: %w", l.cluster(), err)
	}
	if err := l.announceSelf(ctx); err != nil {
		return fmt.Errorf("announce: %w", err)
	}
	l.log.Info("leading", "cluster", l.cluster())
	return nil
}

// takeOver rebuilds what the loop knows from the ledger, and gives the agents
// their time to report. Counted from here, by the monotonic clock.
func (l *leader) takeOver() {
	for _, record := range l.records() {
		if !record.Status.Terminal() {
			l.adoptJob(record)
		}
	}
	l.settling = l.agenda.after(l.cfg.RegisterGrace, l.settle)
	l.settleIfComplete()
	l.agenda.after(sweepEvery, l.sweep)
}

// sweep takes up what is in the ledger and nobody told the loop of.
func (l *leader) sweep() {
	for _, record := range l.records() {
		j := l.jobs[record.ID]
		if j == nil && !record.Status.Terminal() {
			j = l.adoptJob(record)
		}
		if j != nil && j.seen != record {
			l.drive(j)
		}
	}
	l.keepSavepoints()
	l.agenda.after(sweepEvery, l.sweep)
}

// settleIfComplete ends the registration grace early: every live incarnation
// that Raft knows has attached.
func (l *leader) settleIfComplete() {
	if l.settled {
		return
	}
	for _, known := range l.liveWorkers() {
		w := l.workers[known.ID]
		if w == nil || w.incarnation != known.Incarnation {
			return
		}
	}
	l.settle()
}

// settle ends the registration grace: who has not attached by now is lost.
func (l *leader) settle() {
	if l.settled {
		return
	}
	l.settled = true
	l.agenda.cancel(l.settling)
	for _, known := range l.liveWorkers() {
		if w := l.workers[known.ID]; w == nil || w.incarnation != known.Incarnation {
			l.endWorker(known.ID, known.Incarnation, "did not attach to the new leader")
		}
	}
	l.log.Info("workers settled", "workers", len(l.workers), "after", l.sinceBegan())
	l.driveAll()
	l.keepSavepoints()
}

// adoptJob makes a job of the ledger known to the loop.
func (l *leader) adoptJob(record *ledger.Job) *job {
	j := &job{id: record.ID, found: found(record), triggers: map[string][]chan<- triggered{}, wishes: map[string]coordinator.SavepointWish{}}
	l.jobs[record.ID] = j
	if e := record.Execution; e != nil {
		j.begin(e)
		if e.Ended {
			j.processes = nil
		}
		for _, p := range j.processes {
			p.brokenAt = l.began // until its agent attaches: who never does was lost before
		}
	}
	if record.Status == ledger.Restarting {
		l.scheduleRestart(j, record)
	}
	return j
}

// driveAll lets every job take its next step.
func (l *leader) driveAll() {
	for _, id := range l.jobIDs() {
		if j := l.jobs[id]; j != nil {
			l.drive(j)
		}
	}
}
