package demo

import (
	"context"
	"sync"
	"time"

	"github.com/cairnstream/cairn/wire"
)

// sighting is an event as one controller told it.
type sighting struct {
	*wire.Event
	from string // the controller that told
	at   time.Time
}

// checkpointLife is what the timeline knows of a checkpoint.
type checkpointLife struct {
	begunTerm, endedTerm uint64
	begunAt, endedAt     time.Time
	completed, aborted   bool
	reason               string
}

// attemptLife is what the timeline knows of an attempt.
type attemptLife struct{ startedAt, runningAt time.Time }

// timeline is what all watched controllers together have told. Its methods may
// be called at once.
type timeline struct {
	mu      sync.Mutex
	changed chan struct{} // closed and replaced at each change
	seen    map[eventKey]bool

	leader      string
	term        uint64
	established []sighting        // one for each term, as first heard
	connected   map[string]bool   // controllers whose Watch stream lives
	workers     map[string]string // worker -> "connected" or "lost"
	registered  map[string]int    // worker -> registrations heard of
	job         string
	others      []sighting // of other jobs: what was heard of one before follow; bounded
	status      string     // of the job
	reason      string
	attempts    map[uint64]*attemptLife
	attempt     uint64
	checkpoints map[uint64]*checkpointLife
	completed   int
	failed      int
	lastDone    uint64

	// onBegun, while set, is called at once (with the lock held) with each
	// first sighting of a checkpoint's beginning: the leader's kill must not be late.
	onBegun func(sighting)
	// onEvent is called with each first sighting, after it is recorded.
	onEvent func(sighting)
}

type eventKey struct {
	index      uint64
	kind, what string
	checkpoint uint64
}

func newTimeline() *timeline {
	return &timeline{
		changed: make(chan struct{}), seen: map[eventKey]bool{}, connected: map[string]bool{}, workers: map[string]string{},
		registered: map[string]int{}, attempts: map[uint64]*attemptLife{}, checkpoints: map[uint64]*checkpointLife{},
	}
}

// add records an event unless another controller told it before.
func (t *timeline) add(s sighting) {
	t.mu.Lock()
	key := eventKey{s.Index, s.Type, s.Worker + s.Detail, s.Checkpoint}
	if t.seen[key] {
		t.mu.Unlock()
		return
	}
	t.seen[key] = true
	t.record(s)
	t.broadcastLocked()
	notify := t.onEvent
	t.mu.Unlock()
	if notify != nil {
		notify(s)
	}
}

func (t *timeline) record(s sighting) {
	switch s.Type {
	case "leader_established":
		if s.Term > t.term {
			t.term, t.leader = s.Term, s.Controller
			t.established = append(t.established, s)
		}
	case "worker_registered":
		t.workers[s.Worker] = "connected"
		t.registered[s.Worker]++
	case "worker_ended":
		t.workers[s.Worker] = "lost"
	}
	if s.Job == "" {
		return
	}
	if s.Job == t.job {
		t.recordJob(s)
	} else if len(t.others) < othersMost {
		t.others = append(t.others, s)
	}
}

// othersMost is above what happens to a job before its submission has been answered.
const othersMost = 1000

// follow makes the timeline be about a job that was just submitted. Some of its events may
// have been heard before.
func (t *timeline) follow(job string) {
	t.update(func(t *timeline) {
		t.job, t.status, t.reason = job, "", ""
		t.attempts, t.attempt = map[uint64]*attemptLife{}, 0
		t.checkpoints, t.completed, t.failed, t.lastDone = map[uint64]*checkpointLife{}, 0, 0, 0
		for _, s := range t.others {
			if s.Job == job {
				t.recordJob(s)
			}
		}
		t.others = nil
	})
}

func (t *timeline) recordJob(s sighting) {
	switch s.Type {
	case "job_status":
		t.status, t.reason = s.Detail, ""
	case "attempt_started":
		t.attempt = max(t.attempt, s.Attempt)
		t.attemptLocked(s.Attempt).startedAt = s.at
	case "attempt_running":
		t.attemptLocked(s.Attempt).runningAt = s.at
	case "attempt_failed":
		t.reason = s.Detail
	case "checkpoint_begun", "checkpoint_completed", "checkpoint_aborted":
		t.recordCheckpoint(s)
	}
}

func (t *timeline) recordCheckpoint(s sighting) {
	k := t.checkpoints[s.Checkpoint]
	if k == nil {
		k = &checkpointLife{}
		t.checkpoints[s.Checkpoint] = k
	}
	switch s.Type {
	case "checkpoint_begun":
		k.begunTerm, k.begunAt = s.Term, s.at
		if t.onBegun != nil {
			t.onBegun(s)
		}
	case "checkpoint_completed":
		k.endedTerm, k.endedAt, k.completed = s.Term, s.at, true
		t.completed++
		t.lastDone = max(t.lastDone, s.Checkpoint)
	case "checkpoint_aborted":
		k.endedTerm, k.endedAt, k.aborted, k.reason = s.Term, s.at, true, s.Detail
		t.failed++
	}
}

func (t *timeline) attemptLocked(n uint64) *attemptLife {
	a := t.attempts[n]
	if a == nil {
		a = &attemptLife{}
		t.attempts[n] = a
	}
	return a
}

func (t *timeline) broadcastLocked() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// update changes the timeline under its lock.
func (t *timeline) update(f func(*timeline)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(t)
	t.broadcastLocked()
}

// view reads the timeline under its lock.
func (t *timeline) view(f func(*timeline)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(t)
}

// wait returns when done says so, or with ctx's cause.
func (t *timeline) wait(ctx context.Context, done func(*timeline) bool) error {
	for {
		t.mu.Lock()
		ok, changed := done(t), t.changed
		t.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}
