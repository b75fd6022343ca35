package engine

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/state"
)

// Program is a job as this process can run it: the graph, and the code behind
// its operators and edges. Package stream builds it. It is not changed after
// that, and any number of attempts may use it.
type Program struct {
	Graph *dataflow.Graph
	// Operators holds the code of each operator of the graph.
	Operators map[dataflow.UID]Operator
	// Edges holds the code of each of the graph's edges, in its order.
	Edges []Edge
}

// Operator is the code of one operator: see NewSource, NewTransform,
// NewKeyedTransform, NewTransform2, NewKeyedTransform2, NewKeyedWithBroadcast and NewSink.
type Operator interface {
	// node makes the operator's part of one subtask.
	node() node
	// keyed tells whether it has a state.Store.
	keyed() bool
	// keySchema describes the encoded keys of that.
	keySchema() string
}

// OpContext is what the code of an operator knows of the subtask it runs in.
// Only the subtask's goroutine uses it.
type OpContext struct {
	connector.Env
	KeyGroups int
	BatchRows int
	// Store is the operator's keyed state, already restored; nil if it has none.
	Store state.Store
	// States is the operator state, already restored; nil in a source or sink.
	States *state.Operator
	// RestoredWatermark is how far event time had come for this operator at
	// the restore point; connector.NoTime if it starts afresh.
	RestoredWatermark int64
	// CurrentKey prints the key that the operator's code is at, for errors; empty if
	// it is at none. A keyed operator sets it when it is opened; nil without keys.
	CurrentKey func() string

	position *position
	outputs  []port
	stats    *counters
	clock    *time.Time // of the loop, once it runs
	restored *restored  // nil if it starts afresh
}

// RestoredWatermarkOf is how far event time had come at the restore point for the
// keys of a key group. It is at most RestoredWatermark; below it, if the parallelism was
// another one and the subtask that had the group was behind others.
func (c *OpContext) RestoredWatermarkOf(group int) int64 {
	if c.restored == nil {
		return connector.NoTime
	}
	return c.restored.watermarkOf(group, c.KeyGroups)
}

// GroupsBehind tells whether a key group of the subtask was behind RestoredWatermark at the
// restore point: what was due there by then has not happened yet.
func (c *OpContext) GroupsBehind() bool {
	if c.restored == nil || c.RestoredWatermark == connector.NoTime {
		return false
	}
	lo, hi := dataflow.GroupRange(c.KeyGroups, c.Parallelism, c.Subtask)
	for group := lo; group <= hi; group++ {
		if c.restored.watermarkOf(group, c.KeyGroups) < c.RestoredWatermark {
			return true
		}
	}
	return false
}

// Now is the processing time in Unix milliseconds. While a batch is processed it
// stands still.
func (c *OpContext) Now() int64 {
	if c.clock == nil {
		return time.Now().UnixMilli()
	}
	return c.clock.UnixMilli()
}

// CountBad counts records that were set aside, in SubtaskStats.BadRecords.
func (c *OpContext) CountBad(n int) { c.stats.bad.Add(int64(n)) }

// CountLate counts records that came too late, in SubtaskStats.LateRecords.
func (c *OpContext) CountLate(n int) { c.stats.late.Add(int64(n)) }

// Transform is the code of an operator with an input, in one subtask. The
// subtask's goroutine calls it.
type Transform[In any] interface {
	// Process takes a batch and emits what comes of it.
	Process(b *Batch[In]) error
	// Watermark emits what is due now that no record at or before wm will
	// come. The engine passes the watermark on afterwards.
	Watermark(wm int64) error
}

// TimedTransform is a Transform with timers of processing time. The engine wakes it,
// until the subtask's input has ended: what is set then never fires, as in Flink.
type TimedTransform interface {
	// NextTimer is a time, in Unix milliseconds, at or before the earliest
	// timer's; ok is false if none is set.
	NextTimer() (at int64, ok bool)
	// ProcessingTime fires timers that are due at now. It may leave some for the
	// next call, which follows when barriers and records had their turn.
	ProcessingTime(now int64) error
}

// TransformFunc is a Transform that watermarks do not concern.
type TransformFunc[In any] func(b *Batch[In]) error

// Process calls f.
func (f TransformFunc[In]) Process(b *Batch[In]) error { return f(b) }

// Watermark does nothing.
func (TransformFunc[In]) Watermark(int64) error { return nil }

// NewTransform is an operator without keyed state; operator state it may have. open is called once per
// subtask and makes its outputs with OutputOf.
func NewTransform[In any](open func(*OpContext) (Transform[In], error)) Operator {
	return &transform[In]{open: open}
}

// NewKeyedTransform is an operator with a state.Store. All of its input must
// come over hash edges. keySchema is codec.Codec.Schema of the encoded keys.
func NewKeyedTransform[In any](keySchema string, open func(*OpContext) (Transform[In], error)) Operator {
	return &transform[In]{open: open, isKeyed: true, schema: keySchema}
}

// SourceOptions say how a source's records get event times and watermarks.
type SourceOptions[T any] struct {
	// Timestamp gives a record's event time; nil takes what the reader says.
	Timestamp func(T) int64
	// Watermarks makes a split's watermark trail its highest event time by
	// OutOfOrder and a millisecond. Without it only readers that are
	// connector.Watermarkers have watermarks.
	Watermarks bool
	OutOfOrder time.Duration
	// IdleAfter makes a split without records for so long stop holding back
	// the watermark. 0: never.
	IdleAfter time.Duration
	// AlignGroup, if set, keeps the source's splits together in event time with those of
	// all sources of the group: a split whose watermark is more than AlignDrift ahead of
	// the lowest is not read until that has caught up. It needs watermarks.
	AlignGroup string
	AlignDrift time.Duration
	// FailOnBad ends the attempt at the first bad record. Otherwise bad
	// records are counted, logged (the first few) and sent to output 1.
	FailOnBad bool
}

// BadOutput is the output of a source that carries its bad records, as
// connector.BadRecord.
const BadOutput = 1

// NewSource is an operator that reads src.
func NewSource[T any](src connector.Source[T], opts SourceOptions[T]) Operator {
	return &source[T]{src: src, opts: opts}
}

// NewSink is an operator that writes to sink.
func NewSink[T any](sink connector.Sink[T]) Operator { return &sinkOperator[T]{sink: sink} }

// OpenBucket opens a store by URL.
type OpenBucket = func(ctx context.Context, url string) (objectstore.Bucket, error)

// FinishCommits commits the sink transactions of the last checkpoint of a job
// whose operators run no more, and returns when all of them are visible and what
// was prepared for later checkpoints, up to this attempt, is aborted.
// It retries until ctx ends.
func FinishCommits(ctx context.Context, p *Program, job dataflow.JobID, attempt dataflow.Attempt,
	openBucket OpenBucket, r *Restore, log *slog.Logger) error {
	return finishCommits(ctx, p, job, attempt, openBucket, r, log)
}

// ErrUnknownUID is returned when a checkpoint holds state of an operator that
// the program does not have.
var ErrUnknownUID = errors.New("state of an unknown operator")
