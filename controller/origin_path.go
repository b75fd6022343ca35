package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/claim"
	"github.com/cairnstream/cairn/objectstore/open"
)

// metadataDepth is how many parts of a path the key of a checkpoint's metadata object
// has: <cluster>/jobs/<job>/metadata/<name>. What is before them is the bucket.
const metadataDepth = 5

// originAt finds what a URL names: a metadata object, or a canonical savepoint's folder.
// What this cluster's catalog has is found there, however its bucket is spelled: only that
// knows whether the objects will stay.
func (l *leader) originAt(ctx context.Context, location string) (*origin, error) {
	for _, record := range l.records() {
		for _, s := range record.Savepoints {
			if s.Location != "" && sameFolder(s.Location, location) {
				return l.withPath(ctx, record, s.ID, location)
			}
		}
	}
	store, key, err := splitLocation(location)
	if err != nil {
		return nil, err
	}
	bucket, err := l.openStore(ctx, store)
	if err != nil {
		return nil, err
	}
	defer bucket.Close()
	m, object, err := readAt(ctx, bucket, key)
	if err != nil {
		return nil, fmt.Errorf("origin %s: %w", location, unreadable(err))
	}
	found := &origin{Origin: ledger.Origin{Checkpoint: m.Checkpoint, Store: store, Object: object, Copy: true, Path: location}, metadata: m}
	if m.Folder != nil {
		found.Savepoint = dataflow.Canonical
		return found, nil
	}
	owner, err := claim.Read(ctx, bucket)
	if err != nil && !errors.Is(err, objectstore.ErrNotFound) {
		return nil, fmt.Errorf("origin %s: %w", location, unreadable(err))
	}
	if m.Cluster == l.cluster() && owner.Cluster == m.Cluster {
		return l.ownCheckpoint(ctx, m, object, location)
	}
	return found, nil
}

// ownCheckpoint is a metadata object in this cluster's own bucket: the catalog must have it.
func (l *leader) ownCheckpoint(ctx context.Context, m *checkpointstore.Metadata, object catalog.Object, location string) (*origin, error) {
	record := l.record(m.Job)
	if record == nil {
		return nil, fmt.Errorf("origin %s: this cluster does not know job %s any more: %w", location, m.Job, ledger.ErrNoJob)
	}
	if r := record.Catalog.Record(m.Checkpoint); r == nil || r.Metadata.Key != object.Key {
		return nil, fmt.Errorf("origin %s: the catalog does not have checkpoint %d of job %s any more, so its objects may be gone at any moment; %s: %w",
			location, m.Checkpoint, m.Job, whatThereIs(record), ledger.ErrNoCheckpoint)
	}
	return l.withPath(ctx, record, m.Checkpoint, location)
}

func (l *leader) withPath(ctx context.Context, record *ledger.Job, id dataflow.CheckpointID, location string) (*origin, error) {
	found, err := l.originOf(ctx, record, id)
	if err != nil {
		return nil, err
	}
	found.Path = location
	return found, nil
}

// mayClaim refuses what another cluster's catalog may still delete or restore.
func (l *leader) mayClaim(ctx context.Context, o *origin) error {
	if o.Job != "" || o.Savepoint == dataflow.Canonical {
		return nil
	}
	bucket, err := l.openStore(ctx, o.Store)
	if err != nil {
		return err
	}
	defer bucket.Close()
	switch owner, err := claim.Read(ctx, bucket); {
	case errors.Is(err, objectstore.ErrNotFound): // nobody's: a copy of a bucket, or a part of one
		return nil
	case err != nil:
		return fmt.Errorf("claim %s: %w", o.Path, unreadable(err))
	case owner.Released:
		return nil
	default:
		return fmt.Errorf("claim %s: it belongs to cluster %s, whose catalog may name and delete it: leave out --claim, and it is copied; or, when that cluster is gone for good, set \"released\": true in %s: %w",
			o.Path, owner, objectstore.JoinURL(o.Store, claim.Key), errPrecondition)
	}
}

// openStore opens a store beside the cluster's own, with this machine's credentials.
func (l *leader) openStore(ctx context.Context, store string) (objectstore.Bucket, error) {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	bucket, err := open.Open(ctx, store, open.Options{})
	switch {
	case errors.Is(err, open.ErrURL):
		return nil, fmt.Errorf("open %s: %w: %w", store, err, errInvalid)
	case errors.Is(err, objectstore.ErrNoBucket):
		return nil, fmt.Errorf("open %s: %w: %w", store, err, errPrecondition)
	case err != nil:
		return nil, fmt.Errorf("open %s: %w: %w", store, err, errNotReady)
	}
	return bucket, nil
}

// readAt reads a metadata object of which nobody has told the hash: its header covers
// its body.
func readAt(ctx context.Context, bucket objectstore.Bucket, key string) (*checkpointstore.Metadata, catalog.Object, error) {
	data, err := bucket.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, catalog.Object{}, fmt.Errorf("read %s: %w", key, err)
	}
	m, err := checkpointstore.Decode(data)
	if err != nil {
		return nil, catalog.Object{}, fmt.Errorf("read %s: %w", key, err)
	}
	sum := sha256.Sum256(data)
	return m, catalog.Object{Key: key, Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}, nil
}

// splitLocation splits the URL of a metadata object, or of a savepoint's folder, into the
// URL of its bucket and the key in it.
func splitLocation(location string) (store, key string, err error) {
	u, err := url.Parse(location)
	if err != nil || u.Scheme == "" {
		return "", "", fmt.Errorf("origin %q: want JOB, JOB/CHECKPOINT, or the URL of a metadata object or of a savepoint's folder, such as file:///backups/savepoint-7: %w", location, errInvalid)
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	depth := 2
	switch name := parts[len(parts)-1]; {
	case isMetadataKey(parts):
		depth = metadataDepth
	case name != checkpointstore.SavepointMetadata:
		parts = append(parts, checkpointstore.SavepointMetadata)
	}
	if u.Scheme == "mem" { // whose URL has no path
		depth = len(parts)
	}
	if len(parts) < depth {
		depth = len(parts)
	}
	u.Path = "/" + path.Join(parts[:len(parts)-depth]...)
	if u.Path == "/" {
		u.Path = map[string]string{"file": "/"}[u.Scheme]
	}
	return u.String(), path.Join(parts[len(parts)-depth:]...), nil
}

// isMetadataKey tells whether a path ends as the key of a checkpoint's metadata object.
func isMetadataKey(parts []string) bool {
	n := len(parts)
	if n < metadataDepth || parts[n-2] != "metadata" || parts[n-4] != "jobs" {
		return false
	}
	_, ok := checkpointstore.MetadataID(parts[n-1])
	return ok
}

// sameFolder tells whether two URLs name one savepoint's folder, one of them perhaps by its
// metadata object. A URL's query says how to reach a store, and not what is in it.
func sameFolder(a, b string) bool { return plainFolder(a) == plainFolder(b) }

// plainFolder is a folder's URL as far as it says which folder it is.
func plainFolder(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return location
	}
	clean := strings.TrimSuffix(path.Clean("/"+u.Path), "/"+checkpointstore.SavepointMetadata)
	return u.Scheme + "://" + u.Host + clean
}
