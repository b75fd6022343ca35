package engine

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/cairnstream/cairn/exchange"
)

// overflowMax is how many batches may wait for credit in a subtask before its operator does, in
// the midst of its work. An operator that emits as much as it is given never gets there. One that
// emits much for one batch or watermark must not fill the memory; a barrier then waits
// until it has room.
const overflowMax = 128

// pressure is what a subtask has emitted and could not hand over: a channel without credit
// keeps it in line. While there is any, the subtask takes no more input, but goes on reading
// its mail, and cuts its state when it is told to. Only the subtask's goroutine uses it.
type pressure struct {
	channels int // that have something in line
	batches  int // in all of them
	// relieve waits, in the midst of an operator's work, until there are fewer batches.
	relieve func() error
	// handed is told of a barrier that waited and has been handed over.
	handed func(s *sending, t *Trigger)
}

// waits tells whether something waits.
func (p *pressure) waits() bool { return p.channels > 0 }

// hand gives an element to a channel, or puts it behind what waits there.
func (c *outChannel) hand(s *sending, e element) error {
	if len(c.line) == 0 {
		ok, err := c.try(s.ctx, e)
		if ok || err != nil {
			return err
		}
		s.pressure.channels++
	}
	if n := len(c.line); n > 0 && e.kind == exchange.Watermark && c.line[n-1].kind == exchange.Watermark {
		c.line[n-1] = e
		return nil
	}
	if e.kind == exchange.Batch {
		s.pressure.batches++
	}
	c.line = append(c.line, e)
	return nil
}

// try gives an element to a channel. Only a batch needs credit.
func (c *outChannel) try(ctx context.Context, e element) (ok bool, err error) {
	switch {
	case c.local == nil:
		return c.send(ctx, e)
	case e.kind == exchange.Batch:
		return c.local.tryPush(e), nil
	}
	c.local.push(e)
	return true, nil
}

// drain hands over what waits and has credit now, and tells whether there was any.
func (s *sending) drain() (some bool, err error) {
	for _, c := range s.channels {
		if len(c.line) == 0 {
			continue
		}
		n, err := s.drainChannel(c)
		some = some || n > 0
		if err != nil {
			return some, err
		}
	}
	return some, nil
}

func (s *sending) drainChannel(c *outChannel) (n int, err error) {
	for n < len(c.line) {
		e := c.line[n]
		e.more = e.kind == exchange.Batch && n+1 < len(c.line) && c.line[n+1].kind == exchange.Watermark
		ok, err := c.try(s.ctx, e)
		if err != nil {
			return n, err
		}
		if !ok {
			break
		}
		n++
		if e.kind == exchange.Batch {
			s.pressure.batches--
		}
		if e.kind == exchange.Barrier {
			s.pressure.handed(s, e.trigger)
		}
	}
	c.remove(s, 0, n)
	return n, nil
}

// remove takes n elements out of the line.
func (c *outChannel) remove(s *sending, at, n int) {
	if n == 0 {
		return
	}
	c.line = slices.Delete(c.line, at, at+n)
	if len(c.line) == 0 {
		s.pressure.channels--
	}
}

// waitsWith tells where in line the barrier of t waits; the line's length if it does not.
func (c *outChannel) waitsWith(t *Trigger) int {
	for i, e := range c.line {
		if e.kind == exchange.Barrier && e.trigger.ID == t.ID {
			return i
		}
	}
	return len(c.line)
}

// overtake hands the barrier of t over before everything that waits in the channel, and
// returns the batches that it overtakes: those before its place in line, if it waits already.
func (c *outChannel) overtake(s *sending, t *Trigger) (batches []element, err error) {
	at := c.waitsWith(t)
	for _, e := range c.line[:at] {
		if e.kind == exchange.Batch {
			batches = append(batches, e)
		}
	}
	if at < len(c.line) {
		c.remove(s, at, 1)
	}
	_, err = c.try(s.ctx, barrierOf(t))
	return batches, err
}

func barrierOf(t *Trigger) element {
	return element{kind: exchange.Barrier, arg: int64(t.ID), trigger: t}
}

// workPressed is work while something waits for credit. Nothing is done that could emit
// more; a barrier that has come to the head of its channel is taken.
func (s *subtask) workPressed(ctx context.Context) (worked bool, wait time.Duration, err error) {
	worked, err = s.drain()
	if err != nil || worked || s.source != nil || s.replay.left() {
		return worked, math.MaxInt64, err
	}
	i, e, ok, err := s.gate.pollIf(func(e element) bool { return e.kind == exchange.Barrier })
	if err != nil || !ok {
		return false, math.MaxInt64, err
	}
	return true, 0, s.take(ctx, i, e)
}

// drain hands over what waits and has credit now, and tells whether there was any.
func (s *subtask) drain() (some bool, err error) {
	for _, out := range s.sendings {
		any, err := out.drain()
		if err != nil {
			return some, err
		}
		some = some || any
	}
	return some, nil
}

// relieve waits, in the midst of an operator's work, until there is room. What the subtask is
// told meanwhile it reads afterwards.
func (s *subtask) relieve(ctx context.Context) error {
	start := time.Now()
	defer poke(s.wake)
	for s.pressure.batches >= overflowMax {
		if some, err := s.drain(); some || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	s.stats.waited(start)
	return nil
}
