package stream_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/stream"
)

// rig is an attempt in one process, in virtual time, whose leader is the test.
type rig struct {
	t       *testing.T
	attempt *engine.Attempt
	acks    map[dataflow.CheckpointID]*snapshot.Process
	ended   bool // all data has been processed
	done    chan error
	cancel  context.CancelFunc
}

func (r *rig) Acknowledge(id dataflow.CheckpointID, p *snapshot.Process) { r.acks[id] = p }
func (r *rig) Decline(id dataflow.CheckpointID, reason error) {
	r.t.Errorf("checkpoint %d declined: %v", id, reason)
}
func (r *rig) EndOfData()                       { r.ended = true }
func (r *rig) Committed(dataflow.CheckpointID)  {}
func (r *rig) Restoring(engine.RestoreProgress) {}
func (r *rig) Trace(engine.TraceEvent)          {}

// startRig runs an attempt. The test reads what it heard after synctest.Wait.
func startRig(t *testing.T, build func(p *stream.Pipeline)) *rig {
	t.Helper()
	r := &rig{t: t, acks: map[dataflow.CheckpointID]*snapshot.Process{}, done: make(chan error, 1)}
	prog := program(t, build)
	plan, err := prog.Graph.Plan()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r.cancel = cancel
	r.attempt, err = engine.Open(ctx, prog, engine.Config{
		Cluster: "test", Job: "job", Attempt: 1, Process: "p", Options: dataflow.Options{}.WithDefaults(),
		Subtasks: plan.Tasks(), Bucket: mem.New(), ObjectPrefix: "test/jobs/job/1/p/", Network: enginetest.NewNetwork(),
		Events: r, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() { r.done <- r.attempt.Run(ctx) }()
	return r
}

func (r *rig) end() {
	r.t.Helper()
	r.cancel()
	if err := <-r.done; !errors.Is(err, context.Canceled) {
		r.t.Errorf("the attempt ended: %v", err)
	}
}

func (r *rig) trigger(id dataflow.CheckpointID, then engine.Afterwards) {
	r.attempt.Trigger(engine.Trigger{ID: id, At: time.Now(), Mode: engine.Savepoint, Afterwards: then})
}

// TestHeldSourcesReadNothingUntilTheOutcome: behind the barrier of a checkpoint with which
// the job is to stop comes no record. When it is aborted, or a newer checkpoint
// shows that it was, they go on; when it completes, all that was read is committed.
func TestHeldSourcesReadNothingUntilTheOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := make([]event, 1000)
		var read atomic.Int64
		src := &enginetest.Source[event]{Chunk: 1, Slices: [][]event{events[:500], events[500:]}}
		src.Hold = func(int, int) bool { // one record a millisecond
			time.Sleep(time.Millisecond)
			read.Add(1)
			return false
		}
		sink := enginetest.NewSink[event]()
		r := startRig(t, func(p *stream.Pipeline) {
			stream.To(stream.From(p, "in", src, stream.UID("in"), stream.Parallelism(2)), "out", sink, stream.UID("out"))
		})
		stands := func(held bool, when string) {
			t.Helper()
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
			before := read.Load()
			time.Sleep(20 * time.Millisecond)
			synctest.Wait()
			if now := read.Load(); (now == before) != held {
				t.Fatalf("%s: %d reads, then %d", when, before, now)
			}
		}
		stands(false, "at first")
		r.trigger(1, engine.Hold)
		stands(true, "held")
		if r.acks[1] == nil {
			t.Fatal("the checkpoint is not acknowledged")
		}
		r.attempt.Aborted(1)
		stands(false, "aborted")
		r.trigger(2, engine.Hold)
		stands(true, "held again")
		r.trigger(3, engine.GoOn)
		stands(false, "a newer checkpoint")
		r.attempt.SavepointTaken(3)
		synctest.Wait()
		if n := len(sink.Committed()); n != 0 {
			t.Fatalf("a savepoint from which the job goes on committed %d records", n)
		}
		r.trigger(4, engine.Hold)
		stands(true, "held at last")
		r.attempt.Completed(4)
		stands(true, "completed")
		if n := len(sink.Committed()); n == 0 || int64(n) != read.Load() {
			t.Fatalf("%d records are committed of %d that were read", n, read.Load())
		}
		r.end()
	})
}

// TestDrainedCheckpointHasEverything: the data ends, windows close, and the results that come
// later are waited for: only then is the state cut.
func TestDrainedCheckpointHasEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &enginetest.Source[event]{Chunk: 1, Slices: [][]event{{{"a", 10}, {"a", 20}, {"b", 30}, {"b", 40}}}}
		src.Hold = func(_, position int) bool { return position == 3 } // the fourth is never due
		sink := enginetest.NewSink[int]()
		asked := make(chan struct{})
		r := startRig(t, func(p *stream.Pipeline) {
			s := stream.From(p, "in", src, stream.UID("in"), stream.TimestampsMillis(eventTime), stream.Monotonic())
			w := stream.Window(stream.KeyBy(s, func(e event) string { return e.Key }), "w", stream.Tumbling(time.Hour), count(), stream.UID("w"))
			slow := stream.Async(w, "ask", func(_ context.Context, r stream.WindowResult[string, int]) (int, error) {
				<-asked
				return r.Value, nil
			}, stream.AsyncOptions{}, stream.UID("ask"))
			stream.To(slow, "out", sink, stream.UID("out"))
		})
		time.Sleep(time.Second)
		r.trigger(1, engine.Drain)
		time.Sleep(time.Second)
		synctest.Wait()
		if r.acks[1] != nil || r.ended {
			t.Fatal("acknowledged before the last result")
		}
		close(asked)
		time.Sleep(time.Second)
		synctest.Wait()
		if r.acks[1] == nil || !r.ended {
			t.Fatalf("the last result is out: acknowledged %v, ended %v", r.acks[1] != nil, r.ended)
		}
		r.attempt.Completed(1)
		time.Sleep(time.Second)
		synctest.Wait()
		sum := 0
		for _, n := range sink.Committed() {
			sum += n
		}
		if sum != 3 {
			t.Fatalf("windows of %d records are committed, want 3", sum)
		}
		r.end()
	})
}
