package dataflow

import (
	"slices"
	"strings"
	"time"
)

// concurrentMax bounds MaxConcurrent: each checkpoint in flight costs every subtask
// memory, and Raft an entry.
const concurrentMax = 16

// validateCheckpoint checks what is said about checkpoints beside the interval. What
// is not chosen (zero) excludes nothing: a job's own options, those of a submit and
// the defaults are checked once more when they are put together.
func (o Options) validateCheckpoint(v *problems) {
	c := o.Checkpoint
	o.validateWhen(v)
	v.check(slices.Contains([]string{"", ExactlyOnce, AtLeastOnce}, c.Mode), "checkpoint.mode %q: use exactly_once or at_least_once", c.Mode)
	v.check(slices.Contains([]string{"", "on", "off"}, c.Unaligned), "checkpoint.unaligned %q: use on or off", c.Unaligned)
	v.check(c.AlignedTimeout == 0 || c.AlignedTimeout >= time.Millisecond, "checkpoint.aligned_timeout %v: use 1ms or more, or 0 for none", c.AlignedTimeout)
	v.check(c.AlignedTimeout <= 0 || c.Unaligned != "off", "checkpoint.aligned_timeout %v with checkpoint.unaligned off: barriers that may not overtake can't begin to after a time; leave checkpoint.unaligned out", c.AlignedTimeout)
	if overtaking := c.overtaking(); overtaking != "" {
		v.check(c.Mode != AtLeastOnce, "%s with checkpoint.mode at_least_once: no channel waits there, so there is nothing to overtake; use exactly_once, or leave %s out", overtaking, overtaking)
		v.check(c.MaxConcurrent <= 1, "%s with checkpoint.max_concurrent %d: what is in flight belongs to one checkpoint; use 1, or leave %s out", overtaking, c.MaxConcurrent, overtaking)
	}
	v.check(slices.Contains([]string{"", DeleteOnCancel, RetainOnCancel}, c.Retention), "checkpoint.retention %q: use delete_on_cancel or retain_on_cancel", c.Retention)
	v.check(c.SavepointInterval == 0 || c.SavepointInterval >= time.Second, "checkpoint.savepoint_interval %v: use 1s or more, or 0 for none", c.SavepointInterval)
	v.check(slices.Contains([]string{"", Canonical, Native}, c.SavepointFormat), "checkpoint.savepoint_format %q: use canonical or native", c.SavepointFormat)
	v.check(c.SavepointDirectory == "" || strings.Contains(c.SavepointDirectory, "://"), "checkpoint.savepoint_directory %q: use a URL, such as s3://bucket/savepoints or file:///savepoints", c.SavepointDirectory)
	v.check(c.SavepointRetained >= 0 && c.SavepointRetained <= 10_000, "checkpoint.savepoint_retained %d: use 1 to 10000", c.SavepointRetained)
}

// validateWhen checks when checkpoints are taken.
func (o Options) validateWhen(v *problems) {
	c, interval := o.Checkpoint, o.CheckpointInterval
	backlog := c.IntervalDuringBacklog
	v.check(backlog <= 0 || backlog >= 10*time.Millisecond, "checkpoint.interval_during_backlog %v: use 10ms or more, or a negative one for none", backlog)
	v.check(backlog <= 0 || interval >= 0, "checkpoint.interval_during_backlog %v with checkpoint_interval %v, which is none: a backlog wants fewer checkpoints; set checkpoint_interval, or use every_bytes or every_records", backlog, interval)
	v.check(backlog <= 0 || interval <= 0 || backlog >= interval, "checkpoint.interval_during_backlog %v is shorter than checkpoint_interval %v: a backlog wants fewer checkpoints; use %v or more, or a negative one for none", backlog, interval, interval)
	v.check(c.EveryBytes >= 0, "checkpoint.every_bytes %d: use 1 or more, or 0 for no trigger by volume", c.EveryBytes)
	v.check(c.EveryRecords >= 0, "checkpoint.every_records %d: use 1 or more, or 0 for no trigger by volume", c.EveryRecords)
	v.check(c.MaxConcurrent >= 0 && c.MaxConcurrent <= concurrentMax, "checkpoint.max_concurrent %d: use 1 to %d", c.MaxConcurrent, concurrentMax)
	v.check(c.MaxConcurrent <= 1 || o.MinPause <= 0, "checkpoint.max_concurrent %d with min_pause %v: there is no pause between checkpoints that overlap; use 1, or set min_pause to 0", c.MaxConcurrent, o.MinPause)
	v.check(c.Jitter <= 1, "checkpoint.jitter %v: it is a share of the interval; use 0 to 1, or a negative one for none", c.Jitter)
	o.validateAge(v)
}

// validateAge refuses a MaxAge that no job could keep.
func (o Options) validateAge(v *problems) {
	c, interval := o.Checkpoint, max(o.CheckpointInterval, o.MinPause)
	v.check(c.MaxAge >= 0, "checkpoint.max_age %v: it can't be negative; use 0 for none", c.MaxAge)
	if c.MaxAge <= 0 {
		return
	}
	volume := c.EveryBytes > 0 || c.EveryRecords > 0
	v.check(o.CheckpointInterval >= 0 || volume, "checkpoint.max_age %v with checkpoint_interval %v, which is none: no checkpoint would begin by itself; set checkpoint_interval", c.MaxAge, o.CheckpointInterval)
	v.check(interval <= 0 || c.MaxAge > interval, "checkpoint.max_age %v is not above the time between two checkpoints, %v (checkpoint_interval or min_pause): the job would fail between them; use twice that or more", c.MaxAge, interval)
	v.check(c.IntervalDuringBacklog <= 0 || c.MaxAge > c.IntervalDuringBacklog, "checkpoint.max_age %v is not above checkpoint.interval_during_backlog %v: the job would fail between two checkpoints; use twice that or more", c.MaxAge, c.IntervalDuringBacklog)
}

// overtaking names the option that lets barriers overtake, or is empty.
func (c CheckpointOptions) overtaking() string {
	switch {
	case c.AlignedTimeout > 0:
		return "checkpoint.aligned_timeout"
	case c.Unaligned == "on":
		return "checkpoint.unaligned"
	}
	return ""
}

// RunningOptions are o without all that only a restart changes: what a running job
// can be given anew. Everything about checkpoints and restarts is.
func (o Options) RunningOptions() Options {
	return Options{
		CheckpointInterval: o.CheckpointInterval, CheckpointTimeout: o.CheckpointTimeout, MinPause: o.MinPause,
		TolerableFailures: o.TolerableFailures, Retained: o.Retained, Restart: o.Restart, Checkpoint: o.Checkpoint,
	}
}

// NeedsRestart names the options, as in their JSON, in which a running job would have
// to be restarted to have next in place of o.
func (o Options) NeedsRestart(next Options) []string {
	var names []string
	differs := func(name string, same bool) {
		if !same {
			names = append(names, name)
		}
	}
	differs("batch_rows", o.BatchRows == next.BatchRows)
	differs("batch_linger", o.BatchLinger == next.BatchLinger)
	differs("channel_batches", o.ChannelBatches == next.ChannelBatches)
	a, b := o.State, next.State
	differs("state.backend", a.Backend == b.Backend)
	differs("state.memory_bytes", a.MemoryBytes == b.MemoryBytes)
	differs("state.recovery_target", a.RecoveryTarget == b.RecoveryTarget)
	differs("state.log_bytes", a.LogBytes == b.LogBytes)
	differs("state.spool_bytes", a.SpoolBytes == b.SpoolBytes)
	differs("state.compression", a.Compression == b.Compression)
	differs("state.local_recovery", a.LocalRecovery == b.LocalRecovery)
	return names
}
