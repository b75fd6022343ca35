package checkpointstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
)

// Store keeps one cluster's metadata objects and artifacts in its bucket. It
// has no state of its own: any number of them, in any number of processes, may
// work at once.
type Store struct {
	bucket  objectstore.Bucket
	cluster string
}

// New returns the store of cluster in bucket. It does not own the bucket.
func New(bucket objectstore.Bucket, cluster string) *Store {
	return &Store{bucket: bucket, cluster: cluster}
}

// Bucket is the bucket that New got.
func (s *Store) Bucket() objectstore.Bucket { return s.bucket }

// Write makes m durable and returns its name, size and hash for the Raft entry
// that completes the checkpoint; until that entry is committed the checkpoint
// is not complete and the object is garbage in waiting. Format and Cluster are
// filled in; Processes are put in order. Write is idempotent: equal
// metadata under the same term has the same name and bytes.
func (s *Store) Write(ctx context.Context, m *Metadata, term dataflow.Term) (catalog.Object, error) {
	written := *m
	written.Format, written.Cluster, written.BegunAt = m.format(), s.cluster, m.BegunAt.UTC()
	written.Processes = slices.SortedFunc(slices.Values(m.Processes), byProcess)
	data, err := Encode(&written)
	if err != nil {
		return catalog.Object{}, err
	}
	sum := hexSHA256(data)
	object := catalog.Object{
		Key:    MetadataKey(s.cluster, m.Job, m.Checkpoint, term, sum),
		Size:   int64(len(data)),
		SHA256: sum,
	}
	if err := s.bucket.Put(ctx, object.Key, data, objectstore.PutOptions{IfAbsent: true}); err != nil {
		return catalog.Object{}, fmt.Errorf("put metadata of checkpoint %d: %w", m.Checkpoint, err)
	}
	return object, nil
}

func byProcess(a, b snapshot.Process) int {
	return strings.Compare(string(a.Process), string(b.Process))
}

// Read returns the metadata that o names. Whatever is not exactly what was
// written is objectstore.ErrCorrupt; a missing object is ErrNotFound.
func (s *Store) Read(ctx context.Context, o catalog.Object) (*Metadata, error) {
	data, err := s.ReadBytes(ctx, o)
	if err != nil {
		return nil, err
	}
	m, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", o.Key, err)
	}
	return m, nil
}

// ReadBytes returns the verified bytes of o, for those who pass them on.
func (s *Store) ReadBytes(ctx context.Context, o catalog.Object) ([]byte, error) {
	data, err := s.bucket.Get(ctx, o.Key, 0, o.Size)
	if errors.Is(err, objectstore.ErrRange) {
		return nil, fmt.Errorf("read %s: %w: %w", o.Key, objectstore.ErrCorrupt, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", o.Key, err)
	}
	if got := hexSHA256(data); got != o.SHA256 {
		return nil, fmt.Errorf("read %s: %w: SHA-256 %s, want %s", o.Key, objectstore.ErrCorrupt, got, o.SHA256)
	}
	return data, nil
}
