// Package connectortest holds the suites that a source and a transactional sink
// must pass: they do to a connector what the engine, failures and restarts do.
//
//	func TestSource(t *testing.T) {
//		connectortest.Source(t, connectortest.SourceConfig[Row]{Source: files.CSV[Row]("testdata/rows.csv")})
//	}
//
// Everything random follows from a seed, which a failure prints.
package connectortest

import (
	"context"
	"log/slog"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
)

// Env is an Env of subtask 0 of 1 whose OpenBucket gives b, whatever the URL.
// Closing it does nothing.
func Env(b objectstore.Bucket) connector.Env {
	return connector.Env{
		Job: "job-abc123", Attempt: 1, UID: "op", Parallelism: 1, Process: dataflow.NewIncarnation(),
		OpenBucket: func(context.Context, string) (objectstore.Bucket, error) { return unclosed{b}, nil },
		Log:        slog.New(slog.DiscardHandler),
	}
}

// unclosed is a Bucket that outlives its users.
type unclosed struct{ objectstore.Bucket }

func (unclosed) Close() error { return nil }
