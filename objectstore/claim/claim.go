// Package claim makes sure that one bucket prefix serves one cluster. The
// first cluster that starts on it creates the object cairn-cluster.json, with
// an exclusive create; every other cluster is refused from then on. Two
// clusters in one prefix would delete each other's objects as garbage.
//
// The exclusive create needs a store whose conditional PUT works. On a folder
// it always does; an S3 server is put to a self-test. Where it fails, a claim
// is made only on the operator's word that nobody else uses the prefix.
package claim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cairnstream/cairn/objectstore"
)

// Key names the claim, at the root of the bucket prefix.
const Key = "cairn-cluster.json"

// format is the version of the claim's JSON.
const format = 1

var (
	// ErrClaimed is returned when the bucket belongs to another cluster.
	ErrClaimed = errors.New("bucket belongs to another cluster")
	// ErrUnsafe is returned when the store has no working conditional PUT and
	// nobody has said that the prefix is used by this cluster alone.
	ErrUnsafe = errors.New("store has no conditional put")
)

// Fingerprint is what a claim says.
type Fingerprint struct {
	Cluster string    `json:"cluster"` // the cluster's identifier
	Created time.Time `json:"created"` // when the cluster was made
	// Released is set by the operator of a cluster that is gone for good: nothing in
	// the bucket is any catalog's any more, and another cluster may claim checkpoints.
	Released bool `json:"released,omitempty"`
}

// String is for messages.
func (f Fingerprint) String() string {
	return fmt.Sprintf("%s (created %s)", f.Cluster, f.Created.UTC().Format(time.RFC3339))
}

// Options choose how Claim behaves.
type Options struct {
	// AssumeExclusive is the operator's word that no other cluster uses this
	// bucket prefix. It is needed where the store has no working conditional
	// PUT, and changes nothing elsewhere.
	AssumeExclusive bool
}

// object is the claim as it is stored.
type object struct {
	Format int `json:"format"`
	Fingerprint
}

// Claim takes the bucket prefix for a cluster, or confirms that it has it. It
// may be repeated, and by all controllers of the cluster at once. Another
// cluster's claim is ErrClaimed, with both clusters and what to do in the text.
func Claim(ctx context.Context, b objectstore.Bucket, f Fingerprint, opts Options) error {
	switch owner, err := Read(ctx, b); {
	case err == nil:
		return compare(b, owner, f)
	case !errors.Is(err, objectstore.ErrNotFound):
		return fmt.Errorf("claim %s: %w", b.URL(), err)
	}
	if err := mayCreate(ctx, b, opts); err != nil {
		return fmt.Errorf("claim %s: %w", b.URL(), err)
	}
	return create(ctx, b, f)
}

// Read returns the fingerprint of the cluster that has the bucket prefix.
// ErrNotFound means that none has.
func Read(ctx context.Context, b objectstore.Bucket) (Fingerprint, error) {
	data, err := b.Get(ctx, Key, 0, -1)
	if err != nil {
		return Fingerprint{}, fmt.Errorf("read %s: %w", Key, err)
	}
	var o object
	if err := json.Unmarshal(data, &o); err != nil {
		return Fingerprint{}, fmt.Errorf("read %s: %w: %w", Key, objectstore.ErrCorrupt, err)
	}
	if o.Format != format || o.Cluster == "" {
		return Fingerprint{}, fmt.Errorf("read %s: %w: format %d, cluster %q: this version reads format %d",
			Key, objectstore.ErrCorrupt, o.Format, o.Cluster, format)
	}
	return o.Fingerprint, nil
}

// mayCreate tells whether a create can be trusted to be exclusive.
func mayCreate(ctx context.Context, b objectstore.Bucket, opts Options) error {
	if opts.AssumeExclusive {
		return nil
	}
	ok, err := objectstore.HasConditionalPut(ctx, b)
	if err != nil {
		return fmt.Errorf("self-test of the conditional put: %w", err)
	}
	if !ok {
		return fmt.Errorf("%w: the server ignores If-None-Match, so it can't be seen whether another cluster"+
			" takes this prefix at the same time; if none does, start with --assume-exclusive", ErrUnsafe)
	}
	return nil
}

// create writes the claim; whoever lost the race learns who won.
func create(ctx context.Context, b objectstore.Bucket, f Fingerprint) error {
	data, err := json.Marshal(object{Format: format, Fingerprint: f})
	if err != nil {
		return fmt.Errorf("claim %s: %w", b.URL(), err)
	}
	err = b.Put(ctx, Key, append(data, '\n'), objectstore.PutOptions{IfAbsent: true})
	if err != nil && !errors.Is(err, objectstore.ErrExists) {
		return fmt.Errorf("claim %s: %w", b.URL(), err)
	}
	owner, err := Read(ctx, b)
	if err != nil {
		return fmt.Errorf("claim %s: %w", b.URL(), err)
	}
	return compare(b, owner, f)
}

func compare(b objectstore.Bucket, owner, f Fingerprint) error {
	if owner.Cluster == f.Cluster {
		return nil
	}
	return fmt.Errorf("%w: %s is of cluster %s and this is cluster %s; give this cluster another bucket or prefix,"+
		" or start it with the data directories of %s", ErrClaimed, b.URL(), owner, f, owner.Cluster)
}
