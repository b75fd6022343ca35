package task

import (
	"context"
	"testing"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/wire"
)

// gated is numbers, of which the odd ones wait for a gate after the first read.
type gated struct {
	numbers
	open chan struct{}
}

func (g gated) Open(ctx context.Context, env connector.Env, s connector.Split, position []byte) (connector.Reader[int64], error) {
	r, err := g.numbers.Open(ctx, env, s, position)
	if s.ID == "even" || err != nil {
		return r, err
	}
	return &gatedReader{r, g.open, 10}, nil
}

type gatedReader struct {
	connector.Reader[int64]
	open chan struct{}
	free int // how many may be read before the gate opens
}

func (r *gatedReader) Next(ctx context.Context, limit int, out *connector.Records[int64]) (time.Duration, error) {
	select {
	case <-r.open:
		return r.Reader.Next(ctx, limit, out)
	default:
	}
	limit = min(limit, r.free)
	if r.free -= limit; limit == 0 {
		return time.Millisecond, nil
	}
	return r.Reader.Next(ctx, limit, out)
}

// TestSourcesOfTwoProcessesStayTogether: one split waits and the other, in another process
// and with the real engine, is held by the news of it.
func TestSourcesOfTwoProcessesStayTogether(t *testing.T) {
	bucket, gate, graph := mem.Open(t.Name()), make(chan struct{}), testGraph()
	graph.Edges[0].Partitioning = dataflow.Forward
	program := &engine.Program{Graph: graph, Edges: []engine.Edge{engine.NewEdge[int64]()},
		Operators: map[dataflow.UID]engine.Operator{
			"source": engine.NewSource(gated{open: gate}, engine.SourceOptions[int64]{
				Timestamp: func(n int64) int64 { return n }, Watermarks: true, AlignGroup: "numbers", AlignDrift: 100 * time.Millisecond,
			}),
			"sink": engine.NewSink(&seen{subtask: map[int64]int{}}),
		}}
	agents := []*agent{launch(t, "w1", program, engineDriver{}, bucket), launch(t, "w2", program, engineDriver{}, bucket)}
	for _, a := range agents {
		a.deploy(1, func(d *wire.Deploy) {
			d.Graph, d.Placements = mustJSON(t, graph), d.Placements[:2] // one vertex
		})
		a.awaitStatus(1, deployed)
		a.start(1)
	}
	carry := &carrier{t: t, agents: agents, told: time.Now()}
	carry.until("w1 to be held", func() bool { return carry.same >= 3 })
	// Each batch of the even numbers is 1,024 of them: the first goes beyond 19 and the drift.
	if carry.lowest != 2045 && carry.gap < time.Second {
		t.Errorf("w1 has come to %d, want the 2045 of one batch, with at most %v between news", carry.lowest, carry.gap)
	}
	close(gate)
	carry.until("the end of the data", func() bool { return carry.ended == 2 })
	for _, a := range agents {
		a.stop(1, true)
		a.awaitStatus(1, stopped)
		if err := a.awaitResult(); err != nil {
			t.Error(err)
		}
	}
}

// carrier carries the news between two processes, as agents and leader do.
type carrier struct {
	t      *testing.T
	agents []*agent
	lowest int64         // the latest word of the first
	same   int           // how often it has said it in a row, once it has a watermark
	told   time.Time     // when the first heard of the second
	gap    time.Duration // the longest that it heard nothing
	ended  int
}

// until carries until done.
func (c *carrier) until(what string, done func() bool) {
	c.t.Helper()
	late := time.After(patience)
	for !done() {
		select {
		case m := <-c.agents[0].heard:
			c.heard(0, m)
		case m := <-c.agents[1].heard:
			c.heard(1, m)
		case <-late:
			c.t.Fatalf("waited in vain for %s", what)
		}
	}
}

func (c *carrier) heard(from int, m *wire.TaskMessage) {
	if m.GetStatus().GetState() == endOfData {
		c.ended++
	}
	news := m.GetSourceTimes()
	if news == nil {
		return
	}
	if from == 0 {
		c.note(news.Times[0].LowestMs)
	} else {
		c.gap = max(c.gap, time.Since(c.told))
		c.told = time.Now()
	}
	c.agents[1-from].orders <- &wire.TaskOrder{Body: &wire.TaskOrder_SourceTimes{SourceTimes: news}}
}

func (c *carrier) note(lowest int64) {
	if lowest != c.lowest || lowest == connector.NoTime {
		c.same = 0
	}
	c.lowest = lowest
	c.same++
}
