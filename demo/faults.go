package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// fault is one strike: the leader, a worker, or both at the same moment.
type fault struct{ leader, worker bool }

func (f fault) String() string {
	switch {
	case f.leader && f.worker:
		return "leader+worker"
	case f.leader:
		return "leader"
	}
	return "worker"
}

// ParseFaults reads a list such as leader,worker,leader+worker; none is none.
func ParseFaults(s string) ([]fault, error) {
	if s == "none" || s == "" {
		return nil, nil
	}
	var faults []fault
	for item := range strings.SplitSeq(s, ",") {
		var f fault
		for kind := range strings.SplitSeq(strings.TrimSpace(item), "+") {
			switch kind {
			case "leader":
				f.leader = true
			case "worker":
				f.worker = true
			default:
				return nil, fmt.Errorf("fault %q: use leader, worker or leader+worker, separated by commas, or none", item)
			}
		}
		faults = append(faults, f)
	}
	return faults, nil
}

// Strike is a fault as it happened, for the report.
type Strike struct {
	Fault  string    `json:"fault"`  // leader or worker
	Target string    `json:"target"` // c2, w1
	PID    int       `json:"pid"`
	Signal string    `json:"signal"`
	Time   time.Time `json:"time"`
	// Of a leader's kill.
	Term       uint64 `json:"term,omitempty"`       // that ended
	NewLeader  string `json:"new_leader,omitempty"` // who leads next
	NewTerm    uint64 `json:"new_term,omitempty"`
	FailoverMS *int64 `json:"failover_ms,omitempty"`
	// The checkpoint that was in flight: begun under Term, completed under CompletedTerm.
	Checkpoint    uint64 `json:"checkpoint,omitempty"`
	CompletedTerm uint64 `json:"completed_term,omitempty"`
	// Of a worker's kill.
	Attempt    uint64 `json:"attempt,omitempty"` // that recovered the job
	RecoveryMS *int64 `json:"recovery_ms,omitempty"`
	// With is set if a worker and a leader were struck at the same moment.
	With string `json:"with,omitempty"`

	established time.Time
	recovered   time.Time
}

// survivedInFlight tells whether a checkpoint began under the killed leader and
// completed under a later one.
func (s *Strike) survivedInFlight() bool { return s.CompletedTerm > s.Term && s.Term > 0 }

// errJobEnded is the cause when the job ends before its faults have struck.
var errJobEnded = errors.New("the job ended before all faults had struck")

// strikeAll carries out the faults in order. Each waits until everything is
// back from the one before and the job makes checkpoints again. If no leader's
// kill hit between the beginning and the completion of a checkpoint, more leader
// kills follow, since that is what the demo is to show.
func (d *demo) strikeAll(ctx context.Context, faults []fault) error {
	wantsLeader := false
	for i, f := range faults {
		wantsLeader = wantsLeader || f.leader
		if err := d.strike(ctx, f, i == 0); err != nil {
			return fmt.Errorf("fault %d (%s): %w", i+1, f, err)
		}
	}
	for extra := 0; wantsLeader && !d.anyInFlight() && extra < extraLeaderKills; extra++ {
		d.note("no kill has struck within a checkpoint so far: the leader once more")
		if err := d.strike(ctx, fault{leader: true}, false); err != nil {
			return fmt.Errorf("extra leader kill: %w", err)
		}
	}
	return nil
}

const (
	extraLeaderKills = 5 // one in a few misses; five misses in a row mean that something else is wrong
	calmCheckpoints  = 3 // completed between two faults, so that each finds the job at work
)

func (d *demo) anyInFlight() bool {
	for _, s := range d.strikes {
		if s.Fault == "leader" && s.survivedInFlight() {
			return true
		}
	}
	return false
}

// strike carries out one fault, waits for the recovery and starts what was
// killed again.
func (d *demo) strike(ctx context.Context, f fault, first bool) error {
	calm := calmCheckpoints
	if first {
		calm *= 2 // a calm stretch in the beginning, to compare with
	}
	if err := d.settled(ctx, calm); err != nil {
		return err
	}
	var leader, worker *Strike
	var err error
	if f.leader {
		leader, worker, err = d.killLeader(ctx, f.worker)
	} else {
		worker, err = d.killWorker()
	}
	if err != nil {
		return err
	}
	if leader != nil {
		if err := d.afterLeader(ctx, leader); err != nil {
			return err
		}
	}
	if worker != nil {
		if err := d.afterWorker(ctx, worker); err != nil {
			return err
		}
	}
	return nil
}

// settled waits until all processes are up and the job has completed calm more
// checkpoints.
func (d *demo) settled(ctx context.Context, calm int) error {
	from := -1
	return d.waitJob(ctx, func(t *timeline) bool {
		up := d.cluster.leaderUpLocked(t) && d.cluster.workersUpLocked(t) && t.status == "running"
		if !up {
			from = -1
			return false
		}
		if from < 0 {
			from = t.completed
		}
		return t.completed >= from+calm
	})
}

// waitJob waits for what done says, and fails if the job ends first.
func (d *demo) waitJob(ctx context.Context, done func(*timeline) bool) error {
	ended := ""
	err := d.cluster.timeline.wait(ctx, func(t *timeline) bool {
		if done(t) {
			return true
		}
		switch t.status {
		case "finishing", "finished", "cancelled", "failed":
			ended = t.status + " " + t.reason
			return true
		}
		return false
	})
	if err == nil && ended != "" {
		return fmt.Errorf("%w (%s)", errJobEnded, strings.TrimSpace(ended))
	}
	return err
}

// killLeader kills the leader the moment that it begins a checkpoint, and with
// it a worker if both are to go.
func (d *demo) killLeader(ctx context.Context, both bool) (leader, worker *Strike, err error) {
	done := false
	t := d.cluster.timeline
	t.update(func(t *timeline) {
		t.onBegun = func(s sighting) {
			if done || s.Job != t.job || s.from != t.leader {
				return
			}
			done = true
			leader, err = d.kill("leader", t.leader)
			if err == nil {
				leader.Term, leader.Checkpoint = s.Term, s.Checkpoint
			}
		}
	})
	defer t.update(func(t *timeline) { t.onBegun = nil })
	if werr := d.waitJob(ctx, func(*timeline) bool { return done }); werr != nil {
		return nil, nil, werr
	}
	if err != nil {
		return nil, nil, err
	}
	if both {
		if worker, err = d.killWorker(); err != nil {
			return nil, nil, err
		}
		leader.With, worker.With = worker.Target, leader.Target
	}
	d.struck(leader)
	return leader, worker, nil
}

// killWorker kills the agent that hosts the most subtasks.
func (d *demo) killWorker() (*Strike, error) {
	name := d.busiestWorker()
	if name == "" {
		return nil, errors.New("no worker runs a subtask of the job")
	}
	s, err := d.kill("worker", name)
	if err != nil {
		return nil, err
	}
	d.struck(s)
	return s, nil
}

func (d *demo) kill(kind, name string) (*Strike, error) {
	p := d.cluster.process(name)
	if p == nil {
		return nil, fmt.Errorf("no process %q to kill", name)
	}
	at, pid, err := p.Kill()
	if err != nil {
		return nil, err
	}
	return &Strike{Fault: kind, Target: name, PID: pid, Signal: "SIGKILL", Time: at}, nil
}

// afterLeader waits for the next leader's first entry and for the checkpoint
// that was in flight, then starts the killed controller again.
func (d *demo) afterLeader(ctx context.Context, s *Strike) error {
	t := d.cluster.timeline
	err := t.wait(ctx, func(t *timeline) bool {
		for _, e := range t.established {
			if e.Term > s.Term {
				ms := e.at.Sub(s.Time).Milliseconds()
				s.NewLeader, s.NewTerm, s.FailoverMS, s.established = e.Controller, e.Term, &ms, e.at
				return true
			}
		}
		return false
	})
	if err != nil {
		return fmt.Errorf("wait for a new leader: %w", err)
	}
	d.note("the new leader %s commits %d ms after the kill", s.NewLeader, *s.FailoverMS)
	if err := d.cluster.process(s.Target).Start(); err != nil {
		return err
	}
	err = t.wait(ctx, func(t *timeline) bool {
		k := t.checkpoints[s.Checkpoint]
		if k != nil && k.completed {
			s.CompletedTerm = k.endedTerm
		}
		return k != nil && (k.completed || k.aborted) || t.status == "failed"
	})
	if err != nil {
		return fmt.Errorf("wait for checkpoint %d: %w", s.Checkpoint, err)
	}
	if s.survivedInFlight() {
		d.note("checkpoint %d, begun in term %d, completed in term %d", s.Checkpoint, s.Term, s.CompletedTerm)
	}
	return nil
}

// afterWorker waits until the job runs again without the worker, then starts it again.
func (d *demo) afterWorker(ctx context.Context, s *Strike) error {
	err := d.waitJob(ctx, func(t *timeline) bool {
		for n, a := range t.attempts {
			if a.startedAt.After(s.Time) && !a.runningAt.IsZero() && t.attempt == n {
				s.Attempt, s.recovered = n, a.runningAt
				return true
			}
		}
		return false
	})
	if err != nil {
		return fmt.Errorf("wait for the job to recover: %w", err)
	}
	d.note("attempt %d runs, %d ms after the kill", s.Attempt, s.recovered.Sub(s.Time).Milliseconds())
	registered := 0
	d.cluster.timeline.view(func(t *timeline) { registered = t.registered[s.Target] })
	if err := d.cluster.process(s.Target).Start(); err != nil {
		return err
	}
	return d.waitJob(ctx, func(t *timeline) bool { return t.registered[s.Target] > registered })
}
