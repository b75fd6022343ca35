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
