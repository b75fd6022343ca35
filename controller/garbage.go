package controller

import (
	"context"
	"errors"
	"path"
	"time"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
)

const (
	// collectAgain is how long the collector rests after an error of the
	// store, and at most between two looks at the artifacts.
	collectAgain = 30 * time.Second
	// collectPause is the least time between two passes: a pass looks at every
	// job, and checkpoints may complete a thousand times a second.
	collectPause = 200 * time.Millisecond
	// artifactGrace keeps an artifact that was just put until its submit has
	// had time to come. It is the one thing whose age counts: nothing refers
	// to an artifact before its job exists.
	artifactGrace = time.Hour
)

// wakeCollector lets the collector look. It never waits.
func (l *leader) wakeCollector() {
	select {
	case l.garbage <- struct{}{}:
	default: // it will look anyway
	}
}

// collectGarbage deletes what the ledger has marked, until the term ends. What
// is marked is final and committed (I6): nothing can refer to it again, so it
// needs no lock with anything else, and a crash only repeats it.
func (l *leader) collectGarbage(ctx context.Context) error {
	var looked time.Time
	next := 0 // job whose strays are looked for
	for {
		for _, record := range l.records() {
			if err := errors.Join(l.collectJob(ctx, record), l.releaseOrigin(ctx, record)); err != nil && !l.storeFailed(ctx, err) {
				return context.Cause(ctx)
			}
		}
		if looked.IsZero() || time.Since(looked) >= collectAgain {
			looked = time.Now()
			if err := l.collectArtifacts(ctx); err != nil && !l.storeFailed(ctx, err) {
				return context.Cause(ctx)
			}
			if records := l.records(); len(records) > 0 {
				next = (next + 1) % len(records)
				if err := l.collectStrays(ctx, records[next].ID); err != nil && !l.storeFailed(ctx, err) {
					return context.Cause(ctx)
				}
			}
		}
		timer := time.NewTimer(collectAgain)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-l.garbage:
			timer.Stop()
		case <-timer.C:
		}
		if err := pause(ctx, collectPause); err != nil {
			return err
		}
	}
}

// storeFailed notes an error and rests; it tells false if the term is over.
func (l *leader) storeFailed(ctx context.Context, err error) bool {
	if l.termIsOver(ctx, err) {
		return false
	}
	l.log.Warn("collect garbage", "err", err)
	return pause(ctx, proposeAgain) == nil
}

// collectJob deletes one job's marked objects, and then has the ledger forget them.
func (l *leader) collectJob(ctx context.Context, record *ledger.Job) error {
	marked := record.Catalog.Garbage()
	if marked.Empty() {
		return nil
	}
	runs, single, err := l.store().Collect(ctx, marked.Runs, marked.Single)
	l.passed(StepDeleteObjects)
	if len(runs) == 0 && len(single) == 0 {
		return err
	}
	_, refused := l.commit(ctx, &ledger.ForgetGarbage{Header: l.header(""), Job: record.ID, Runs: runs, Single: single})
	l.passed(StepDeleteForgotten)
	return errors.Join(err, refused)
}

// collectArtifacts deletes executables that no job needs any more.
func (l *leader) collectArtifacts(ctx context.Context) error {
	prefix := path.Dir(checkpointstore.ArtifactKey(l.cluster(), "x")) + "/"
	var unneeded []string // SHA-256 sums
	err := l.bucket.List(ctx, prefix, func(info objectstore.Info) error {
		if l.judge(info).garbage {
			unneeded = append(unneeded, path.Base(info.Key))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, sha256 := range unneeded {
		if err := l.deleteArtifact(ctx, sha256); err != nil {
			return err
		}
	}
	return nil
}

// deleteArtifact deletes an artifact unless a job has come to need it.
func (l *leader) deleteArtifact(ctx context.Context, sha256 string) error {
	if !l.artifacts.beginDelete(sha256) {
		return nil
	}
	defer l.artifacts.endDelete(sha256)
	if l.artifactNeeded(sha256) {
		return nil
	}
	l.log.Info("delete artifact", "artifact", sha256)
	return l.bucket.Delete(ctx, checkpointstore.ArtifactKey(l.cluster(), sha256))
}

func (l *leader) artifactNeeded(sha256 string) (needed bool) {
	l.ledger.View(func(s *ledger.State) { needed = s.ArtifactsInUse()[sha256] })
	return needed
}

// jobIDs are the jobs that the loop knows, in order.
func (l *leader) jobIDs() []dataflow.JobID { return sortedKeys(l.jobs) }
