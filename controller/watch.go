package controller

import (
	"fmt"
	"sync"

	"google.golang.org/grpc"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// watchBuffer is how many events may wait for one watcher: some seconds of a
// busy cluster. The state machine never waits for a watcher.
const watchBuffer = 1024

// watchers passes on what the state machine of this controller applies.
type watchers struct {
	mu  sync.Mutex
	all map[*watcher]bool
}

type watcher struct {
	job    dataflow.JobID // "": everything
	events chan ledger.Event
	// lagged is closed when an event had no room; the watcher is told and cut.
	lagged chan struct{}
}

// observe is called by the ledger for each applied entry; it never waits.
func (w *watchers) observe(events []ledger.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for to := range w.all {
		for _, e := range events {
			if to.job != "" && to.job != e.Job {
				continue
			}
			select {
			case to.events <- e:
				continue
			default:
			}
			close(to.lagged)
			delete(w.all, to)
			break
		}
	}
}

func (w *watchers) add(job dataflow.JobID) *watcher {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[*watcher]bool{}
	}
	to := &watcher{job: job, events: make(chan ledger.Event, watchBuffer), lagged: make(chan struct{})}
	w.all[to] = true
	return to
}

func (w *watchers) remove(to *watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, to)
}

// Watch streams what this controller's state machine applies from now on, with
// or without a leader.
func (s controlService) Watch(r *wire.WatchRequest, stream grpc.ServerStreamingServer[wire.Event]) error {
	to := s.c.watchers.add(dataflow.JobID(r.Job))
	defer s.c.watchers.remove(to)
	if err := stream.SendHeader(nil); err != nil { // tells the client that nothing is missed from here on
		return err
	}
	for {
		select {
		case e := <-to.events:
			if err := stream.Send(eventView(e)); err != nil {
				return err
			}
		case <-to.lagged:
			return statusOf(fmt.Errorf("events come faster than this watcher takes them; watch again: %w", errNotReady))
		case <-s.c.stopping:
			return statusOf(fmt.Errorf("controller %s stops: %w", s.c.cfg.ID, errNotReady))
		case <-stream.Context().Done():
			return nil
		}
	}
}

func eventView(e ledger.Event) *wire.Event {
	return &wire.Event{
		Index: e.Index, Term: e.Term, AtUnixMs: e.At, Type: string(e.Type), Job: string(e.Job), Attempt: uint64(e.Attempt),
		Checkpoint: uint64(e.Checkpoint), Worker: string(e.Worker), Controller: e.Controller, Detail: e.Detail,
	}
}
