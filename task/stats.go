package task

import (
	"runtime"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/state/changelog"
	"github.com/cairnstream/cairn/wire"
)

// sampleEvery is how often a process says what it has done. It is also how late a
// checkpoint that is triggered by volume may come.
const sampleEvery = time.Second

// sample tells the agent every second what the attempt has done, until stop.
func (e *execution) sample(stop <-chan struct{}, running attempt) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	last := map[dataflow.TaskID]engine.SubtaskStats{}
	at := time.Now()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			now := time.Now()
			stats := e.stats(running.Stats(), last, now.Sub(at))
			at = now
			e.process.send(&wire.TaskMessage{Body: &wire.TaskMessage_Stats{Stats: stats}})
		}
	}
}

// stats turns the engine's totals into a message; shares are those of the
// interval since last, which it brings up to date.
func (e *execution) stats(s engine.Stats, last map[dataflow.TaskID]engine.SubtaskStats, interval time.Duration) *wire.ProcessStats {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	counts := e.process.bucket.Counts()
	out := &wire.ProcessStats{
		Job: e.order.Job, Attempt: e.order.Attempt, Process: string(e.process.id),
		Puts: counts.Puts, UploadedBytes: counts.PutBytes, MemoryBytes: int64(memory.Sys - memory.HeapReleased),
		RestoredLocalBytes: s.Restored.Local, RestoredRemoteBytes: s.Restored.Remote,
	}
	addChangelog(out, s.Changelog)
	for _, t := range s.Subtasks {
		out.SourceRecords, out.SourceBytes, out.Backlog = out.SourceRecords+t.SourceRecords, out.SourceBytes+t.SourceBytes, out.Backlog || t.Backlog
		before := last[t.Task]
		last[t.Task] = t
		out.Subtasks = append(out.Subtasks, &wire.SubtaskStats{
			Subtask: subtaskOf(t.Task), RecordsIn: t.RecordsIn, RecordsOut: t.RecordsOut, BytesIn: t.BytesIn,
			StateEntries: t.StateEntries, StateBytes: t.StateBytes, WatermarkMs: t.Watermark, BadRecords: t.BadRecords,
			Busy: share(t.Busy-before.Busy, interval), Backpressured: share(t.Backpressure-before.Backpressure, interval),
			RecordsInPerSecond: rate(t.RecordsIn-before.RecordsIn, interval), RecordsOutPerSecond: rate(t.RecordsOut-before.RecordsOut, interval),
			LagBytes: t.LagBytes, LagMs: t.LagAge.Milliseconds(),
		})
		if t.Alignment != nil {
			out.Alignments = append(out.Alignments, alignmentOf(t.Task, t.Alignment))
		}
	}
	return out
}

// alignmentOf says for which channels a subtask waits.
func alignmentOf(task dataflow.TaskID, v *engine.AlignmentView) *wire.AlignmentView {
	out := &wire.AlignmentView{
		Subtask: subtaskOf(task), Checkpoint: uint64(v.Checkpoint), SinceUnixMs: v.Since.UnixMilli(), Waiting: int32(v.Waiting),
	}
	for _, c := range v.For {
		out.WaitingFor = append(out.WaitingFor, &wire.AlignmentChannel{
			From: subtaskOf(c.From), Edge: int32(c.Edge), QueuedBatches: int32(c.Queued),
		})
	}
	return out
}

// addChangelog adds how far the object store has what was changed here.
func addChangelog(out *wire.ProcessStats, s changelog.Stats) {
	out.LagBytes, out.LagMs, out.SpooledBytes = s.Waiting, s.Oldest.Milliseconds(), s.Spooled
	out.Objects, out.Images, out.ImageBytes = int64(s.Objects), int64(s.Images), s.ImageBytes
	out.FailedPuts, out.HedgedPuts = int64(s.Failed), int64(s.Hedged)
}

func rate(n int64, interval time.Duration) float64 {
	if interval <= 0 {
		return 0
	}
	return float64(n) / interval.Seconds()
}

func share(part, whole time.Duration) float64 {
	if whole <= 0 {
		return 0
	}
	return min(1, max(0, float64(part)/float64(whole)))
}
