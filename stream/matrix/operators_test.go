package matrix

import (
	"fmt"

	"github.com/cairnstream/cairn/stream"
)

var (
	odds      = stream.NewSide[rec]("odds")
	numbersTo = stream.NewSide[rec]("numbers")
)

// splitter sends records of odd numbers to the side.
type splitter struct{ odd *stream.SideOutput[rec] }

func (f *splitter) Open(s *stream.Setup) error {
	f.odd = stream.OpenSide(s, odds)
	return nil
}

func (f *splitter) Process(out *stream.Emitter[rec], r rec) error {
	if r.N%2 == 1 {
		f.odd.Emit(sorted(r))
	} else {
		out.Emit(sorted(r))
	}
	return nil
}

// once lets each of the records that all subtasks get through in one of them.
type once struct{ id, number, of int }

func (f *once) Open(s *stream.Setup) error {
	f.number, f.of = s.Subtask()
	return nil
}

func (f *once) Process(out *stream.Emitter[rec], r rec) error {
	if r.N%f.of == f.number {
		out.Emit(passed(f.id, r, 0))
	}
	return nil
}

// counter numbers the records of a key and checks that those of a path come in order.
type counter struct {
	w       *world
	n       *node
	numbers *stream.MapOf[int, int]
	last    *stream.MapOf[uint64, int]
	out     *stream.SideOutput[rec]
}

func (c *counter) Open(s *stream.Setup) error {
	c.numbers = stream.MapState[int, int](s, "numbers")
	c.last = stream.MapState[uint64, int](s, "last")
	c.out = stream.OpenSide(s, numbersTo)
	return nil
}

func (c *counter) Process(ctx *stream.Context[int, rec], r rec) error { return c.take(ctx, r, 0) }

func (c *counter) OnTimer(*stream.Context[int, rec], stream.Timer) error { return nil }

func (c *counter) take(ctx *stream.Context[int, rec], r rec, input int) error {
	c.w.pause(c.n, r)
	if !c.w.repeats && !c.n.free && !r.Free {
		if err := c.checkOrder(r, mix(r.Path, input)); err != nil {
			return err
		}
	}
	number, _, err := c.numbers.Get(input)
	if err != nil {
		return err
	}
	c.out.Emit(numbered(r.Key, input, number+1))
	ctx.Emit(passed(c.n.id, r, input))
	return c.numbers.Put(input, number+1)
}

func (c *counter) checkOrder(r rec, path uint64) error {
	last, ok, err := c.last.Get(path)
	if err != nil {
		return err
	}
	if ok && last >= r.N {
		return fmt.Errorf("key %d: record %d of path %x after record %d", r.Key, r.N, r.Path, last)
	}
	return c.last.Put(path, r.N)
}

// coCounter is a counter of two streams.
type coCounter struct{ counter }

func (c *coCounter) ProcessFirst(ctx *stream.Context[int, rec], r rec) error {
	return c.take(ctx, r, 0)
}
func (c *coCounter) ProcessSecond(ctx *stream.Context[int, rec], r rec) error {
	return c.take(ctx, r, 1)
}

// ruled is a counter with a second stream that all subtasks get, each record of which one of
// them lets through. What all have got so far is the same in all.
type ruled struct {
	counter
	seen       *stream.Broadcasted[string, int]
	number, of int
}

func (c *ruled) Open(s *stream.Setup) error {
	c.number, c.of = s.Subtask()
	c.seen = stream.BroadcastState[string, int](s, "seen")
	return c.counter.Open(s)
}

func (c *ruled) ProcessBroadcast(out *stream.Emitter[rec], r rec) error {
	id := fmt.Sprint(r)
	times, _ := c.seen.Get(id)
	c.seen.Put(id, times+1)
	if times > 0 && !c.w.repeats {
		return fmt.Errorf("record %+v came %d times", r, times+1)
	}
	if r.N%c.of == c.number {
		out.Emit(passed(c.n.id, r, 1))
	}
	return nil
}

// ticker sets a timer at the end of each 20 ms that a record of a key is in.
type ticker struct {
	w *world
	n *node
}

func (f *ticker) Open(*stream.Setup) error { return nil }

func (f *ticker) Process(ctx *stream.Context[int, rec], r rec) error {
	f.w.pause(f.n, r)
	ctx.SetTimer(tickOf(r.Time), "")
	ctx.Emit(passed(f.n.id, r, 0))
	return nil
}

func (f *ticker) OnTimer(ctx *stream.Context[int, rec], t stream.Timer) error {
	ctx.Emit(ticked(f.n.id, ctx.Key(), t.At))
	return nil
}
