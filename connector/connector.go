// Package connector holds the contracts of sources and sinks: positions that
// a checkpoint keeps, and two-phase commit.
//
// One folder each: generator, files (read) and filesink (exactly-once), print,
// blackhole. connectortest is the suite that a source or a sink must pass.
package connector

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
)

// NoTime is the event time of a record that has none.
const NoTime = int64(-1 << 63)

// Env is what a connector may know of where it runs. Parallelism and Subtask
// are the operator's.
type Env struct {
	Job         dataflow.JobID
	Attempt     dataflow.Attempt
	UID         dataflow.UID
	Subtask     int
	Parallelism int
	Process     dataflow.Incarnation
	// OpenBucket opens a store by URL with the credentials of this machine.
	OpenBucket func(ctx context.Context, url string) (objectstore.Bucket, error)
	Log        *slog.Logger
}

// Source is where records of type T come from: a set of splits, each of which
// can be read again from any position that its reader reported.
//
// A source is a value that holds configuration only; all methods may be called
// at once and on any machine.
type Source[T any] interface {
	// Splits lists the splits, in the same order on every machine. It is asked
	// once in the life of a job, when there is nothing to restore; split i goes
	// to subtask i mod parallelism.
	Splits(ctx context.Context, env Env) ([]Split, error)
	// Open starts reading a split after position; nil is its beginning.
	Open(ctx context.Context, env Env, split Split, position []byte) (Reader[T], error)
}

// Split is a part of a source that is read in order by one reader.
type Split struct {
	ID   string `json:"id"` // unique in the source
	Data []byte `json:"data,omitempty"`
}

// Records are what a reader delivers, in columns of equal length.
type Records[T any] struct {
	Values []T
	Times  []int64 // event time, Unix milliseconds, or NoTime if the source does not know
}

// Reader reads one split. One goroutine uses it.
type Reader[T any] interface {
	// Next appends at most max records to out. It returns without records if
	// none is due: then wait is how long to stay away (at most that long; a
	// barrier may come first). At the end it returns io.EOF, with or without
	// records. It must not block for longer than a few milliseconds unless it
	// reads from a device or a network, and then it heeds ctx.
	Next(ctx context.Context, max int, out *Records[T]) (wait time.Duration, err error)
	// Position is where to Open again to get the records after those that
	// Next has returned. The engine calls it between calls of Next.
	Position() []byte
	Close() error
}

// Watermarker is a Reader that knows how far event time has come even where
// its own split has no records. No later record is at or before Watermark.
type Watermarker interface{ Watermark() int64 }

// Notifier is a Reader that knows at once when it has something, as one does that
// records are pushed to. The engine calls Notify before the first Next; from then on a
// call of wake, from any goroutine, makes it call Next again however long the last
// wait was.
type Notifier interface{ Notify(wake func()) }

// Backlogger is a Reader that knows whether it works off a backlog: data that has
// waited, and of which no one expects that it is there within moments. While one does,
// the job may take fewer checkpoints (CheckpointOptions.IntervalDuringBacklog). The
// engine asks after each Next; what has come to its end has none.
type Backlogger interface{ Backlog() bool }

// BadRecord is an input row that could not be decoded. A reader counts it and
// hands it over instead of failing, unless it was told to fail.
type BadRecord struct {
	Split string
	Where string // such as "row 2041", counted from 0
	Raw   []byte // at most the first 4 KiB
	Error string
}

// MarshalJSON writes Raw as text, so that a person can read it. What is no
// UTF-8 in it is replaced, as encoding/json does with strings.
func (b BadRecord) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct{ Split, Where, Raw, Error string }{b.Split, b.Where, string(b.Raw), b.Error})
}

// BadRecords is a Reader that sets corrupt rows aside.
type BadRecords interface {
	// TakeBad returns the bad records met since the last call.
	TakeBad() []BadRecord
}

// Sink is where records of type T go. It holds configuration only.
type Sink[T any] interface {
	// Open makes the writer of one subtask.
	Open(ctx context.Context, env Env) (Writer[T], error)
}

// Writer takes the records of one sink subtask. The engine's goroutine uses
// it; only what Prepare returns runs on another.
type Writer[T any] interface {
	// Write takes records in order. It may keep neither slice.
	Write(values []T, times []int64) error
	// Prepare ends what was written since the last Prepare as part of a
	// checkpoint. It must be quick; the returned function, which may be nil,
	// does what takes time (uploading) on another goroutine and returns the
	// transactions' payloads once everything that they name is durable.
	// Records written after Prepare belong to the next checkpoint.
	Prepare(checkpoint dataflow.CheckpointID) (func(ctx context.Context) ([][]byte, error), error)
	// Close drops what was not prepared.
	Close() error
}

// Transactional is a Sink with two-phase commit. Its methods work from the
// transactions alone, on any machine, also for a job that runs no more, and
// may be repeated and called by two machines at once.
type Transactional interface {
	// Commit makes the transactions' output visible.
	Commit(ctx context.Context, env Env, txns []snapshot.Transaction) error
	// Forget is called when Raft holds the commit: what Commit needed to be
	// repeatable may go.
	Forget(ctx context.Context, env Env, txns []snapshot.Transaction) error
	// AbortAfter drops what attempts before env.Attempt prepared for
	// checkpoints above restored: a restored attempt calls it after it has
	// committed its restore point's transactions.
	AbortAfter(ctx context.Context, env Env, restored dataflow.CheckpointID) error
}
