package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

const (
	// welcomeWait bounds the time until a controller says welcome or no.
	welcomeWait = 2 * time.Second
	// logAgain is how soon the same end of a session may be logged again.
	logAgain = time.Second
	// heartbeatDefault is used when a leader asks for none.
	heartbeatDefault = 250 * time.Millisecond
	// unansweredMax heartbeats, 2 s, are what a leader may miss. One that dies
	// closes its socket; one that hangs keeps it open, and is replaced without
	// a word to its agents. They must be with the next before that one's grace
	// for them is over.
	unansweredMax = 8
)

var (
	errSlowLeader = errors.New("the leader does not take our messages")
	errNoWelcome  = errors.New("no welcome")
	// errSilentLeader ends a session whose leader answers no heartbeat.
	errSilentLeader = errors.New("the leader is silent")
	// errEnded is returned when Raft has ended this incarnation: nothing that
	// it says or does counts any more.
	errEnded = errors.New("incarnation has ended")
)

// keepSession has a session with whoever leads, one after the other, until ctx
// ends. It gives up only when the controllers belong to another cluster, or
// when Raft has ended this incarnation.
func (a *agent) keepSession(ctx context.Context) error {
	f := &finder{controllers: a.cfg.Controllers}
	last, logged := "", time.Time{}
	for ctx.Err() == nil {
		address := f.address()
		welcomed, err := a.session(ctx, address)
		if ctx.Err() != nil {
			break
		}
		if wasEnded(err) {
			return fmt.Errorf("%w: %w", errEnded, err)
		}
		if status.Code(err) == codes.PermissionDenied { // the leader knows before we do
			err = fmt.Errorf("%w: %s", ErrForeignCluster, status.Convert(err).Message())
		}
		if errors.Is(err, ErrForeignCluster) {
			return err
		}
		good := welcomed && status.Code(err) != codes.FailedPrecondition // which a retry alone does not mend
		if good {
			f.found()
		}
		if text := plain(err); text != last || good && time.Since(logged) >= logAgain { // not the same line ten times a second
			last, logged = text, time.Now()
			a.log.Warn("no session with the leader", "controller", address, "error", text)
		}
		wait := time.NewTimer(f.failed(err))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
		}
	}
	return nil
}

// session is one session with the controller at address, until it ends. It
// always returns an error; welcomed tells whether the controller leads.
func (a *agent) session(ctx context.Context, address string) (welcomed bool, err error) {
	client, err := dialController(address)
	if err != nil {
		return false, err
	}
	defer client.Close()
	sessionCtx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	tooLate := time.AfterFunc(welcomeWait, func() { cut(errNoWelcome) })
	defer tooLate.Stop()
	stream, err := wire.NewSessionClient(client).Attach(sessionCtx)
	if err != nil {
		return false, err
	}
	processes, outbox := a.reports.attach(func() { cut(errSlowLeader) })
	defer a.reports.detach()
	if err := stream.Send(&wire.AgentMessage{Body: &wire.AgentMessage_Hello{Hello: a.hello(processes)}}); err != nil {
		_, err = stream.Recv() // which knows why
		return false, causeOr(sessionCtx, err)
	}
	first, err := stream.Recv()
	if err != nil {
		return false, causeOr(sessionCtx, err)
	}
	if err := a.welcomed(first); err != nil {
		return false, err
	}
	tooLate.Stop()
	a.log.Info("session with the leader", "leader", first.GetWelcome().Leader, "term", first.Term)
	a.metrics.attached()
	defer a.metrics.detached()
	return true, a.converse(ctx, sessionCtx, cut, stream, first, outbox)
}

// causeOr is why ctx was cut, or err if it was not.
func causeOr(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// hello is everything that a leader must know of this agent.
func (a *agent) hello(processes []*wire.ProcessReport) *wire.Hello {
	return &wire.Hello{
		Worker: a.cfg.ID, Incarnation: string(a.incarnation), Cluster: a.dir.cluster(),
		Slots: int32(a.cfg.Slots), Platform: runtime.GOOS + "/" + runtime.GOARCH, Host: a.cfg.Host,
		Version: a.cfg.Build, HighestTerm: uint64(a.terms.highest()), MetricsAddress: a.metered, Processes: processes,
		KeptJobs: a.keptJobs(),
	}
}

// welcomed checks the leader's first word: its term, and its cluster.
func (a *agent) welcomed(m *wire.LeaderMessage) error {
	w := m.GetWelcome()
	if w == nil {
		return fmt.Errorf("%w: the first message is a %T", errNoWelcome, m.Body)
	}
	if err := a.dir.join(w.Cluster); err != nil {
		return err
	}
	if err := a.terms.raise(dataflow.Term(m.Term)); err != nil {
		return err
	}
	a.artifacts.setStore(w.ObjectStore)
	a.removeEnded(w.EndedJobs)
	return nil
}

// leaderStream is the agent's side of wire.Session.Attach.
type leaderStream interface {
	Send(*wire.AgentMessage) error
	Recv() (*wire.LeaderMessage, error)
}

// converse speaks and listens until the session ends. Orders are carried out
// under ctx, the agent's: what they begin outlives the session.
func (a *agent) converse(ctx, sessionCtx context.Context, cut context.CancelCauseFunc, stream leaderStream,
	first *wire.LeaderMessage, outbox <-chan *wire.AgentMessage) error {
	heartbeat := heartbeatDefault
	if ms := first.GetWelcome().HeartbeatMs; ms > 0 {
		heartbeat = time.Duration(ms) * time.Millisecond
	}
	group, speaking := errgroup.WithContext(sessionCtx)
	var unanswered atomic.Int32
	group.Go(func() error {
		err := speak(speaking, stream, outbox, heartbeat, &unanswered)
		if errors.Is(err, errSilentLeader) {
			cut(err) // what the listener waits in ends too
		}
		return err
	})
	group.Go(func() error {
		err := a.listen(ctx, stream, first.Order, &unanswered)
		cut(err) // what the speaker may be waiting in ends too
		return err
	})
	return causeOr(sessionCtx, group.Wait())
}

// listen takes orders until the session ends. Whatever comes answers the
// heartbeats so far.
func (a *agent) listen(ctx context.Context, stream leaderStream, last uint64, unanswered *atomic.Int32) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		unanswered.Store(0)
		if last, err = a.take(ctx, m, last); err != nil {
			return err
		}
	}
}

// take checks an order and has it carried out. Orders are numbered without
// gaps: a repeat is dropped, and after a gap only a new session helps. It
// returns the number of the newest order.
func (a *agent) take(ctx context.Context, m *wire.LeaderMessage, last uint64) (uint64, error) {
	if err := a.terms.raise(dataflow.Term(m.Term)); err != nil {
		return last, err
	}
	if m.Order <= last {
		return last, nil
	}
	if m.Order != last+1 {
		return last, fmt.Errorf("%w: %d came after %d", errOrderGap, m.Order, last)
	}
	return m.Order, a.obey(ctx, m)
}

// speak sends what happens here, and a heartbeat every so often. It gives up a
// leader that answers none of unansweredMax in a row. It counts them instead of
// measuring time: a pause of this process is no silence of the leader.
func speak(ctx context.Context, stream leaderStream, outbox <-chan *wire.AgentMessage, every time.Duration, unanswered *atomic.Int32) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for sequence := int64(1); ; {
		var m *wire.AgentMessage
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case m = <-outbox:
		case <-tick.C:
			if unanswered.Add(1) > unansweredMax {
				return errSilentLeader
			}
			m = &wire.AgentMessage{Body: &wire.AgentMessage_Heartbeat{Heartbeat: &wire.Heartbeat{Sequence: sequence}}}
			sequence++
		}
		if err := stream.Send(m); err != nil {
			return nil // the listener learns why
		}
	}
}
