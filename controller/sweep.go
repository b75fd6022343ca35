package controller

import (
	"context"
	"time"

	"github.com/cairnstream/cairn/dataflow"
)

// sweepPause is the least time between two jobs that are swept: a look costs a
// LIST, and nobody waits for it.
const sweepPause = 100 * time.Millisecond

// wakeSweeper lets the sweeper look. It never waits.
func (l *leader) wakeSweeper() {
	select {
	case l.ended <- struct{}{}:
	default: // it will look anyway
	}
}

// sweepEnded deletes what attempts that have ended left behind, until the term
// ends: see docs/design/0006-sweep.md for why it needs no lock with anything.
//
// A job is looked at when the leader takes over and after each end of an
// attempt. What was on its way to the store at that moment, or is written by a
// process that is cut off and does not know of the end, is found later: in turn,
// one job is looked at every collectAgain.
func (l *leader) sweepEnded(ctx context.Context) error {
	swept := map[dataflow.JobID]dataflow.Attempt{} // up to which attempt
	next := 0
	turn := time.NewTicker(collectAgain)
	defer turn.Stop()
	for {
		records := l.records()
		for _, record := range records {
			ended := record.EndedAttempts()
			if ended <= swept[record.ID] {
				continue
			}
			if l.sweepJob(ctx, record.ID) {
				swept[record.ID] = ended
			}
			if err := pause(ctx, sweepPause); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-l.ended:
		case <-turn.C:
			if len(records) > 0 {
				next = (next + 1) % len(records)
				l.sweepJob(ctx, records[next].ID)
			}
		}
	}
}

// sweepJob deletes the job's objects that only an ended attempt could have
// needed. It tells false if the store was in the way; it is tried again then.
func (l *leader) sweepJob(ctx context.Context, id dataflow.JobID) bool {
	deleted, err := l.store().Sweep(ctx, id, func() func(dataflow.Attempt, string) bool {
		record := l.record(id)
		return func(attempt dataflow.Attempt, key string) bool { return judgeState(record, attempt, key).garbage }
	})
	if deleted > 0 {
		l.log.Info("swept what ended attempts left", "job", id, "objects", deleted)
	}
	if err != nil && ctx.Err() == nil {
		l.log.Warn("sweep", "job", id, "err", err)
	}
	return err == nil
}
