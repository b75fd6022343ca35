package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/cairnstream/cairn/admin"
)

// HostConfig says what cluster Host starts.
type HostConfig struct {
	Dir         string // everything goes below it; it must exist
	ObjectStore string // URL; empty: a folder below Dir
	Controllers int
	Workers     int
	Slots       int // of each worker
	// CoresPerWorker gives each worker, with its job processes, so many cores of its own, as
	// if it was a machine of that size; 0: all share all.
	CoresPerWorker int
	Build          string
}

// Hosted is a cluster of real processes on this machine, for those who measure what it
// does to a job of theirs. One goroutine uses it.
type Hosted struct {
	// Client reaches the controllers.
	Client *admin.Client
	// ObjectStore is the URL of the cluster's store.
	ObjectStore string

	cluster *cluster
}

// Host starts a cluster and waits until it is ready for jobs. The executable must have
// the commands of Hidden. Stop ends it.
func Host(ctx context.Context, cfg HostConfig) (*Hosted, error) {
	c, err := startCluster(ctx, clusterConfig{
		Dir: cfg.Dir, ObjectStore: cfg.ObjectStore, Controllers: cfg.Controllers, Workers: cfg.Workers, Slots: cfg.Slots, CoresPerWorker: cfg.CoresPerWorker, Build: cfg.Build,
	})
	if err != nil {
		return nil, err
	}
	h := &Hosted{cluster: c, ObjectStore: c.store}
	starting, cancel := context.WithTimeoutCause(ctx, startWithin, fmt.Errorf("not ready after %v", startWithin))
	defer cancel()
	err = c.ready(starting)
	if err == nil {
		h.Client, err = c.client()
	}
	if err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return h, nil
}

// Stop ends all processes.
func (h *Hosted) Stop() error {
	h.Client.Close()
	return h.cluster.stop()
}

// PIDs are the controllers and workers that run now. A job's processes are their children.
func (h *Hosted) PIDs() []int {
	var pids []int
	for _, p := range h.cluster.all() {
		if pid := p.PID(); pid != 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Progress is how far a job has come.
type Progress struct {
	Status  string // as the controllers name it
	Reason  string // of the last attempt's failure
	Attempt uint64
	// Running is when the last attempt was first seen to run; zero: not yet.
	Running time.Time
	// Completed is the number of completed checkpoints.
	Completed int
}

// Ended tells whether nothing more will happen.
func (p Progress) Ended() bool {
	return p.Status == "finished" || p.Status == "failed" || p.Status == "cancelled"
}

// Follow makes Wait and Strike be about a job, which has just been submitted.
func (h *Hosted) Follow(job string) {
	h.cluster.timeline.follow(job)
}

// Wait waits until done says so about the job and returns how far it had come.
func (h *Hosted) Wait(ctx context.Context, done func(Progress) bool) (p Progress, err error) {
	err = h.cluster.timeline.wait(ctx, func(t *timeline) bool {
		p = Progress{Status: t.status, Reason: t.reason, Attempt: t.attempt, Completed: t.completed}
		if a := t.attempts[t.attempt]; a != nil {
			p.Running = a.runningAt
		}
		return done(p)
	})
	return p, err
}

// Strike kills what faults names, for ParseFaults, one after the other while the job is at
// work, and starts it again. Each fault waits for a few checkpoints first; if the
// job ends before, that is an error. What happens is told to notes.
func (h *Hosted) Strike(ctx context.Context, faults string, notes io.Writer) error {
	list, err := ParseFaults(faults)
	if err != nil {
		return err
	}
	client, err := h.cluster.client() // a client is for one goroutine
	if err != nil {
		return err
	}
	defer client.Close()
	job := ""
	h.cluster.timeline.view(func(t *timeline) { job = t.job })
	d := &demo{cluster: h.cluster, display: newDisplay(notes, time.Now()), poll: &poller{}}
	side, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer func() { stop(); wg.Wait() }()
	wg.Go(func() { d.poll.run(side, client, job) })
	for i, f := range list {
		if err := d.strike(ctx, f, false); err != nil {
			return fmt.Errorf("fault %d (%s): %w", i+1, f, err)
		}
	}
	return nil
}

// Explain adds to an error what the processes said last.
func (h *Hosted) Explain(err error) error {
	d := &demo{cluster: h.cluster}
	return d.explain(context.Background(), err)
}
