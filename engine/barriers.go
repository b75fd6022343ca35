package engine

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/exchange"
	"github.com/cairnstream/cairn/snapshot"
)

// alignTimes are when the first news of the checkpoint being aligned came and when
// the checkpoint was triggered.
type alignTimes struct {
	first   time.Time
	trigger time.Time
}

// lateness is when a checkpoint's barriers begin to overtake.
type lateness struct {
	t      *Trigger // nil: none
	at     time.Time
	passed bool
}

// openCut is a cut that is not whole: barriers are still to come that end what is in flight
// before them, or still wait in line and may have to overtake.
type openCut struct {
	t       *Trigger
	cut     *subtaskCut
	outputs int // channels in whose line the barrier waits and may overtake
}

// readMail takes what the host has told.
func (s *subtask) readMail(ctx context.Context) error {
	s.mail.mu.Lock()
	triggers, aborted := s.mail.triggers, s.mail.aborted
	s.mail.triggers, s.mail.aborted = nil, nil
	s.mail.mu.Unlock()
	for _, id := range aborted {
		if err := s.cancel(id, true); err != nil {
			return err
		}
	}
	for _, t := range triggers {
		if s.source == nil || !s.align.trigger(t.ID) {
			continue
		}
		s.beginAligning(t)
		if err := s.triggered(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// hear reads the gate's news and looks at the clock. heard: there was something; wait: how
// long there will be nothing if no news comes.
func (s *subtask) hear(ctx context.Context) (heard bool, wait time.Duration, err error) {
	if s.gate.told.Load() {
		s.news = s.gate.readNews(s.news)
		for _, n := range s.news {
			if err := s.takeNews(ctx, n); err != nil {
				return false, 0, err
			}
		}
		heard = true
	}
	late := &s.late
	if late.t == nil || late.passed {
		return heard, math.MaxInt64, nil
	}
	if wait = late.at.Sub(s.clock); wait > 0 {
		return heard, wait, nil
	}
	return true, math.MaxInt64, s.timeout(ctx)
}

func (s *subtask) takeNews(ctx context.Context, n news) error {
	if n.trigger == nil {
		return s.cancel(n.cancelled, false)
	}
	return s.obey(ctx, s.align.news(n.channel, n.trigger), n.channel, n.trigger)
}

func (s *subtask) takeBarrier(ctx context.Context, i int, t *Trigger) error {
	return s.obey(ctx, s.align.barrier(i, t), i, t)
}

// obey carries out a verdict about the barrier of t in channel i.
func (s *subtask) obey(ctx context.Context, v verdict, i int, t *Trigger) error {
	if v.keep {
		s.keepQueued(i, t)
	}
	if v.keep || v.kept {
		s.settle(ctx)
		return nil
	}
	if v.begun {
		s.beginAligning(t)
	}
	if v.declined != 0 {
		s.host.decline(v.declined, fmt.Errorf("subtask %v: overtaken by checkpoint %d during alignment", s.task, t.ID))
	}
	if v.release {
		s.gate.unblockAll()
	}
	if v.block {
		s.gate.block(i)
	}
	if v.begun && (!v.cut || s.align.keeps > 0) {
		s.host.passTrigger(t)
	}
	defer s.showAlignment()
	switch {
	case v.cut:
		return s.cutAtEnd(ctx, t)
	case v.begun && s.late.passed:
		return s.timeout(ctx)
	}
	return nil
}

// beginAligning notes when a checkpoint was first heard of.
func (s *subtask) beginAligning(t *Trigger) {
	s.aligning, s.late = alignTimes{first: s.clock, trigger: t.At}, lateness{}
	if t.Mode == Aligned && t.AlignedTimeout > 0 {
		at := t.deadline(s.clock)
		s.late = lateness{t: t, at: at, passed: !s.clock.Before(at)}
	}
}

// timeout lets the barriers of the checkpoint overtake from now on.
func (s *subtask) timeout(ctx context.Context) error {
	t := s.late.t
	s.late.passed = true
	if s.align.now != nil && s.align.now.ID == t.ID && s.align.timeout() {
		s.gate.unblockAll()
		defer s.showAlignment()
		return s.cut(ctx, t)
	}
	if s.open == nil || s.open.t.ID != t.ID {
		return nil
	}
	for _, out := range s.sendings {
		if err := s.overtakeLine(out, t); err != nil {
			return err
		}
	}
	s.settle(ctx)
	return nil
}

// overtakes tells whether the barriers of t overtake now.
func (s *subtask) overtakes(t *Trigger) bool {
	return t.Mode == Unaligned || s.late.passed && s.late.t.ID == t.ID
}

// cancel takes the news that checkpoint id will not complete: from the host, or by a marker
// from upstream. It goes on downstream ahead of everything, so that a subtask whose
// process the leader has not reached does not wait for a barrier that will not come.
func (s *subtask) cancel(id dataflow.CheckpointID, host bool) error {
	s.stopping.aborted(id)
	release, fresh := s.align.abort(id)
	if release {
		s.gate.unblockAll()
	}
	if s.open != nil && s.open.t.ID == id {
		s.open = nil
	}
	if s.late.t != nil && s.late.t.ID == id {
		s.late = lateness{}
	}
	s.showAlignment()
	if !fresh && !host {
		return nil
	}
	e := element{kind: exchange.Cancel, arg: int64(id)}
	for _, out := range s.sendings {
		for _, c := range out.channels {
			if _, err := c.try(out.ctx, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// cut takes the state of all operators as of here, head first, and sends the
// barrier on behind every record that the state has seen, or past those that wait. It does
// no I/O: what takes time happens beside the loop.
func (s *subtask) cut(ctx context.Context, t *Trigger) error {
	start, id := time.Now(), t.ID
	if s.open != nil {
		s.host.decline(s.open.t.ID, fmt.Errorf("subtask %v: overtaken by checkpoint %d", s.task, id))
	}
	c := &subtaskCut{task: s.task, parts: make([]part, 0, len(s.nodes))}
	for i, n := range s.nodes {
		p, err := n.cut(id)
		if err != nil {
			return fmt.Errorf("checkpoint %d: operator %q: %w", id, s.uids[i], err)
		}
		c.parts = append(c.parts, p)
	}
	s.open = &openCut{t: t, cut: c}
	s.keepInput(t)
	if err := s.sendBarrier(t); err != nil {
		return err
	}
	c.at = time.Now()
	c.timing = snapshot.Timing{
		StartDelay: max(0, s.aligning.first.Sub(s.aligning.trigger)),
		Align:      start.Sub(s.aligning.first),
		Sync:       c.at.Sub(start),
	}
	s.settle(ctx)
	return nil
}

// settle hands the cut over once it is whole.
func (s *subtask) settle(ctx context.Context) {
	o := s.open
	if o == nil || o.outputs > 0 || s.align.keeps > 0 {
		return
	}
	s.open, s.late = nil, lateness{}
	s.showAlignment()
	s.host.cutDone(ctx, o.t.ID, o.cut)
}

// sendBarrier sends the barrier over all outgoing channels.
func (s *subtask) sendBarrier(t *Trigger) error {
	over := s.overtakes(t)
	for _, out := range s.sendings {
		if err := out.writer.flush(); err != nil {
			return err
		}
		for _, c := range out.channels {
			if err := s.sendBarrierTo(out, c, t, over && out.overtakable()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *subtask) sendBarrierTo(out *sending, c *outChannel, t *Trigger, over bool) error {
	if over {
		return s.overtake(out, c, t)
	}
	if err := c.hand(out, barrierOf(t)); err != nil {
		return err
	}
	if len(c.line) > 0 && out.overtakable() && t.mayOvertake() {
		s.open.outputs++
	}
	return nil
}

// overtake lets the barrier overtake what waits in a channel's line, which is in flight.
func (s *subtask) overtake(out *sending, c *outChannel, t *Trigger) error {
	batches, err := c.overtake(out, t)
	for _, e := range batches {
		s.open.cut.keepOutput(out, c, e)
	}
	return err
}

// overtakeLine is overtake for the channels of an edge in whose line the barrier waits.
func (s *subtask) overtakeLine(out *sending, t *Trigger) error {
	if !out.overtakable() {
		return nil
	}
	for _, c := range out.channels {
		if c.waitsWith(t) == len(c.line) {
			continue
		}
		s.open.outputs--
		if err := s.overtake(out, c, t); err != nil {
			return err
		}
	}
	return nil
}

// handed takes the news that a barrier which waited in line has been handed over.
func (s *subtask) handed(ctx context.Context, out *sending, t *Trigger) {
	if s.open == nil || s.open.t.ID != t.ID || !out.overtakable() || !t.mayOvertake() {
		return
	}
	s.open.outputs--
	s.settle(ctx)
}
