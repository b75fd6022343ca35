// Package filesink is the exactly-once file sink: JSON lines, CSV or Parquet
// files in an object store or a folder, with every record in them once.
//
//	out := filesink.JSONLines[Count]("s3://results/counts")
//	stream.To(counts, "out", out, stream.UID("out"))
//
// A subtask writes the records between two checkpoints into parts. At the
// barrier they go, whole and durable, under _staging/; their names and checksums
// are the transactions' payloads, which the checkpoint holds. When the
// checkpoint is complete, Commit copies each to its final name, which depends on
// nothing but job, sink, checkpoint, subtask and number, so that repeating it
// changes nothing. Readers look at <job>/<uid>/ (see ReadCommitted) and never
// see a part that is not committed, or not whole.
//
// docs/formats/filesink.md has the names, the payload, and what a crash at each
// step leaves.
package filesink

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/objectstore"
)

var (
	// ErrConflict is returned by Commit when a part's final name holds other
	// content: somebody else writes there.
	ErrConflict = errors.New("committed part has other content")
	// ErrLost is returned by Commit when a part is neither committed nor
	// staged: somebody has deleted it.
	ErrLost = errors.New("prepared part is gone")
)

// Sink writes records of type T to files. JSONLines, CSV and Parquet make one.
// It is a connector.Transactional: its operator needs a uid.
type Sink[T any] struct {
	// URL is the bucket or folder to write to, as Env.OpenBucket takes it. It
	// must exist.
	URL string
	// PartBytes ends a part that has become so large, and bounds the memory
	// of a subtask: a part that is full waits for its checkpoint in a
	// temporary file. Default 16 MiB.
	PartBytes int

	format format[T]
	lease  lease
}

// defaultPartBytes makes requests large enough to be cheap, and 64 subtasks
// need no more than a gigabyte.
const defaultPartBytes = 16 << 20

// format is how records become the bytes of a part.
type format[T any] struct {
	extension string
	open      func() (encoder[T], error)
}

// encoder makes one part.
type encoder[T any] interface {
	write(v *T) error
	// size is about the bytes so far.
	size() int
	// finish returns the whole part.
	finish() ([]byte, error)
}

// Open makes the writer of a subtask, once it has seen that the bucket is there.
func (s *Sink[T]) Open(ctx context.Context, env connector.Env) (connector.Writer[T], error) {
	if _, err := s.format.open(); err != nil {
		return nil, fmt.Errorf("file sink %s: %w", env.UID, err)
	}
	if _, err := s.lease.take(ctx, env, s.URL); err != nil {
		return nil, fmt.Errorf("file sink %s: %w", env.UID, err)
	}
	limit := s.PartBytes
	if limit <= 0 {
		limit = defaultPartBytes
	}
	return &writer[T]{sink: s, env: env, limit: limit}, nil
}

// with calls f with the open bucket.
func (s *Sink[T]) with(ctx context.Context, env connector.Env, f func(objectstore.Bucket) error) error {
	b, err := s.lease.take(ctx, env, s.URL)
	if err != nil {
		return err
	}
	return errors.Join(f(b), s.lease.giveBack())
}

// lease is one open bucket for all who need it at the same time: the writers of
// a process and what runs beside them. To open one may ask a server.
type lease struct {
	mu     sync.Mutex
	users  int
	bucket objectstore.Bucket
}

func (l *lease) take(ctx context.Context, env connector.Env, url string) (objectstore.Bucket, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users == 0 {
		b, err := env.OpenBucket(ctx, url)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", url, err)
		}
		l.bucket = b
	}
	l.users++
	return l.bucket, nil
}

func (l *lease) giveBack() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users--; l.users > 0 {
		return nil
	}
	return l.bucket.Close()
}

var (
	_ connector.Sink[int]      = (*Sink[int])(nil)
	_ connector.Transactional  = (*Sink[int])(nil)
	_ connector.Writer[string] = (*writer[string])(nil)
)
