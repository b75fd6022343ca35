package dataflow

import "time"

// Options are what a job's owner can choose about its checkpoints and its
// restarts. Names and meanings are Flink's, in snake case.
type Options struct {
	// CheckpointInterval is the time from one periodic trigger to the next.
	// Default 10 s. Negative: no periodic checkpoints.
	CheckpointInterval time.Duration `json:"checkpoint_interval,omitempty" cbor:"1,keyasint,omitempty"`
	// CheckpointTimeout aborts a checkpoint that takes longer. Default 10 min.
	CheckpointTimeout time.Duration `json:"checkpoint_timeout,omitempty" cbor:"2,keyasint,omitempty"`
	// MinPause is the least time between the end of one checkpoint and the
	// start of the next. Default 0.
	MinPause time.Duration `json:"min_pause,omitempty" cbor:"3,keyasint,omitempty"`
	// TolerableFailures is how many checkpoints in a row may fail before the
	// job is restarted. Default 0 as in Flink. Negative: any number.
	TolerableFailures int `json:"tolerable_failures,omitempty" cbor:"4,keyasint,omitempty"`
	// Retained is the number of completed checkpoints kept. Default 3.
	Retained int `json:"retained,omitempty" cbor:"5,keyasint,omitempty"`
	// Restart decides when and how often a failed job starts again.
	Restart RestartStrategy `json:"restart,omitzero" cbor:"6,keyasint,omitempty"`
	// BatchRows and BatchLinger bound a batch: it is handed over when it has
	// so many records, or when its oldest has waited so long. Defaults 1,024
	// and 1 ms.
	BatchRows   int           `json:"batch_rows,omitempty" cbor:"7,keyasint,omitempty"`
	BatchLinger time.Duration `json:"batch_linger,omitempty" cbor:"8,keyasint,omitempty"`
	// ChannelBatches is the number of batches that may wait in one channel
	// between two subtasks: the credit. Default 8.
	ChannelBatches int `json:"channel_batches,omitempty" cbor:"9,keyasint,omitempty"`
	// State is about keyed state and how it is kept.
	State StateOptions `json:"state,omitzero" cbor:"10,keyasint,omitempty"`
	// Checkpoint is the rest of what can be said about checkpoints.
	Checkpoint CheckpointOptions `json:"checkpoint,omitzero" cbor:"11,keyasint,omitempty"`
}

// The processing guarantees of CheckpointOptions.Mode.
const (
	ExactlyOnce = "exactly_once"
	AtLeastOnce = "at_least_once"
)

// What becomes of the checkpoints of a job that is cancelled: CheckpointOptions.Retention.
const (
	DeleteOnCancel = "delete_on_cancel"
	RetainOnCancel = "retain_on_cancel"
)

// The formats of a savepoint.
const (
	Canonical = "canonical" // Parquet, self-contained, independent of the backend
	Native    = "native"    // refers to the checkpoint's objects
)

// CheckpointOptions say when checkpoints are taken, how barriers pass, and what
// is kept. All of them can be changed while the job runs.
type CheckpointOptions struct {
	// IntervalDuringBacklog replaces CheckpointInterval while a source works off a
	// backlog. Default: CheckpointInterval. Negative: none then. It can't be shorter
	// than the interval.
	IntervalDuringBacklog time.Duration `json:"interval_during_backlog,omitempty" cbor:"1,keyasint,omitempty"`
	// EveryBytes and EveryRecords trigger a checkpoint when the sources have read so
	// much since the last one began, beside the clock: whichever comes first. Bytes
	// are about those of the records as they go between subtasks. The processes tell
	// once a second what they have read, so a trigger comes up to a second late.
	// Default 0: only the clock.
	EveryBytes   int64 `json:"every_bytes,omitempty" cbor:"2,keyasint,omitempty"`
	EveryRecords int64 `json:"every_records,omitempty" cbor:"3,keyasint,omitempty"`
	// MaxConcurrent is how many checkpoints may be in flight. Default 1. More than
	// one excludes MinPause and unaligned barriers.
	MaxConcurrent int `json:"max_concurrent,omitempty" cbor:"4,keyasint,omitempty"`
	// MaxAge fails the attempt when no checkpoint has completed for so long; it
	// replaces TolerableFailures. Default 0: it does not. Time in which the object
	// store is away counts no more here than there.
	MaxAge time.Duration `json:"max_age,omitempty" cbor:"5,keyasint,omitempty"`
	// Jitter moves each periodic trigger by up to this share of the interval, so
	// that jobs do not fire together. Default 0.1. Negative: none.
	Jitter float64 `json:"jitter,omitempty" cbor:"6,keyasint,omitempty"`
	// Mode is ExactlyOnce (the default) or AtLeastOnce: barriers are counted and no
	// channel waits, so a restore may see records twice.
	Mode string `json:"mode,omitempty" cbor:"7,keyasint,omitempty"`
	// Unaligned lets barriers overtake the records in flight, which the checkpoint
	// keeps: "on" or "off" (the default, unless AlignedTimeout is given). It needs
	// ExactlyOnce.
	Unaligned string `json:"unaligned,omitempty" cbor:"8,keyasint,omitempty"`
	// AlignedTimeout begins each checkpoint aligned and lets its barriers overtake
	// when so much time has passed since it began. It needs no Unaligned beside it.
	// Default 0: as Unaligned says.
	AlignedTimeout time.Duration `json:"aligned_timeout,omitempty" cbor:"9,keyasint,omitempty"`
	// Retention is RetainOnCancel (the default) or DeleteOnCancel. A failed job's
	// checkpoints are always kept.
	Retention string `json:"retention,omitempty" cbor:"10,keyasint,omitempty"`
	// SavepointInterval is the time between automatic savepoints. Default 0: none.
	SavepointInterval time.Duration `json:"savepoint_interval,omitempty" cbor:"11,keyasint,omitempty"`
	// SavepointFormat is Canonical (the default) or Native, for automatic savepoints
	// and where a request names none.
	SavepointFormat string `json:"savepoint_format,omitempty" cbor:"12,keyasint,omitempty"`
	// SavepointDirectory is the URL of the bucket and folder for canonical
	// savepoints. Default: the cluster's own bucket.
	SavepointDirectory string `json:"savepoint_directory,omitempty" cbor:"13,keyasint,omitempty"`
	// SavepointRetained is how many automatic savepoints are kept. Default 3. What a
	// person asked for is never collected.
	SavepointRetained int `json:"savepoint_retained,omitempty" cbor:"14,keyasint,omitempty"`
}

// The state backends.
const (
	BackendMemory = "memory"
	BackendLSM    = "lsm"
)

// StateOptions choose how keyed state is kept and made durable.
type StateOptions struct {
	// Backend is BackendMemory (the default) or BackendLSM, for state beyond
	// memory. Another backend needs a restart from a savepoint.
	Backend string `json:"backend,omitempty" cbor:"1,keyasint,omitempty"`
	// MemoryBytes bounds the caches of BackendLSM in one process. Default 256 MiB.
	MemoryBytes int64 `json:"memory_bytes,omitempty" cbor:"2,keyasint,omitempty"`
	// RecoveryTarget is how long replaying the changelog of one process may take
	// after a failure: when it is predicted to take longer, a base image is
	// written. Default 10 s.
	RecoveryTarget time.Duration `json:"recovery_target,omitempty" cbor:"3,keyasint,omitempty"`
	// LogBytes bounds the changelog of one process between two images, whatever
	// RecoveryTarget allows. Default: 64 MiB or twice the live state, what is more.
	LogBytes int64 `json:"log_bytes,omitempty" cbor:"4,keyasint,omitempty"`
	// SpoolBytes bounds the local disk that changes take in one process while the
	// object store does not accept them; then processing waits. Default 4 GiB.
	SpoolBytes int64 `json:"spool_bytes,omitempty" cbor:"5,keyasint,omitempty"`
	// Compression of the changelog: "s2" (the default), "zstd" or "none".
	Compression string `json:"compression,omitempty" cbor:"6,keyasint,omitempty"`
	// LocalRecovery keeps what a process uploads on its local disk too, so that a
	// restore on the same machine does not download it: "on" (the default) or "off".
	LocalRecovery string `json:"local_recovery,omitempty" cbor:"7,keyasint,omitempty"`
}

// RestartStrategy is Flink's exponential-delay strategy: the n-th restart
// in a row waits Initial * Multiplier^(n-1), at most Max, with Jitter; a job
// that ran for ResetAfter starts counting anew.
type RestartStrategy struct {
	Initial    time.Duration `json:"initial,omitempty" cbor:"1,keyasint,omitempty"`     // default 1 s
	Max        time.Duration `json:"max,omitempty" cbor:"2,keyasint,omitempty"`         // default 1 min
	Multiplier float64       `json:"multiplier,omitempty" cbor:"3,keyasint,omitempty"`  // default 1.5
	Jitter     float64       `json:"jitter,omitempty" cbor:"4,keyasint,omitempty"`      // default 0.1, a share of the delay
	ResetAfter time.Duration `json:"reset_after,omitempty" cbor:"5,keyasint,omitempty"` // default 1 h
	// Attempts is how many restarts in a row are tried before the job fails.
	// Default 0: without limit, as in Flink. Negative: none at all.
	Attempts int `json:"attempts,omitempty" cbor:"6,keyasint,omitempty"`
}
