package streamtest

import (
	"context"
	"fmt"
	"sync"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/snapshot"
)

// share is one process's part of an attempt, and what it tells.
type share struct {
	process dataflow.Incarnation
	attempt *engine.Attempt
	news    chan struct{} // one token: it told something
	over    chan struct{} // closed when it has ended
	err     error         // why; valid after over

	mu        sync.Mutex
	acked     map[dataflow.CheckpointID]*snapshot.Process
	declined  map[dataflow.CheckpointID]error
	committed dataflow.CheckpointID
	endOfData bool
}

func newShare() *share {
	return &share{
		process: dataflow.NewIncarnation(), news: make(chan struct{}, 1), over: make(chan struct{}),
		acked: map[dataflow.CheckpointID]*snapshot.Process{}, declined: map[dataflow.CheckpointID]error{},
	}
}

// run runs the share; when it fails, the others end with it.
func (s *share) run(ctx context.Context, r *running) {
	defer close(s.over)
	s.err = s.attempt.Run(ctx)
	r.cancel(s.err)
}

// has asks about what the share has told.
func (s *share) has(event func(*share) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return event(s)
}

func (s *share) put(f func()) {
	s.mu.Lock()
	f()
	s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// Acknowledge implements engine.Events, as do the methods below.
func (s *share) Acknowledge(id dataflow.CheckpointID, part *snapshot.Process) {
	s.put(func() { s.acked[id] = part })
}

func (s *share) Decline(id dataflow.CheckpointID, reason error) {
	s.put(func() { s.declined[id] = fmt.Errorf("checkpoint %d: %w", id, reason) })
}

func (s *share) EndOfData() { s.put(func() { s.endOfData = true }) }

func (s *share) Committed(id dataflow.CheckpointID) {
	s.put(func() { s.committed = max(s.committed, id) })
}

func (s *share) Restoring(engine.RestoreProgress) {}
func (s *share) Trace(engine.TraceEvent)          {}

var _ engine.Events = (*share)(nil)
