package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/claim"
)

// claimAgain is the pause before a claim is tried again while the store is down.
const claimAgain = time.Second

// claim makes sure that the bucket is this cluster's, once in a process: the
// claim never changes afterwards, and a failover must not wait for the store.
// While the store is down it keeps trying. An error means that this
// controller can not serve this cluster with this bucket.
func (w *world) claim(ctx context.Context) error {
	for !w.claimed.Load() {
		err := w.claimOnce(ctx)
		switch {
		case err == nil:
			w.claimed.Store(true)
		case bucketIsWrong(err):
			return err
		default:
			w.log.Warn("bucket not reachable", "err", err)
			if err := pause(ctx, claimAgain); err != nil {
				return err
			}
		}
	}
	return nil
}

// claimOnce claims the bucket for a cluster without jobs. One that has jobs has
// claimed its bucket before the first, and their checkpoints are there: another
// bucket, also one that nobody has, is a mistake. The claim object decides and
// not the URL, which may be spelled in another way.
func (w *world) claimOnce(ctx context.Context) error {
	if len(w.records()) == 0 {
		fingerprint := claim.Fingerprint{Cluster: w.cluster(), Created: time.Now().UTC()}
		return claim.Claim(ctx, w.bucket, fingerprint, claim.Options{AssumeExclusive: w.cfg.AssumeExclusive})
	}
	err := w.checkBucket(ctx)
	if err == nil {
		_, err = claim.Read(ctx, w.bucket)
	}
	if errors.Is(err, objectstore.ErrNotFound) {
		return fmt.Errorf("%w: %s has no claim, and the jobs of this cluster are in %s: start with the right --object-store",
			errNotOurs, w.bucket.URL(), w.objectStore())
	}
	return err
}

// errNotOurs is returned when the bucket is not the one that holds our jobs.
var errNotOurs = errors.New("not the bucket of this cluster")

// bucketIsWrong tells whether no retry will help.
func bucketIsWrong(err error) bool {
	return errors.Is(err, errNotOurs) || errors.Is(err, claim.ErrClaimed) || errors.Is(err, claim.ErrUnsafe) ||
		errors.Is(err, objectstore.ErrNoBucket) || errors.Is(err, objectstore.ErrCorrupt)
}

// checkBucket finds out at the start, before Raft, whether the bucket belongs
// to somebody else. A data directory that knows its cluster must find its own.
func (w *world) checkBucket(ctx context.Context) error {
	owner, err := claim.Read(ctx, w.bucket)
	switch cluster := w.cluster(); {
	case errors.Is(err, objectstore.ErrNotFound):
		return nil // not claimed yet
	case err != nil:
		return fmt.Errorf("bucket %s: %w", w.bucket.URL(), err)
	case cluster != "" && owner.Cluster != cluster:
		return fmt.Errorf("bucket %s: %w: it is of %s and the data directory %s of %s",
			w.bucket.URL(), claim.ErrClaimed, owner, w.cfg.DataDir, cluster)
	}
	return nil
}
