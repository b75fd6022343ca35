package task

import (
	"context"
	"encoding/binary"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/wire"
)

const perSplit = 5000

// numbers is a source of two splits with perSplit numbers each.
type numbers struct{}

func (numbers) Splits(context.Context, connector.Env) ([]connector.Split, error) {
	return []connector.Split{{ID: "even"}, {ID: "odd"}}, nil
}

func (numbers) Open(_ context.Context, _ connector.Env, s connector.Split, position []byte) (connector.Reader[int64], error) {
	r := &numberReader{}
	if s.ID == "odd" {
		r.offset = 1
	}
	if position != nil {
		r.n = int64(binary.LittleEndian.Uint64(position))
	}
	return r, nil
}

type numberReader struct{ n, offset int64 }

func (r *numberReader) Next(_ context.Context, limit int, out *connector.Records[int64]) (time.Duration, error) {
	for range limit {
		if r.n == perSplit {
			return 0, io.EOF
		}
		out.Values = append(out.Values, 2*r.n+r.offset)
		out.Times = append(out.Times, connector.NoTime)
		r.n++
	}
	return 0, nil
}

func (r *numberReader) Position() []byte { return binary.LittleEndian.AppendUint64(nil, uint64(r.n)) }
func (r *numberReader) Close() error     { return nil }

// seen is a sink that remembers which subtask got which number.
type seen struct {
	mu      sync.Mutex
	subtask map[int64]int
	doubled int
}

func (s *seen) Open(_ context.Context, env connector.Env) (connector.Writer[int64], error) {
	return &seenWriter{sink: s, subtask: env.Subtask}, nil
}

type seenWriter struct {
	sink    *seen
	subtask int
}

func (w *seenWriter) Write(values []int64, _ []int64) error {
	w.sink.mu.Lock()
	defer w.sink.mu.Unlock()
	for _, v := range values {
		if _, twice := w.sink.subtask[v]; twice {
			w.sink.doubled++
		}
		w.sink.subtask[v] = w.subtask
	}
	return nil
}

func (*seenWriter) Prepare(dataflow.CheckpointID) (func(context.Context) ([][]byte, error), error) {
	return nil, nil
}
func (*seenWriter) Close() error { return nil }

// TestTwoProcessesRunOneJob is the whole path but for leader and agents: two
// task processes with the real engine, connected by the exchange.
func TestTwoProcessesRunOneJob(t *testing.T) {
	bucket := mem.Open(t.Name())
	sink := &seen{subtask: map[int64]int{}}
	graph := testGraph()
	graph.Edges[0].Partitioning = dataflow.Hash
	program := &engine.Program{Graph: graph,
		Operators: map[dataflow.UID]engine.Operator{
			"source": engine.NewSource(numbers{}, engine.SourceOptions[int64]{}), "sink": engine.NewSink(sink)},
		Edges: []engine.Edge{engine.NewHashEdge("int64", func() func([]byte, int64) []byte {
			return func(dst []byte, v int64) []byte { return binary.LittleEndian.AppendUint64(dst, uint64(v)) }
		})}}
	agents := []*agent{launch(t, "w1", program, engineDriver{}, bucket), launch(t, "w2", program, engineDriver{}, bucket)}
	var peers []*wire.Peer
	for _, a := range agents {
		a.deploy(1, func(d *wire.Deploy) { d.Graph = mustJSON(t, graph) })
		s := a.awaitStatus(1, deployed)
		peers = append(peers, &wire.Peer{Worker: a.worker, Process: s.Process, ExchangeAddress: s.ExchangeAddress})
	}
	for _, a := range agents {
		a.orders <- &wire.TaskOrder{Body: &wire.TaskOrder_Start{Start: &wire.Start{Job: jobID, Attempt: 1, Peers: peers}}}
	}
	for _, a := range agents {
		a.awaitStatus(1, endOfData)
	}
	for _, a := range agents { // a checkpoint after the end still passes through both
		a.trigger(1, 1)
	}
	for _, a := range agents {
		a.await("ack", func(m *wire.TaskMessage) bool { return m.GetAck().GetCheckpoint() == 1 })
		a.outcome(1, 1, completed)
	}
	for _, a := range agents {
		a.await("commit", func(m *wire.TaskMessage) bool { return m.GetCommitDone().GetCheckpoint() == 1 })
		a.stop(1, true)
		a.awaitStatus(1, stopped)
		if err := a.awaitResult(); err != nil {
			t.Error(err)
		}
	}
	used := map[int]int{}
	for _, subtask := range sink.subtask {
		used[subtask]++
	}
	if len(sink.subtask) != 2*perSplit || sink.doubled != 0 || len(used) != 2 {
		t.Errorf("%d of %d numbers arrived, %d twice, by subtask %v", len(sink.subtask), 2*perSplit, sink.doubled, used)
	}
}
