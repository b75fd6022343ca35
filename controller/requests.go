package controller

import (
	"context"
	"fmt"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// request is something that was asked of an agent and is answered by one message.
type request struct {
	session *session
	reply   chan requestReply // has room for the one answer
}

type requestReply struct {
	message *wire.AgentMessage
	err     error
}

// ask sends an order that is answered, to an agent that choose picks in the
// loop, and waits for the answer. make builds the order for a request id.
func (l *leader) ask(ctx context.Context, choose func() (*worker, error), order func(id string) *wire.LeaderMessage) (*wire.AgentMessage, error) {
	id, reply := freshKey(), make(chan requestReply, 1)
	send := func() {
		w, err := choose()
		if err != nil {
			reply <- requestReply{err: err}
			return
		}
		l.requests[id] = &request{session: w.session, reply: reply}
		w.session.send(l.term, order(id))
	}
	if !l.post(ctx, send) {
		return nil, errLeaderGone
	}
	select {
	case r := <-reply:
		return r.message, r.err
	case <-l.over:
		return nil, errLeaderGone
	case <-ctx.Done():
		l.post(context.WithoutCancel(ctx), func() { delete(l.requests, id) })
		return nil, context.Cause(ctx)
	}
}

// answer passes an agent's answer to who asked.
func (l *leader) answer(id string, m *wire.AgentMessage) {
	if r := l.requests[id]; r != nil {
		r.reply <- requestReply{message: m}
		delete(l.requests, id)
	}
}

// dropRequests answers for a session that ended.
func (l *leader) dropRequests(s *session) {
	for id, r := range l.requests {
		if r.session == s {
			r.reply <- requestReply{err: fmt.Errorf("worker %s went away before it answered: %w", s.worker, errNotReady)}
			delete(l.requests, id)
		}
	}
	l.dropWriter(s)
	for _, j := range l.jobs {
		if j.finisher == s {
			l.finisherFailed(j, "worker "+string(s.worker)+" went away")
		}
	}
}

// inLoop runs f in the leader's loop and returns what it returns.
func inLoop[T any](ctx context.Context, l *leader, f func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	var none T
	done := make(chan outcome, 1)
	if !l.post(ctx, func() { v, err := f(); done <- outcome{v, err} }) {
		if ctx.Err() != nil {
			return none, context.Cause(ctx)
		}
		return none, errLeaderGone
	}
	select {
	case o := <-done:
		return o.value, o.err
	case <-l.over:
		return none, errLeaderGone
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}

// planner picks an agent that can run an artifact of this platform.
func (l *leader) planner(platform string) (*worker, error) {
	seen := map[string]bool{}
	for _, w := range l.sortedWorkers() {
		if w.attached() && w.platform == platform {
			return w, nil
		}
		seen[w.platform] = true
	}
	if len(seen) == 0 {
		return nil, fmt.Errorf("no worker is connected to plan the job: start a worker, or %w", errNotReady)
	}
	if seen[platform] {
		return nil, fmt.Errorf("the workers of platform %s are not connected right now: %w", platform, errNotReady)
	}
	return nil, fmt.Errorf("artifact is for %s and no worker is: build for one of %s: %w", platform, names(seen), errPrecondition)
}

// hosts are the workers where the job has a process, or all if it has none now.
func (l *leader) hosts(id dataflow.JobID) []dataflow.WorkerID {
	var hosts []dataflow.WorkerID
	if j := l.jobs[id]; j != nil && len(j.processes) > 0 {
		for _, p := range j.processes {
			hosts = append(hosts, p.worker)
		}
		return hosts
	}
	for _, w := range l.sortedWorkers() {
		if w.attached() {
			hosts = append(hosts, w.id)
		}
	}
	return hosts
}
