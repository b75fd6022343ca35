package controller

import (
	"context"
	"slices"
	"time"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// ClusterStatus tells who is there and who leads.
func (s controlService) ClusterStatus(ctx context.Context, _ *wire.ClusterStatusRequest) (*wire.ClusterStatusResponse, error) {
	l, err := s.reading(ctx)
	if err != nil {
		return nil, statusOf(err)
	}
	views, err := inLoop(ctx, l, func() ([]*wire.Worker, error) { return l.workerViews(), nil })
	if err != nil {
		return nil, statusOf(err)
	}
	status := &wire.ClusterStatusResponse{
		Cluster: l.cluster(), ObjectStore: l.bucket.URL(), Leader: l.cfg.ID, Term: uint64(l.term), Applied: s.c.applied(),
		Controllers: s.c.controllerViews(),
	}
	for _, w := range views {
		if w.State == workerConnected {
			status.Workers++
			status.Slots += w.Slots
			status.SlotsFree += w.SlotsFree
		}
	}
	for _, job := range l.records() {
		if job.Status == ledger.Running {
			status.JobsRunning++
		}
	}
	return status, nil
}

// controllerViews are the members as their leader sees them.
func (c *Controller) controllerViews() []*wire.Controller {
	var members map[string]ledger.Member
	c.ledger.View(func(s *ledger.State) {
		members = make(map[string]ledger.Member, len(s.Members))
		for id, m := range s.Members {
			members[id] = *m
		}
	})
	var views []*wire.Controller
	for _, p := range c.cfg.Peers {
		v := &wire.Controller{Id: p.ID, ApiAddress: p.API, RaftAddress: p.Raft, Version: members[p.ID].Build}
		if advertised := members[p.ID].APIAddress; advertised != "" {
			v.ApiAddress = advertised
		}
		if p.ID == c.cfg.ID {
			v.Leader, v.Reachable, v.Applied = true, true, c.applied()
		} else {
			last := c.contacts.of(p.ID)
			v.Reachable, v.Applied = c.reachable(p.ID, last.at), last.applied
		}
		views = append(views, v)
	}
	return views
}

// reachable tells whether a member answered lately: Raft's own contacts where
// they are known, else its announcements.
func (c *Controller) reachable(id string, announced time.Time) bool {
	if c.status != nil {
		for _, m := range c.status().Members {
			if m.ID == id && time.Since(m.Contact) < announceEvery {
				return true
			}
		}
	}
	return time.Since(announced) < 2*announceEvery && c.status == nil
}

// The states of a worker, for people.
const (
	workerConnected = "connected"
	workerLost      = "lost"  // its session broke; it may come back
	workerEnded     = "ended" // its incarnation is over
)

// ListWorkers lists all workers that the cluster remembers.
func (s controlService) ListWorkers(ctx context.Context, _ *wire.ListWorkersRequest) (*wire.ListWorkersResponse, error) {
	l, err := s.reading(ctx)
	if err != nil {
		return nil, statusOf(err)
	}
	views, err := inLoop(ctx, l, func() ([]*wire.Worker, error) { return l.workerViews(), nil })
	if err != nil {
		return nil, statusOf(err)
	}
	return &wire.ListWorkersResponse{Workers: views}, nil
}

// workerViews joins what Raft holds of the workers with their sessions.
func (l *leader) workerViews() []*wire.Worker {
	used := l.slotsUsed("")
	hosted := map[dataflow.WorkerID][]string{}
	for _, id := range l.jobIDs() {
		for _, p := range l.jobs[id].processes {
			hosted[p.worker] = append(hosted[p.worker], string(id))
		}
	}
	var views []*wire.Worker
	for _, known := range l.knownWorkers() {
		v := &wire.Worker{
			Id: string(known.ID), Incarnation: string(known.Incarnation), State: workerLost, Slots: int32(known.Slots),
			Platform: known.Platform, Host: known.Host, Version: known.Build, SinceUnixMs: known.Since,
		}
		w := l.workers[known.ID]
		switch {
		case known.Ended:
			v.State = workerEnded
		case w != nil && w.attached() && w.incarnation == known.Incarnation:
			v.State = workerConnected
			v.Jobs = slices.Clone(hosted[known.ID])
			v.SlotsFree = int32(max(0, known.Slots-used[known.ID]))
		}
		views = append(views, v)
	}
	return views
}
