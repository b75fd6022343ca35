package checkpointstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
)

// sweepMax is how many names a sweep holds in memory at once: about a megabyte.
const sweepMax = 10_000

// RunAttempt is the attempt in the name of an object that a task process wrote;
// false for every other key.
func RunAttempt(cluster string, job dataflow.JobID, key string) (dataflow.Attempt, bool) {
	rest, ok := strings.CutPrefix(key, jobPrefix(cluster, job))
	if !ok {
		return 0, false
	}
	parts := strings.Split(rest, "/")
	if len(parts) != 3 {
		return 0, false
	}
	n, err := strconv.ParseUint(parts[0], 10, 64)
	return dataflow.Attempt(n), err == nil && n > 0
}

func jobPrefix(cluster string, job dataflow.JobID) string {
	return fmt.Sprintf("%s/jobs/%s/", cluster, job)
}

// Sweep deletes the objects of a job's task processes that are garbage, and
// returns how many. judge is asked after some names have been listed, for the
// function that tells which of them are: so it sees a state that is no older
// than the list. Deleting twice is harmless; a sweep that breaks off is begun anew.
func (s *Store) Sweep(ctx context.Context, job dataflow.JobID, judge func() func(attempt dataflow.Attempt, key string) bool) (deleted int, err error) {
	for after := ""; ; {
		names, last, more, err := s.listRuns(ctx, job, after)
		if err != nil {
			return deleted, fmt.Errorf("sweep job %s: %w", job, err)
		}
		garbage := judge()
		d := deleter{bucket: s.bucket, places: make(chan struct{}, deletesAtOnce)}
		var kept atomic.Bool
		for _, n := range names {
			if garbage(n.attempt, n.key) && ctx.Err() == nil {
				deleted++
				d.start(ctx, n.key, &kept)
			}
		}
		if err := errors.Join(d.wait(), ctx.Err()); err != nil {
			return deleted, fmt.Errorf("sweep job %s: %w", job, err)
		}
		if after = last; !more {
			return deleted, nil
		}
	}
}

// runName is the name of an object of a task process.
type runName struct {
	attempt dataflow.Attempt
	key     string
}

var errEnough = errors.New("enough")

// listRuns lists at most sweepMax objects behind after; more tells whether there
// may be others behind last.
func (s *Store) listRuns(ctx context.Context, job dataflow.JobID, after string) (names []runName, last string, more bool, err error) {
	err = s.bucket.List(ctx, jobPrefix(s.cluster, job), func(i objectstore.Info) error {
		if i.Key <= after {
			return nil
		}
		if attempt, ok := RunAttempt(s.cluster, job, i.Key); ok {
			names = append(names, runName{attempt, i.Key})
		}
		if last = i.Key; len(names) == sweepMax {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return names, last, true, nil
	}
	return names, last, false, err
}
