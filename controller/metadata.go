package controller

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/coordinator"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/wire"
)

// metadataOf joins a checkpoint's parts with all that a restore needs.
func (l *leader) metadataOf(j *job, a coordinator.Complete) (*checkpointstore.Metadata, error) {
	record := l.record(j.id)
	if record == nil {
		return nil, ledger.ErrNoJob
	}
	fingerprint := j.graph.Fingerprint()
	meta := &checkpointstore.Metadata{
		Job: j.id, JobName: record.Name, Attempt: j.attempt, Checkpoint: a.ID,
		GraphFingerprint: fingerprint, Graph: record.Graph, KeyGroups: j.graph.KeyGroups, Artifact: record.Artifact,
	}
	for _, p := range record.Pending {
		if p.ID == a.ID {
			meta.BegunAt, meta.Trigger = time.UnixMilli(p.At).UTC(), p.Trigger
		}
	}
	if meta.Trigger == "" {
		return nil, fmt.Errorf("checkpoint %d: %w", a.ID, ledger.ErrNotPending)
	}
	for _, part := range a.Parts {
		meta.Processes = append(meta.Processes, *part)
	}
	return meta, nil
}

// writeAndCommit makes the metadata durable and then completes the checkpoint.
func (l *leader) writeAndCommit(ctx context.Context, cmd *ledger.CompleteCheckpoint, meta *checkpointstore.Metadata, begun time.Time) (any, error) {
	started := time.Now()
	putCtx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	object, err := l.store().Write(putCtx, meta, l.term)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("%w: %w", errStoreAway, err)
	}
	cmd.Metadata = object
	cmd.Stats = statsOf(meta.Processes)
	cmd.Stats.Mode = l.passedIn(meta, cmd.Stats)
	cmd.Stats.Commit = time.Since(started).Microseconds()
	cmd.Stats.Duration = max(0, time.Since(begun).Microseconds())
	for _, part := range meta.Processes {
		cmd.Objects = append(cmd.Objects, part.Objects...)
		cmd.Released = append(cmd.Released, part.Released...)
		cmd.Owed = cmd.Owed || owesCommits(part)
	}
	cmd.Objects, cmd.Released = mergeRuns(cmd.Objects), mergeRuns(cmd.Released)
	cmd.Header = l.header("")
	if meta.Trigger == ledger.TriggerSavepoint {
		l.passed(StepSavepointMetadata)
	}
	return l.commit(ctx, cmd)
}

// passedIn is how the checkpoint's barriers passed, for people: one that timed out while it
// aligned has overtaken something, or there was nothing to overtake.
func (l *leader) passedIn(meta *checkpointstore.Metadata, s ledger.CheckpointStats) string {
	record := l.record(meta.Job)
	switch {
	case meta.Trigger == ledger.TriggerSavepoint || record == nil:
		return ""
	case s.InFlightBytes > 0:
		return ledger.ModeUnaligned
	}
	return modeOf(record.Options.Checkpoint)
}

// modeOf is how barriers of a checkpoint with these options begin to pass.
func modeOf(o dataflow.CheckpointOptions) string {
	switch barrierMode(coordinator.SendTrigger{Options: dataflow.Options{Checkpoint: o}}) {
	case wire.BarrierMode_BARRIER_MODE_UNALIGNED:
		return ledger.ModeUnaligned
	case wire.BarrierMode_BARRIER_MODE_AT_LEAST_ONCE:
		return ledger.ModeAtLeastOnce
	}
	return ""
}

// statsOf sums up what the parts uploaded, and takes each phase from the
// slowest subtask.
func statsOf(parts []snapshot.Process) (s ledger.CheckpointStats) {
	for _, part := range parts {
		s.UploadedBytes += part.Bytes
		s.Puts += part.Puts
		s.InFlightBytes += part.InFlightBytes
		for _, t := range part.Subtasks {
			s.StateBytes += t.Timing.StateBytes
			s.StartDelay = max(s.StartDelay, t.Timing.StartDelay.Microseconds())
			s.Align = max(s.Align, t.Timing.Align.Microseconds())
			s.Sync = max(s.Sync, t.Timing.Sync.Microseconds())
			s.Async = max(s.Async, t.Timing.Async.Microseconds())
		}
	}
	return s
}

// owesCommits tells whether sinks of this process prepared transactions.
func owesCommits(part snapshot.Process) bool {
	for _, t := range part.Subtasks {
		for _, o := range t.Operators {
			if len(o.Transactions) > 0 {
				return true
			}
		}
	}
	return false
}

// mergeRuns sorts runs and joins those that touch or overlap, so that a record
// holds intervals and not one entry a process.
func mergeRuns(runs []snapshot.Run) []snapshot.Run {
	slices.SortFunc(runs, func(a, b snapshot.Run) int {
		return cmp.Or(cmp.Compare(a.Prefix, b.Prefix), cmp.Compare(a.Lo, b.Lo))
	})
	var merged []snapshot.Run
	for _, r := range runs {
		if n := len(merged); n > 0 && merged[n-1].Prefix == r.Prefix && r.Lo <= merged[n-1].Hi+1 {
			merged[n-1].Hi = max(merged[n-1].Hi, r.Hi)
			continue
		}
		merged = append(merged, r)
	}
	return merged
}
