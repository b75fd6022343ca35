package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/exchange"
)

// errTransport marks errors of channels, which are not an operator's fault.
var errTransport = errors.New("channel")

// subtask is a chain of operators and the loop that runs it.
type subtask struct {
	task      dataflow.TaskID
	nodes     []node // head first
	uids      []dataflow.UID
	source    reading     // the head, if it is a source
	timed     []timed     // nodes that may have timers of processing time
	answering []answering // nodes whose results come later
	gate      *gate
	valve     *valve
	align     *alignment
	sendings  []*sending
	stats     *counters
	position  position
	host      host
	linger    time.Duration

	wake     chan struct{} // one token: mail, input or credit
	mail     mailbox
	news     []news // of the gate, as it was read last
	pressure pressure
	timer    *time.Timer

	clock    time.Time // when this turn of the loop began
	idle     bool      // told downstream
	ended    bool      // all inputs have
	endSent  bool
	aligning alignTimes
	stopping stopping
	late     lateness
	open     *openCut // the newest cut, until it is whole
	waiting  atomic.Pointer[waitingFor]
	replay   replay
}

// host is what a subtask tells its attempt.
type host interface {
	cutDone(ctx context.Context, id dataflow.CheckpointID, c *subtaskCut)
	decline(id dataflow.CheckpointID, reason error)
	passTrigger(t *Trigger)
	inputEnded()
}

// mailbox is what others tell a subtask. It is bounded: triggers and aborts are as few as
// checkpoints in flight.
type mailbox struct {
	mu       sync.Mutex
	triggers []*Trigger // by id
	aborted  []dataflow.CheckpointID
}

func (s *subtask) trigger(t *Trigger) {
	s.mail.mu.Lock()
	if n := len(s.mail.triggers); n == 0 || t.ID > s.mail.triggers[n-1].ID {
		s.mail.triggers = append(s.mail.triggers, t)
	}
	s.mail.mu.Unlock()
	poke(s.wake)
}

func (s *subtask) abort(id dataflow.CheckpointID) {
	s.mail.mu.Lock()
	s.mail.aborted = append(s.mail.aborted, id)
	s.mail.mu.Unlock()
	poke(s.wake)
}

// run is the loop. Its error names the operator where there is one.
func (s *subtask) run(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = s.position.blame(NewPanicError(p))
		}
		switch {
		case err != nil && ctx.Err() != nil:
			err = context.Cause(ctx)
		case err != nil:
			err = fmt.Errorf("subtask %v: %w", s.task, err)
		}
	}()
	s.begin(ctx)
	defer s.beginAnswering(ctx)()
	s.timer = time.NewTimer(time.Hour)
	defer s.timer.Stop()
	for ctx.Err() == nil {
		if err := s.turn(ctx); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// begin gives the chain the loop's context and clock.
func (s *subtask) begin(ctx context.Context) {
	s.clock = time.Now()
	for _, out := range s.sendings {
		out.ctx, out.clock = ctx, &s.clock
	}
	s.pressure.relieve = func() error { return s.relieve(ctx) }
	s.pressure.handed = func(out *sending, t *Trigger) { s.handed(ctx, out, t) }
	for _, n := range s.nodes {
		n.follow(&s.clock)
		if t, ok := n.(timed); ok {
			s.timed = append(s.timed, t)
		}
	}
}

// turn does one piece of work, or waits until there is some.
func (s *subtask) turn(ctx context.Context) error {
	s.clock = time.Now()
	if err := s.readMail(ctx); err != nil {
		return err
	}
	heard, late, err := s.hear(ctx)
	if err != nil {
		return err
	}
	if err := s.cutDrained(ctx); err != nil {
		return err
	}
	do, pressed := s.work, s.pressure.waits()
	if pressed {
		do = s.workPressed
	}
	worked, wait, err := do(ctx)
	if err != nil {
		return err
	}
	next, err := s.lingering()
	if err != nil {
		return err
	}
	s.stats.busyNanos.Add(int64(time.Since(s.clock)))
	if worked || heard {
		return nil
	}
	return s.sleep(ctx, min(wait, next, late), pressed)
}

// work does what is to be done when everything that was emitted has been handed over.
func (s *subtask) work(ctx context.Context) (worked bool, wait time.Duration, err error) {
	answered, err := s.takeAnswers()
	if err != nil {
		return false, 0, err
	}
	fired, due, err := s.fireTimers()
	if err != nil {
		return false, 0, err
	}
	worked, wait, err = s.step(ctx)
	return worked || fired || answered, min(wait, due), err
}

// step processes what comes next from the source or the gate.
func (s *subtask) step(ctx context.Context) (worked bool, wait time.Duration, err error) {
	if s.held() {
		worked, err := s.stepHeld(ctx)
		return worked, math.MaxInt64, err
	}
	if s.replay.left() {
		return true, 0, s.takeReplay()
	}
	if s.source == nil {
		i, e, ok, err := s.gate.poll()
		if err != nil || !ok {
			return false, math.MaxInt64, err
		}
		return true, 0, s.take(ctx, i, e)
	}
	if s.ended || s.stopping.hold != 0 {
		return false, math.MaxInt64, nil
	}
	worked, wait, ended, err := s.source.read(ctx)
	if err != nil {
		return false, 0, err
	}
	if ended {
		return true, 0, s.end()
	}
	return worked, wait, s.tellIdle(s.source.idle())
}

// sleep waits for mail, input, credit or the time. pressed: it is credit that is missing.
func (s *subtask) sleep(ctx context.Context, d time.Duration, pressed bool) error {
	start := time.Now()
	s.timer.Reset(d)
	select {
	case <-s.wake:
	case <-s.timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if pressed {
		s.stats.backpressureNanos.Add(int64(time.Since(start)))
	}
	return nil
}

// lingering sends what has waited long enough, and tells when the next is due.
func (s *subtask) lingering() (time.Duration, error) {
	next := time.Duration(math.MaxInt64)
	for _, out := range s.sendings {
		if out.since.IsZero() {
			continue
		}
		left := s.linger - s.clock.Sub(out.since)
		if left <= 0 {
			if err := out.writer.flush(); err != nil {
				return 0, err
			}
			continue
		}
		next = min(next, left)
	}
	return next, nil
}

// take processes an element of a channel.
func (s *subtask) take(ctx context.Context, i int, e element) error {
	switch e.kind {
	case exchange.Batch:
		return s.takeBatch(s.gate.channels[i], e)
	case exchange.Watermark:
		if s.valve.watermark(i, e.arg) {
			return s.moveTime()
		}
	case exchange.Idle:
		if s.valve.setIdle(i, e.arg == 1) {
			return s.moveTime()
		}
		return s.tellIdle(s.valve.idle)
	case exchange.Barrier:
		return s.takeBarrier(ctx, i, e.trigger)
	case exchange.End:
		return s.takeEnd(i)
	default:
		return fmt.Errorf("%w %v: unknown element %d", errTransport, i, e.kind)
	}
	return nil
}

func (s *subtask) takeEnd(i int) error {
	moved := s.valve.end(i)
	switch {
	case s.valve.allEnded():
		return s.end()
	case moved:
		return s.moveTime()
	default:
		return s.tellIdle(s.valve.idle)
	}
}

func (s *subtask) takeBatch(c *inChannel, e element) (err error) {
	if s.align.keeps > 0 && s.align.keeping[c.index] {
		s.keep(c, e)
	}
	rows := 0
	if e.batch != nil {
		rows, err = c.inlet.batch(e.batch)
	} else {
		s.stats.bytesIn.Add(int64(len(e.payload)))
		rows, err = c.inlet.payload(e.payload)
	}
	s.stats.in.Add(int64(rows))
	c.done()
	return err
}

// moveTime passes the combined watermark through the chain.
func (s *subtask) moveTime() error {
	s.stats.wm.Store(s.valve.wm)
	if err := s.nodes[0].watermark(s.valve.wm); err != nil {
		return err
	}
	return s.tellIdle(s.valve.idle)
}

// tellIdle tells downstream when this subtask stops or starts to count for the
// watermark. With results still to come it counts.
func (s *subtask) tellIdle(idle bool) error {
	idle = idle && !s.pending()
	if idle == s.idle {
		return nil
	}
	s.idle = idle
	arg := int64(0)
	if idle {
		arg = 1
	}
	return s.control(element{kind: exchange.Idle, arg: arg})
}

// end takes the end of all inputs. The subtask lives on: barriers still pass.
func (s *subtask) end() error {
	if s.ended {
		return nil
	}
	s.ended = true
	s.stats.wm.Store(MaxWatermark)
	if err := s.nodes[0].watermark(MaxWatermark); err != nil {
		return err
	}
	if s.pending() {
		return nil // the last result ends it
	}
	return s.endOutput()
}

// endOutput tells downstream that nothing more will come.
func (s *subtask) endOutput() error {
	if s.endSent {
		return nil
	}
	s.endSent = true
	if err := s.control(element{kind: exchange.End}); err != nil {
		return err
	}
	s.host.inputEnded()
	return nil
}

// control sends an element over all outgoing channels.
func (s *subtask) control(e element) error {
	for _, out := range s.sendings {
		if err := out.control(e); err != nil {
			return err
		}
	}
	return nil
}

// close closes the operators.
func (s *subtask) close() error {
	var errs []error
	for _, n := range s.nodes {
		errs = append(errs, n.close())
	}
	return errors.Join(errs...)
}
