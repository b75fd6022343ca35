package local

import (
	"time"

	"github.com/cairnstream/cairn/coordinator"
)

// lookEvery is how often the loop looks at what the sources have read: how late a
// checkpoint that is triggered by volume may come.
const lookEvery = 100 * time.Millisecond

// looks gives a moment to look at the sources every so often, or never if no option
// asks for it.
func (r *runner) looks() (look <-chan time.Time, stop func()) {
	c := r.options.Checkpoint
	if c.EveryBytes <= 0 && c.EveryRecords <= 0 && c.IntervalDuringBacklog == r.options.CheckpointInterval {
		return nil, func() {}
	}
	ticker := time.NewTicker(lookEvery)
	return ticker.C, ticker.Stop
}

// volume is what the sources have read.
func (r *runner) volume() coordinator.Volume {
	v := coordinator.Volume{Process: r.process}
	for _, s := range r.attempt.Stats().Subtasks {
		v.Records, v.Bytes, v.Backlog = v.Records+s.SourceRecords, v.Bytes+s.SourceBytes, v.Backlog || s.Backlog
	}
	return v
}
