package ha

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// ErrClosed is returned by Terms when the node was closed.
var ErrClosed = errors.New("node is closed")

// establishTimeout bounds the wait of a new leader for its state machine to
// apply everything that earlier leaders committed. One that takes longer is
// of less use than another leader.
const establishTimeout = 10 * time.Second

// role is whether this node leads. Each time it changes, also from leader to
// leader unseen, it has another number.
type role struct {
	number uint64
	leads  bool
}

// roles tells everybody who waits that the role changed.
type roles struct {
	mu      sync.Mutex
	current role
	changed chan struct{} // closed and replaced at each change
}

func (r *roles) init() { r.changed = make(chan struct{}) }

func (r *roles) set(leads bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current = role{r.current.number + 1, leads}
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *roles) get() (current role, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current, r.changed
}

// watchRole passes on Raft's word about this node's role. Raft keeps only the
// latest word: true after true means that the role was lost and won again.
func (n *Node) watchRole() {
	for {
		select {
		case leads := <-n.raft.LeaderCh():
			n.roles.set(leads)
			n.log.Info("role changed", "leads", leads, "term", n.raft.CurrentTerm())
		case <-n.life.stopped:
			n.roles.set(false)
			return
		}
	}
}

// Terms calls work once for every term in which this node leads, until ctx ends.
//
// Invariant: of one call of Terms, at most one call of work runs at a time, and
// it starts only after the state machine has applied every entry committed in
// earlier terms. Its context ends, with cause ErrTermOver, before the next call
// starts. Another node can still begin its own term while this one's work is
// winding down, so whatever work writes outside Raft must carry the term as its
// fencing token.
//
// If work returns while its term is still on, Terms hands leadership to a peer:
// a leader that does nothing is worse than an election. If no peer can take it,
// Terms returns work's error. It returns ErrClosed when the node is closed, and
// waits for work in any case.
func (n *Node) Terms(ctx context.Context, work func(ctx context.Context, term uint64) error) error {
	var seen role
	var now *service
	defer func() { now.end() }()
	for {
		current, changed := n.roles.get()
		if current != seen {
			now.end()
			now, seen = nil, current
			if current.leads {
				now = n.serve(ctx, work)
			}
		}
		select {
		case <-changed:
		case err := <-now.failed():
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-n.life.stopped:
			return ErrClosed
		}
	}
}

// service is the work of one term. A nil service is that of a follower.
type service struct {
	cancel context.CancelCauseFunc
	done   chan struct{}
	err    chan error // gets the error of a service that failed for good
}

// serve begins a service in the current term.
func (n *Node) serve(ctx context.Context, work func(context.Context, uint64) error) *service {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &service{cancel: cancel, done: make(chan struct{}), err: make(chan error, 1)}
	go func() {
		defer close(s.done)
		if err := n.serveTerm(ctx, work); err != nil {
			s.err <- err
		}
	}()
	return s
}

// end ends the service's context and waits for it.
func (s *service) end() {
	if s != nil {
		s.cancel(ErrTermOver)
		<-s.done
	}
}

// failed gets the error of a service that failed for good.
func (s *service) failed() <-chan error {
	if s == nil {
		return nil
	}
	return s.err
}

// serveTerm works through one term. It returns an error only if the work ended
// early and nobody can take over.
func (n *Node) serveTerm(ctx context.Context, work func(context.Context, uint64) error) error {
	term, err := n.establish(ctx)
	if err == nil {
		err = work(ctx, term)
	}
	if ctx.Err() != nil {
		return nil
	}
	if err == nil {
		err = errors.New("work returned")
	}
	err = fmt.Errorf("lead in term %d: %w", term, err)
	n.log.Error("leader's work ended before its term; handing over", "term", term, "err", err)
	refused := n.handOver(establishTimeout)
	if refused == nil || ctx.Err() != nil {
		return nil
	}
	return errors.Join(err, refused)
}

// establish waits until everything that was committed in earlier terms is
// applied here, and returns the term that this node leads.
//
// The term must be the barrier's own: between Raft's word that we lead and our
// asking for the term another node may have begun its own. Terms only grow, so if
// the term is the same before and after a barrier that only a leader passes, it
// is ours.
func (n *Node) establish(ctx context.Context) (term uint64, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, establishTimeout, errors.New("earlier entries not applied in time"))
	defer cancel()
	for {
		term = n.raft.CurrentTerm()
		err = n.Barrier(ctx)
		if err == nil && n.raft.CurrentTerm() == term {
			return term, nil
		}
		select {
		case <-ctx.Done():
			return term, errors.Join(context.Cause(ctx), err)
		case <-time.After(n.cfg.HeartbeatTimeout / 10):
		}
	}
}

// leads tells whether Raft thinks that this node leads. It may be wrong for the
// time of a lease; only a committed entry proves it.
func (n *Node) leads() bool { return n.raft.State() == raft.Leader }

// Leader is the last known leader's id, or "". It may be out of date.
func (n *Node) Leader() string {
	_, id := n.raft.LeaderWithID()
	return string(id)
}
