//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/wire"
)

// canned is a cluster in the middle of its life: one worker lost, one job
// running for its second attempt, one failed, a checkpoint in flight.
type canned struct {
	now         time.Time
	status      *wire.ClusterStatusResponse
	workers     *wire.ListWorkersResponse
	jobs        *wire.ListJobsResponse
	job         map[string]*wire.GetJobResponse
	logs        *wire.JobLogsResponse
	checkpoints *wire.ListCheckpointsResponse
	checkpoint  map[uint64]*wire.GetCheckpointResponse
	why         map[string]*wire.WhyObjectResponse
	garbage     *wire.CollectGarbageResponse
}

const running, failed = "flights-a1b2c3", "orders-d4e5f6"

// begun is when the canned checkpoints began: a fixed time, printed in UTC.
var begun = time.Date(2026, 3, 14, 9, 26, 53, 589e6, time.UTC).UnixMilli()

func newCanned() canned {
	c := canned{now: time.Now()}
	c.status = &wire.ClusterStatusResponse{
		Cluster: "c0ffee00c0ffee00", ObjectStore: "s3://bucket/cairn?endpoint=http://127.0.0.1:9000", Leader: "c2", Term: 4, Applied: 1234,
		Controllers: []*wire.Controller{
			{Id: "c1", ApiAddress: "10.0.0.1:7401", RaftAddress: "10.0.0.1:7402", Reachable: true, Applied: 1233, Version: "v0.1.0"},
			{Id: "c2", ApiAddress: "10.0.0.2:7401", RaftAddress: "10.0.0.2:7402", Leader: true, Reachable: true, Applied: 1234, Version: "v0.1.0"},
			{Id: "c3", ApiAddress: "10.0.0.3:7401", RaftAddress: "10.0.0.3:7402"},
		},
		Workers: 2, Slots: 8, SlotsFree: 6, JobsRunning: 1,
	}
	c.workers = &wire.ListWorkersResponse{Workers: []*wire.Worker{
		{Id: "w1", Incarnation: "1111111111111111", State: "connected", Slots: 4, SlotsFree: 3, Platform: "linux/amd64", Host: "10.0.1.1", Version: "v0.1.0", Jobs: []string{running}, SinceUnixMs: c.ago(2*time.Hour + 5*time.Minute)},
		{Id: "w2", Incarnation: "2222222222222222", State: "connected", Slots: 4, SlotsFree: 3, Platform: "linux/amd64", Host: "10.0.1.2", Version: "v0.1.0", Jobs: []string{running}, SinceUnixMs: c.ago(50 * time.Hour)},
		{Id: "w3", Incarnation: "3333333333333333", State: "lost", Slots: 4, Platform: "linux/arm64", Host: "10.0.1.3", SinceUnixMs: c.ago(50 * time.Hour)},
	}}
	c.cannedJobs()
	c.cannedCheckpoints()
	c.cannedGarbage()
	return c
}

// ago is a time in Unix milliseconds that prints the same for half a minute
// (half an hour, above a day).
func (c *canned) ago(d time.Duration) int64 {
	if d >= 24*time.Hour {
		return c.now.Add(-d - 30*time.Minute).UnixMilli()
	}
	return c.now.Add(-d - 30*time.Second).UnixMilli()
}

func (c *canned) cannedJobs() {
	one := &wire.JobSummary{
		Id: running, Name: "flights", Status: "running", Attempt: 2, SubmittedUnixMs: c.ago(2*time.Hour + 4*time.Minute),
		LastCheckpoint: 41, LastCheckpointUnixMs: c.ago(time.Hour), Restarts: 1, Parallelism: 2,
	}
	two := &wire.JobSummary{
		Id: failed, Name: "orders", Status: "failed", Reason: "restarts used up: operator \"sum\": panic: divide by zero\ngoroutine 7 [running]:",
		Attempt: 4, SubmittedUnixMs: c.ago(26 * time.Hour), Restarts: 3, Parallelism: 2,
	}
	c.jobs = &wire.ListJobsResponse{Jobs: []*wire.JobSummary{one, two}}
	c.job = map[string]*wire.GetJobResponse{
		running: {
			Summary: one, Graph: mustJSON(cannedGraph()), Options: mustJSON(dataflow.Options{CheckpointInterval: 500 * time.Millisecond, Retained: 3}),
			ArtifactSha256: "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03", Args: []string{"--out", "s3://bucket/out"},
			OperatorsByVertex: []string{"read -> parse", "count -> out", "late"}, Subtasks: cannedSubtasks(),
			Failures: []*wire.Failure{{AtUnixMs: begun, Attempt: 1, Reason: "worker w3 is gone: no heartbeat for 1s"}},
		},
		failed: {
			Summary: two, Graph: mustJSON(cannedGraph()), Options: mustJSON(dataflow.Options{}),
			Failures: []*wire.Failure{
				{AtUnixMs: begun + 60_000, Attempt: 4, Reason: `operator "sum": panic: divide by zero`, Stack: "goroutine 7 [running]:\nmain.sum(...)\n\t/src/main.go:12\n"},
				{AtUnixMs: begun, Attempt: 3, Reason: `operator "sum": panic: divide by zero`},
			},
		},
	}
	c.logs = &wire.JobLogsResponse{Logs: []*wire.WorkerLog{
		{Worker: "w1", Text: []byte("reading part 1\nreading part 2\n")},
		{Worker: "w2", Text: []byte("panic: divide by zero\n\ngoroutine 7 [running]:")},
		{Worker: "w3", Error: "worker w3 is not connected"},
	}}
}

func cannedGraph() dataflow.Graph {
	return dataflow.Graph{
		Name: "flights", KeyGroups: 1024,
		Operators: []dataflow.Operator{
			{UID: "read", Name: "read", Kind: dataflow.Source, Stateful: true, Parallelism: 2},
			{UID: "parse", Name: "parse", Kind: dataflow.Transform, Parallelism: 2},
			{UID: "count", Name: "count", Kind: dataflow.Transform, Stateful: true, Parallelism: 2},
			{UID: "out", Name: "out", Kind: dataflow.Sink, Stateful: true, Parallelism: 2, Transactional: true},
			{UID: "late", Name: "late", Kind: dataflow.Sink, Parallelism: 1},
		},
		Edges: []dataflow.Edge{
			{From: "read", To: "parse", Partitioning: dataflow.Forward, Type: "main.Row"},
			{From: "parse", To: "count", Partitioning: dataflow.Hash, Type: "main.Flight"},
			{From: "count", To: "out", Partitioning: dataflow.Forward, Type: "main.Count"},
			{From: "parse", Output: 1, To: "late", Partitioning: dataflow.Rebalance, Type: "main.Flight"},
		},
	}
}

// cannedSubtasks has a subtask that has not told its figures yet, 2/0.
func cannedSubtasks() []*wire.SubtaskView {
	view := func(vertex, index int32, worker string, s *wire.SubtaskStats) *wire.SubtaskView {
		at := &wire.Subtask{Vertex: vertex, Index: index}
		if s != nil {
			s.Subtask = at
		}
		return &wire.SubtaskView{Subtask: at, Worker: worker, Process: "aaaaaaaaaaaaaaa" + worker[1:], State: "running", Stats: s}
	}
	noon := time.Date(2001, 1, 31, 12, 0, 0, 0, time.UTC).UnixMilli()
	return []*wire.SubtaskView{
		view(0, 0, "w1", &wire.SubtaskStats{RecordsOut: 254120, BytesIn: 8 << 20, StateBytes: 120, StateEntries: 1, WatermarkMs: noon, BadRecords: 3, Busy: 0.31, RecordsOutPerSecond: 10056.4}),
		view(0, 1, "w2", &wire.SubtaskStats{RecordsOut: 254119, BytesIn: 8 << 20, StateBytes: 120, StateEntries: 1, WatermarkMs: math.MaxInt64, Busy: 0.3, RecordsOutPerSecond: 10055.6}),
		view(1, 0, "w1", &wire.SubtaskStats{RecordsIn: 301002, RecordsOut: 3010, StateEntries: 181, StateBytes: 48_321_234, WatermarkMs: noon, Busy: 0.72, Backpressured: 0.05, RecordsInPerSecond: 12000, RecordsOutPerSecond: 120}),
		view(1, 1, "w2", &wire.SubtaskStats{RecordsIn: 207237, RecordsOut: 2072, StateEntries: 150, StateBytes: 33_000_000, WatermarkMs: math.MinInt64, Busy: 0.4, RecordsInPerSecond: 8112, RecordsOutPerSecond: 4.25}),
		view(2, 0, "w1", nil),
	}
}

// cannedGarbage explains an object that several need, and one that nothing does.
func (c *canned) cannedGarbage() {
	const prefix = "c0ffee00c0ffee00/jobs/" + running + "/"
	c.why = map[string]*wire.WhyObjectResponse{
		prefix + "1/aaaaaaaaaaaaaaa1/000000000007.0": {Kind: "state", Job: running, Reasons: []*wire.ObjectReason{
			{Job: running, Checkpoint: 39, Why: "pinned"}, {Job: running, Checkpoint: 41, Why: "the newest checkpoint"}, {Job: running, Checkpoint: 41, Why: "sinks owe its commits"},
		}},
		prefix + "1/aaaaaaaaaaaaaaa3/000000000009.0": {Kind: "state", Job: running,
			Fate: "attempt 1 has ended, and no checkpoint refers to it: the background sweep deletes it, `cairn gc` at once"},
	}
	c.garbage = &wire.CollectGarbageResponse{Bytes: 5 << 20, Garbage: 1, Left: 1, Objects: []*wire.GarbageObject{
		{Key: prefix + "1/aaaaaaaaaaaaaaa3/000000000009.0", Size: 5 << 20, ModifiedUnixMs: c.ago(2 * time.Hour),
			Origin: "job " + running + ", attempt 1, process aaaaaaaaaaaaaaa3", Why: "attempt 1 has ended, and no checkpoint refers to it"},
		{Key: prefix + "2/aaaaaaaaaaaaaaa1/000000000044.0", Size: 1 << 20, ModifiedUnixMs: c.ago(time.Hour), Kept: true,
			Origin: "job " + running + ", attempt 2, process aaaaaaaaaaaaaaa1", Why: "its writer may live: attempt 2 has not ended, and may still name it in a checkpoint"},
	}}
}

func (c *canned) cannedCheckpoints() {
	done := &wire.CheckpointView{
		Id: 41, Attempt: 2, Status: "completed", BegunUnixMs: begun, EndedUnixMs: begun + 182, DurationMs: 182.4, BegunTerm: 3, EndedTerm: 4,
		MetadataKey: "c0ffee00c0ffee00/jobs/" + running + "/metadata/000000000041-t4-5891b5b522d5df08", MetadataSize: 2311,
		StateBytes: 81_321_474, UploadedBytes: 312_345, Puts: 4, Restorable: true, CommitsOwed: true,
		StartDelayMs: 1.2, AlignMs: 14.75, SyncMs: 0.31, AsyncMs: 120, CommitMs: 9.5, Trigger: "periodic",
		Mode: "unaligned", InFlightBytes: 40_960,
	}
	pending := &wire.CheckpointView{Id: 42, Attempt: 2, Status: "pending", BegunUnixMs: begun + 500, BegunTerm: 4, Trigger: "manual"}
	timedOut := &wire.CheckpointView{
		Id: 40, Attempt: 2, Status: "failed", BegunUnixMs: begun - 600_500, EndedUnixMs: begun - 500, DurationMs: 600_000, BegunTerm: 3, EndedTerm: 3,
		Trigger: "periodic", Reason: "timed out after 10m0s: aaaaaaaaaaaaaaa2 on w2 did not acknowledge", Failure: "expired",
	}
	c.checkpoints = &wire.ListCheckpointsResponse{Checkpoints: []*wire.CheckpointView{pending, done, timedOut}, Completed: 40, Failed: 1}
	c.checkpoint = map[uint64]*wire.GetCheckpointResponse{
		42: {Checkpoint: pending, WaitingFor: []string{"aaaaaaaaaaaaaaa2 on w2"}, Alignments: []*wire.AlignmentView{{
			Subtask: &wire.Subtask{Vertex: 1, Index: 1}, Checkpoint: 42, Waiting: 3,
			WaitingFor: []*wire.AlignmentChannel{
				{From: &wire.Subtask{Vertex: 0, Index: 0}, Edge: 1, QueuedBatches: 4}, {From: &wire.Subtask{Vertex: 0, Index: 1}, Edge: 1},
			},
		}}},
		41: {Checkpoint: done, Metadata: cannedMetadata()},
		40: {Checkpoint: timedOut},
	}
}

func cannedMetadata() []byte {
	meta := &checkpointstore.Metadata{
		Format: checkpointstore.Format, Cluster: "c0ffee00c0ffee00", Job: running, JobName: "flights", Attempt: 2, Checkpoint: 41,
		BegunAt: time.UnixMilli(begun).UTC(), Trigger: "periodic", GraphFingerprint: "f00d", Graph: mustJSON(cannedGraph()), KeyGroups: 1024, Artifact: "5891",
	}
	for i := range 2 {
		name := dataflow.Incarnation(fmt.Sprintf("aaaaaaaaaaaaaaa%d", i+1))
		timing := func(align time.Duration) snapshot.Timing {
			return snapshot.Timing{StartDelay: 1200 * time.Microsecond, Align: align, Sync: 310 * time.Microsecond, Async: time.Duration(i+1) * 60 * time.Millisecond}
		}
		keyed := &snapshot.Keyed{GroupLo: 512 * i, GroupHi: 512*i + 511, Entries: int64(181 - 31*i), Bytes: int64(48_321_234 - i*15_321_234), Segments: []snapshot.Segment{
			{Ref: objectstore.Ref{Key: "1", Length: 40 << 20}, Base: true, To: 9}, {Ref: objectstore.Ref{Key: "2", Length: 200 << 10}, From: 9, To: 12},
		}}
		meta.Processes = append(meta.Processes, snapshot.Process{Process: name, Subtasks: []snapshot.Subtask{
			{Task: dataflow.TaskID{Vertex: 1, Subtask: i}, Timing: timing(14750 * time.Microsecond), Operators: []snapshot.Operator{
				{UID: "count", Keyed: keyed}, {UID: "out", Transactions: []snapshot.Transaction{{Checkpoint: 41, Attempt: 2, Payload: []byte("{}")}}},
			}},
			{Task: dataflow.TaskID{Vertex: 0, Subtask: i}, Timing: timing(0), Operators: []snapshot.Operator{
				{UID: "read", Lists: map[string][][]byte{"splits": {make([]byte, 60), make([]byte, 60)}}}, {UID: "parse"},
			}},
		}})
	}
	data, err := checkpointstore.Encode(meta)
	if err != nil {
		panic(err)
	}
	return data
}

func mustJSON(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}
