package stream_test

import (
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/stream"
)

// TestIdleSplitDoesNotHoldBackTime: one of two splits is silent, in the same
// subtask as the other or in another one. Windows close all the same; only when
// one has is the silent split let go.
func TestIdleSplitDoesNotHoldBackTime(t *testing.T) {
	for _, parallelism := range []int{1, 2} {
		var closed atomic.Bool
		src := &enginetest.Source[event]{Chunk: 1, Slices: [][]event{{{"a", 10}, {"a", 500}, {"a", 900}}, {{"a", 910}}}}
		src.Hold = func(split, position int) bool { return !closed.Load() && (split == 1 || position == 2) }
		results := enginetest.NewSink[stream.WindowResult[string, int]]()
		results.OnWrite = func() { closed.Store(true) }
		runOnce(t, func(p *stream.Pipeline) {
			s := stream.From(p, "in", src, stream.UID("in"), stream.Parallelism(parallelism),
				stream.TimestampsMillis(eventTime), stream.Monotonic(), stream.IdleAfter(2*time.Millisecond))
			w := stream.Window(stream.KeyBy(s, func(e event) string { return e.Key }), "w", stream.Tumbling(100*time.Millisecond), count(), stream.UID("w"))
			stream.To(w, "out", results, stream.UID("out"))
		})
		got := results.Committed()
		if len(got) != 3 || got[2].Value != 2 {
			t.Errorf("parallelism %d: windows %v, want 3, the last with 2 records", parallelism, got)
		}
	}
}

// TestFinishCommits commits what a checkpoint owes without running the job.
func TestFinishCommits(t *testing.T) {
	sink := enginetest.NewSink[event]()
	prog := program(t, func(p *stream.Pipeline) {
		stream.To(stream.From(p, "in", &enginetest.Source[event]{}, stream.UID("in")), "out", sink, stream.UID("out"))
	})
	w, err := sink.Open(t.Context(), connector.Env{UID: "out"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write([]event{{"a", 1}, {"b", 2}}, []int64{1, 2}); err != nil {
		t.Fatal(err)
	}
	finish, err := w.Prepare(3)
	if err != nil {
		t.Fatal(err)
	}
	payloads, err := finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := &engine.Restore{Checkpoint: 3, Processes: []snapshot.Process{{Subtasks: []snapshot.Subtask{{Operators: []snapshot.Operator{
		{UID: "out", Transactions: []snapshot.Transaction{{Checkpoint: 3, Payload: payloads[0]}}},
	}}}}}}
	for range 2 { // repeating it is harmless
		if err := engine.FinishCommits(t.Context(), prog, "job", 1, nil, r, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		if n := len(sink.Committed()); n != 2 {
			t.Fatalf("%d records are visible, want 2", n)
		}
	}
}

// TestStallIsNotIdleness: a subtask that stands still for long, because
// downstream does or another process restores slowly, has not read its splits. They are not
// idle, and the first to be read again must not make the others' records late.
func TestStallIsNotIdleness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &enginetest.Source[event]{Chunk: 20, Slices: make([][]event, 3)}
		for at := range int64(300) {
			src.Slices[at%3] = append(src.Slices[at%3], event{"a", at})
		}
		results, lates := enginetest.NewSink[stream.WindowResult[string, int]](), enginetest.NewSink[event]()
		runOnce(t, func(p *stream.Pipeline) {
			s := stream.From(p, "in", src, stream.UID("in"), stream.TimestampsMillis(eventTime), stream.Monotonic(), stream.IdleAfter(time.Second))
			s = stream.Map(s, "stall", func(e event) event {
				if e.T%50 == 0 {
					time.Sleep(5 * time.Second) // of virtual time
				}
				return e
			})
			var late stream.Stream[event]
			w := stream.Window(stream.KeyBy(s, func(e event) string { return e.Key }), "w", stream.Tumbling(time.Millisecond), count(),
				stream.UID("w"), stream.LateTo(&late))
			stream.To(w, "out", results, stream.UID("out"))
			stream.To(late, "late", lates, stream.UID("late"))
		})
		if got := lates.Committed(); len(got) > 0 {
			t.Errorf("late: %v, want none", got)
		}
		if n := len(results.Committed()); n != 300 {
			t.Errorf("%d windows, want 300", n)
		}
	})
}
