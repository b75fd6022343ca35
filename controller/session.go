package controller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// agentStream is a session's connection: gRPC's in a cluster, a pair of
// channels in tests. Recv and Send return once its context has ended.
type agentStream interface {
	Context() context.Context
	Recv() (*wire.AgentMessage, error)
	Send(*wire.LeaderMessage) error
}

const (
	// ordersMax bounds a session's queue. An agent of 16 slots gets a handful
	// of orders for a job and checkpoint; one that lags so far is as good as dead.
	ordersMax = 1024
	// helloTimeout bounds how long a stream may say nothing before its Hello.
	helloTimeout = 5 * time.Second
)

var (
	errSilent   = errors.New("silent for too long")
	errSlow     = errors.New("orders pile up, the agent does not take them")
	errReplaced = errors.New("the agent attached again")
)

// session is one agent's stream with this leader.
type session struct {
	worker      dataflow.WorkerID
	incarnation dataflow.Incarnation
	orders      chan *wire.LeaderMessage
	cut         context.CancelCauseFunc

	order uint64 // of the newest order; owned by the loop
}

// send queues one order: a LeaderMessage with its body only. Called by the loop.
// An agent that does not take its orders is cut off.
func (s *session) send(term dataflow.Term, m *wire.LeaderMessage) {
	s.order++
	m.Term, m.Order = uint64(term), s.order
	select {
	case s.orders <- m:
	default:
		s.cut(errSlow)
	}
}

// echo answers a heartbeat, so that the agent knows that somebody is here. It is
// no order and has no number.
func (s *session) echo(term dataflow.Term) {
	select {
	case s.orders <- &wire.LeaderMessage{Term: uint64(term)}:
	default: // orders wait: they are a sign of life, too
	}
}

// serve runs one agent's session under this leader, until either side ends it
// or the term is over.
//
// What reads and writes the stream ends only when serve has returned, because
// that is what ends a server's stream; the leader's run waits for it.
func (l *leader) serve(stream agentStream) error {
	ctx, cut := context.WithCancelCause(stream.Context())
	defer cut(nil)
	silence := time.AfterFunc(helloTimeout, func() { cut(errSilent) })
	defer silence.Stop()
	if !l.streams.enter() {
		return errLeaderGone
	}
	defer l.streams.leave()
	inbox := l.receive(ctx, stream, cut)
	hello, err := firstHello(ctx, l.over, inbox)
	if err != nil {
		return err
	}
	err = l.register(ctx, hello)
	if errors.Is(err, ledger.ErrEndedIncarnation) {
		err = l.dismiss(stream, hello)
	}
	if err != nil {
		return fmt.Errorf("worker %s: %w", hello.Worker, err)
	}
	s := &session{
		worker: dataflow.WorkerID(hello.Worker), incarnation: dataflow.Incarnation(hello.Incarnation),
		orders: make(chan *wire.LeaderMessage, ordersMax), cut: cut,
	}
	l.transmit(ctx, stream, s)
	silence.Stop() // listen counts heartbeats
	if !l.post(ctx, func() { l.attach(s, hello) }) {
		return l.ending(ctx)
	}
	defer l.post(context.WithoutCancel(ctx), func() { l.detach(s, context.Cause(ctx)) })
	return l.listen(ctx, s, inbox)
}

// dismiss tells an agent whose incarnation has ended to end what it still runs,
// and returns the refusal with which the session ends. After errDismissed the
// agent comes back, with nothing running, as another incarnation. One whose
// name another agent has now must not: each would end the other for ever.
func (l *leader) dismiss(stream agentStream, hello *wire.Hello) error {
	orders := []*wire.LeaderMessage{l.welcome(hello)}
	for _, p := range hello.Processes {
		status := p.GetStatus()
		stop := stopOrder(dataflow.JobID(status.GetJob()), dataflow.Attempt(status.GetAttempt()), true, "this worker was lost")
		stop.GetStop().KeepFiles = true // the job may come back here
		orders = append(orders, stop)
	}
	for i, m := range orders {
		m.Term, m.Order = uint64(l.term), uint64(i)+1
		if err := stream.Send(m); err != nil {
			return fmt.Errorf("dismiss: %w", err)
		}
	}
	if other := l.liveIncarnation(dataflow.WorkerID(hello.Worker)); other != "" {
		return fmt.Errorf("incarnation %s: %w: incarnation %s, of another agent, took the name: give each agent its own --id",
			hello.Incarnation, ledger.ErrEndedIncarnation, other)
	}
	return fmt.Errorf("incarnation %s: %w: %w", hello.Incarnation, ledger.ErrEndedIncarnation, errDismissed)
}

// listen passes on what the agent says, and cuts off one that is silent. It
// counts beats instead of measuring time: when it is this process that stood
// still, one beat has passed, and the agent's words lie in the inbox.
func (l *leader) listen(ctx context.Context, s *session, inbox <-chan *wire.AgentMessage) error {
	beat := time.NewTicker(l.cfg.Heartbeat)
	defer beat.Stop()
	for missed := 0; ; {
		select {
		case <-ctx.Done():
			return l.ending(ctx)
		case <-l.over:
			return errLeaderGone
		case <-beat.C:
			if missed++; missed > heartbeatsMissed {
				s.cut(errSilent)
			}
		case m := <-inbox:
			missed = 0
			if m.GetHeartbeat() != nil {
				s.echo(l.term)
			} else if !l.post(ctx, func() { l.heard(s, m) }) {
				return l.ending(ctx)
			}
		}
	}
}

// ending says why a session ended; nil if the agent simply closed it.
func (l *leader) ending(ctx context.Context) error {
	cause := context.Cause(ctx)
	switch {
	case cause == nil:
		return errLeaderGone
	case errors.Is(cause, io.EOF):
		return nil
	case errors.Is(cause, errSilent), errors.Is(cause, errSlow), errors.Is(cause, errReplaced):
		return fmt.Errorf("session: %w: %w", cause, errNotReady)
	}
	return cause
}

func (l *leader) receive(ctx context.Context, stream agentStream, cut context.CancelCauseFunc) <-chan *wire.AgentMessage {
	inbox := make(chan *wire.AgentMessage) // unbuffered: gRPC's flow control is the bound
	l.streams.goInside(func() {
		for {
			m, err := stream.Recv()
			if err != nil {
				cut(err)
				return
			}
			select {
			case inbox <- m:
			case <-ctx.Done():
				return
			}
		}
	})
	return inbox
}

func (l *leader) transmit(ctx context.Context, stream agentStream, s *session) {
	l.streams.goInside(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case order := <-s.orders:
				if err := stream.Send(order); err != nil {
					s.cut(err)
					return
				}
			}
		}
	})
}

func firstHello(ctx context.Context, over <-chan struct{}, inbox <-chan *wire.AgentMessage) (*wire.Hello, error) {
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-over:
		return nil, errLeaderGone
	case m := <-inbox:
		hello := m.GetHello()
		if hello == nil || hello.Worker == "" || hello.Incarnation == "" {
			return nil, fmt.Errorf("the first message must be a Hello that names worker and incarnation: %w", errInvalid)
		}
		return hello, nil
	}
}
