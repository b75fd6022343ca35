package engine

import (
	"sync/atomic"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
)

// counters is what a subtask counts; others read it while it runs.
type counters struct {
	in, out, bytesIn, bad, late  atomic.Int64
	stateEntries, stateBytes     atomic.Int64
	read, readBytes, backlogs    atomic.Int64 // of a source
	wm                           atomic.Int64
	busyNanos, backpressureNanos atomic.Int64
}

func newCounters() *counters {
	c := &counters{}
	c.wm.Store(connector.NoTime)
	return c
}

// waited counts time since start, which lies within a turn of the loop, as spent waiting for
// credit and not working.
func (c *counters) waited(start time.Time) {
	d := int64(time.Since(start))
	c.backpressureNanos.Add(d)
	c.busyNanos.Add(-d)
}

func (c *counters) stats(t dataflow.TaskID) SubtaskStats {
	return SubtaskStats{
		SourceRecords: c.read.Load(), SourceBytes: c.readBytes.Load(), Backlog: c.backlogs.Load() > 0,
		Task: t, RecordsIn: c.in.Load(), RecordsOut: c.out.Load(), BytesIn: c.bytesIn.Load(),
		StateEntries: c.stateEntries.Load(), StateBytes: c.stateBytes.Load(),
		Watermark: c.wm.Load(), BadRecords: c.bad.Load(), LateRecords: c.late.Load(),
		Busy: time.Duration(max(0, c.busyNanos.Load())), Backpressure: time.Duration(c.backpressureNanos.Load()),
	}
}
