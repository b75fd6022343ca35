package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state/changelog"
)

// subtaskCut is a subtask's part of a checkpoint at its barrier.
type subtaskCut struct {
	task     dataflow.TaskID
	parts    []part
	inFlight []inFlightBatch // in the order of their channels
	timing   snapshot.Timing
	at       time.Time // when it was cut
}

// inFlightBatch is a batch that a barrier has overtaken.
type inFlightBatch struct {
	of     inFlightChannel
	rows   int
	encode func() []byte // makes the bytes that would travel to another process
}

// inFlightChannel says where a batch was in flight.
type inFlightChannel struct {
	edge, from, to int
	output         bool // it had not left its sender
	age            int  // restores that it has been in flight over
}

// keepInput keeps what the channels hold before the barrier of t.
func (s *subtask) keepInput(t *Trigger) {
	if len(s.gate.channels) == 0 || !t.mayOvertake() {
		return
	}
	for _, b := range s.replay.batches {
		s.open.cut.inFlight = append(s.open.cut.inFlight, inFlightBatch{
			of: inFlightChannel{edge: b.edge, from: b.from, to: s.task.Subtask, age: b.age + 1}, rows: b.rows, encode: func() []byte { return b.payload },
		})
	}
	for i := range s.gate.channels {
		if s.align.inFlight(i) {
			s.keepQueued(i, t)
		}
	}
}

// keepQueued keeps what a channel holds before the barrier of t.
func (s *subtask) keepQueued(i int, t *Trigger) {
	if s.open == nil || s.open.t.ID != t.ID {
		return
	}
	for _, e := range s.gate.before(i, t.ID) {
		s.keep(s.gate.channels[i], e)
	}
}

// keep keeps a batch of a channel.
func (s *subtask) keep(c *inChannel, e element) {
	of := inFlightChannel{edge: c.of.edge, from: c.of.from, to: s.task.Subtask}
	s.open.cut.keep(of, e, c.inlet.keep)
}

// keepOutput keeps a batch that waits to be sent.
func (c *subtaskCut) keepOutput(s *sending, o *outChannel, e element) {
	c.keep(inFlightChannel{edge: o.id.Edge, from: o.id.From, to: o.id.To, output: true}, e, s.keep)
}

func (c *subtaskCut) keep(of inFlightChannel, e element, encoded func(batch any) func() []byte) {
	b := inFlightBatch{of: of, rows: int(e.arg), encode: func() []byte { return e.payload }}
	if e.batch != nil {
		b.encode = encoded(e.batch)
	}
	c.inFlight = append(c.inFlight, b)
}

// channelInFlight is all that was in flight in a channel, on one of its sides.
type channelInFlight struct {
	of      inFlightChannel
	batches [][]byte
	rows    int
}

// byChannel encodes what is in flight, by channel in the order of their first batches.
func (c *subtaskCut) byChannel() []*channelInFlight {
	var all []*channelInFlight
	known := map[inFlightChannel]*channelInFlight{}
	for _, b := range c.inFlight {
		ch := known[b.of]
		if ch == nil {
			ch = &channelInFlight{of: b.of}
			known[b.of] = ch
			all = append(all, ch)
		}
		ch.batches = append(ch.batches, b.encode())
		ch.rows += b.rows
	}
	return all
}

// keepInFlight hands what is in flight to the changelog's uploader, and returns what the
// checkpoint will say of it, by subtask in the order of the cuts, without the references.
func (a *Attempt) keepInFlight(ck *checkpoint) (kept [][]snapshot.InFlight, bytes int64) {
	var channels []changelog.InFlight
	for _, c := range ck.cuts {
		var mine []snapshot.InFlight
		for _, ch := range c.byChannel() {
			mine = append(mine, snapshot.InFlight{Edge: ch.of.edge, From: ch.of.from, To: ch.of.to, Output: ch.of.output, Age: ch.of.age, Rows: int64(ch.rows)})
			channels = append(channels, changelog.InFlight{
				Channel: fmt.Sprintf("%d: %d -> %d", ch.of.edge, ch.of.from, ch.of.to), Batches: ch.batches,
			})
			for _, b := range ch.batches {
				bytes += int64(len(b))
			}
		}
		kept = append(kept, mine)
		c.inFlight = nil
	}
	if len(channels) > 0 {
		a.uploader.KeepInFlight(ck.id, channels)
	}
	return kept, bytes
}

// errSubsumed is why a checkpoint can't be finished when a newer one completed meanwhile:
// the uploader has let go of what was in flight for it.
var errSubsumed = errors.New("a newer checkpoint has completed")

// refer fills in where what is in flight has become durable, and says of which edges it is.
func (a *Attempt) refer(out *snapshot.Process, kept [][]snapshot.InFlight, refs []objectstore.Ref) error {
	channels := 0
	for _, mine := range kept {
		channels += len(mine)
	}
	if len(refs) != channels {
		return errSubsumed
	}
	edges := map[int]bool{}
	for i, mine := range kept {
		for k := range mine {
			mine[k].Ref, refs = refs[0], refs[1:]
			edges[mine[k].Edge] = true
		}
		out.Subtasks[i].InFlight = mine
	}
	for i := range a.plan.Edges {
		if edges[i] {
			out.Edges = append(out.Edges, a.program.edge(a.plan.Edges[i]))
		}
	}
	return nil
}

// edge describes an edge of the plan.
func (p *Program) edge(e dataflow.PlanEdge) snapshot.Edge {
	g := p.Graph.Edges[e.Edge]
	return snapshot.Edge{
		Index: e.Index, From: g.From, Output: g.Output, To: g.To, Input: g.Input, Partitioning: e.Partitioning,
		Schema: p.Edges[e.Edge].schema(), KeySchema: p.Edges[e.Edge].keySchema(),
	}
}
