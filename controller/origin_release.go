package controller

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairnstream/cairn/controller/ledger"
)

// releaseOrigin deletes what a job has claimed and needs no more, and then has Raft forget
// it. Raft names it until then, so that a crash in between only repeats it.
//
// A savepoint of a job of this cluster is disposed of in that job's name: its line and its
// hold go with it. What belongs to no job here is a folder, and is deleted as one.
func (l *leader) releaseOrigin(ctx context.Context, record *ledger.Job) error {
	o := record.Origin
	if o == nil || o.Release == "" {
		return nil
	}
	l.passed(StepOriginReleased)
	var err error
	if o.Job != "" {
		cmd := &ledger.DisposeSavepoint{Header: l.header(""), Job: o.Job, ID: o.Checkpoint}
		if _, err = l.commit(ctx, cmd); errors.Is(err, ledger.ErrNoSavepoint) {
			err = nil // somebody was faster
		}
		l.post(ctx, l.keepSavepoints)
	} else {
		err = l.deleteBelow(ctx, o.Store, o.Release)
	}
	if err != nil {
		return fmt.Errorf("delete what job %s has claimed: %w", record.ID, err)
	}
	l.passed(StepOriginDeleted)
	if _, err := l.commit(ctx, &ledger.ReleaseOrigin{Header: l.header(""), Job: record.ID}); err != nil {
		return err
	}
	l.log.Info("claimed origin deleted", "job", record.ID, "origin", described(record))
	l.passed(StepOriginForgotten)
	return nil
}
