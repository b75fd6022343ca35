package local_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/local"
)

// TestVolumeTriggers: without a clock, the checkpoint before the final one is there
// since the source has read so much. The source waits for it in the middle.
func TestVolumeTriggers(t *testing.T) {
	for name, o := range map[string]dataflow.Options{
		"records": {CheckpointInterval: -1, Checkpoint: dataflow.CheckpointOptions{EveryRecords: 500}},
		"bytes":   {CheckpointInterval: -1, Checkpoint: dataflow.CheckpointOptions{EveryBytes: 500}},
	} {
		t.Run(name, func(t *testing.T) {
			sink := enginetest.NewSink[int]()
			var open atomic.Bool
			program := copyJob(1000, func(_, position int) bool { return position >= 500 && !open.Load() }, sink)
			program.Graph.Options = o
			cfg := config(t.TempDir(), program)
			cfg.Checkpointed = func(time.Duration, int64) { open.Store(true) }
			if err := local.Run(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			checkOutput(t, sink.Committed(), 1000)
		})
	}
}

// TestOptionsAreChecked with the defaults filled in, before anything runs.
func TestOptionsAreChecked(t *testing.T) {
	program := copyJob(10, nil, enginetest.NewSink[int]())
	program.Graph.Options = dataflow.Options{Checkpoint: dataflow.CheckpointOptions{IntervalDuringBacklog: time.Second}}
	err := local.Run(t.Context(), config(t.TempDir(), program))
	if err == nil || !strings.Contains(err.Error(), "options: checkpoint.interval_during_backlog 1s is shorter than checkpoint_interval 10s") {
		t.Fatalf("got %v", err)
	}
}
