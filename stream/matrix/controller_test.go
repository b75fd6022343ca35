package matrix

import (
	"context"
	"fmt"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/snapshot"
)

// controller is the controller of one attempt: one checkpoint after the other, and a
// last one when the data has ended. One goroutine runs it.
type controller struct {
	w           *world
	shares      []share
	heard       *queue[news]
	parallelism [groupsOf]int
	next        *time.Timer // when the next checkpoint begins
	expires     *time.Timer // when the one in flight is given up

	flight    engine.Trigger // ID is 0 if none is in flight
	parts     map[dataflow.Incarnation]*snapshot.Process
	ended     int
	final     bool
	done      dataflow.CheckpointID // the final one, when it is complete
	committed map[dataflow.Incarnation]dataflow.CheckpointID
}

// pauseMax bounds the pause between two checkpoints.
const pauseMax = 15 * time.Millisecond

func (c *controller) run(ctx context.Context) error {
	c.soon()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.next.C:
			c.trigger()
		case <-c.expires.C:
			c.abort("expired")
		case <-c.w.aborts.more:
			c.w.aborts.take()
			c.abort("aborted")
		case <-c.heard.more:
			for _, n := range c.heard.take() {
				if err := c.hear(n); err != nil {
					return err
				}
			}
		}
	}
}

// soon begins the next checkpoint after a pause.
func (c *controller) soon() {
	c.w.mu.Lock()
	c.next.Reset(time.Duration(c.w.r.Int64N(int64(pauseMax))))
	c.w.mu.Unlock()
}

// trigger begins a checkpoint, at all processes at once or at the others later.
func (c *controller) trigger() {
	c.w.reach(beforeTrigger)
	c.w.lastID++
	c.flight, c.parts = c.w.trigger(c.w.lastID), map[dataflow.Incarnation]*snapshot.Process{}
	if c.final = c.ended == len(c.shares); !c.final {
		c.expires.Reset(c.w.expiry)
	}
	first := c.w.chance(4)
	for i, s := range c.shares {
		if i == 0 || !first {
			s.attempt.Trigger(c.flight)
		}
	}
	c.w.reach(triggered)
	if first || c.w.chance(8) { // the next leader repeats it
		time.Sleep(time.Millisecond)
		for _, s := range c.shares {
			s.attempt.Trigger(c.flight)
		}
	}
}

// trigger is a checkpoint of the run's mode.
func (w *world) trigger(id dataflow.CheckpointID) engine.Trigger {
	t := engine.Trigger{ID: id, At: time.Now()}
	m := w.mode
	if m == mixed {
		w.mu.Lock()
		m = mode(w.r.IntN(int(mixed)))
		w.mu.Unlock()
		if m == atLeastOnce {
			t.Mode = engine.Savepoint // who needs exactly once does not take the other
		}
	}
	switch {
	case m == unaligned:
		t.Mode = engine.Unaligned
	case m == alignedTimeout:
		t.AlignedTimeout = w.timeout
	case w.mode == atLeastOnce:
		t.Mode = engine.AtLeastOnce
	}
	return t
}

func (c *controller) hear(n news) error {
	switch {
	case n.ended:
		c.ended++
	case n.committed:
		c.committed[n.process] = n.id
		return c.confirm()
	case n.id != c.flight.ID:
	case n.part == nil:
		c.abort("declined: " + n.declined.Error())
	default:
		c.parts[n.process] = n.part
		if c.w.reach(someAcked); len(c.parts) == len(c.shares) {
			c.complete()
		}
	}
	return nil
}

// abort gives the checkpoint in flight up.
func (c *controller) abort(why string) {
	if c.flight.ID == 0 {
		return
	}
	c.w.note("checkpoint %d %s", c.flight.ID, why)
	c.w.cover.hit("checkpoint given up")
	for _, s := range c.shares {
		s.attempt.Aborted(c.flight.ID)
	}
	c.over()
}

// over ends a checkpoint, and lets the next follow.
func (c *controller) over() {
	c.flight = engine.Trigger{}
	c.expires.Stop()
	if c.w.chance(3) {
		c.trigger()
		return
	}
	c.soon()
}

func (c *controller) complete() {
	c.w.reach(allAcked)
	r := &engine.Restore{Checkpoint: c.flight.ID, Attempt: c.w.attempt}
	if c.w.restore != nil {
		r.CommitsKnown = c.w.restore.CommitsKnown
	}
	for _, p := range c.parts {
		r.Processes = append(r.Processes, *p)
	}
	c.w.completed(c, r)
	c.w.reach(completed)
	for _, s := range c.shares {
		s.attempt.Completed(c.flight.ID)
		c.w.reach(someTold)
	}
	if c.final {
		c.done, c.flight = c.flight.ID, engine.Trigger{}
		return
	}
	c.over()
}

// completed makes a checkpoint the one that a restore begins with, and counts what is in it.
func (w *world) completed(c *controller, r *engine.Restore) {
	in, out := inFlight(r)
	w.restore, w.parallelismOf, w.held = r, c.parallelism, in+out > 0
	w.cover.hit(w.mode.String() + ": completed")
	if w.held {
		w.cover.hit(fmt.Sprintf("%v: completed with records in flight", w.mode))
	}
	if out > 0 {
		w.cover.hit(fmt.Sprintf("%v: completed with records that were not sent", w.mode))
	}
	w.note("checkpoint %d completed, %s, %d records in flight and %d not sent", r.Checkpoint, c.barriers(), in, out)
}

// confirm tells everybody what everybody has committed.
func (c *controller) confirm() error {
	if len(c.committed) < len(c.shares) {
		return nil
	}
	known := c.w.lastID
	for _, id := range c.committed {
		known = min(known, id)
	}
	c.w.restore.CommitsKnown = max(known, c.w.restore.CommitsKnown)
	c.w.reach(committed)
	for _, s := range c.shares {
		s.attempt.CommitsKnown(known)
	}
	if c.done != 0 && known >= c.done {
		return errDone
	}
	return nil
}

// barriers tells how those of the checkpoint in flight pass.
func (c *controller) barriers() string {
	if c.flight.AlignedTimeout > 0 {
		return fmt.Sprintf("mode %d with timeout", c.flight.Mode)
	}
	return fmt.Sprintf("mode %d", c.flight.Mode)
}

// inFlight counts the records that a checkpoint has besides the state: in the receivers' queues,
// and not sent yet.
func inFlight(r *engine.Restore) (in, out int) {
	for _, p := range r.Processes {
		for _, s := range p.Subtasks {
			for _, f := range s.InFlight {
				if f.Output {
					out += int(f.Rows)
				} else {
					in += int(f.Rows)
				}
			}
		}
	}
	return in, out
}
