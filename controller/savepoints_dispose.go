package controller

import (
	"context"
	"path"
	"time"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/coordinator"
	"github.com/cairnstream/cairn/dataflow"
)

// disposeAgain is the rest after a folder could not be deleted.
const disposeAgain = 30 * time.Second

// deleteFolder deletes the folder of a savepoint that is disposing, and then has
// Raft forget it.
func (l *leader) deleteFolder(ref savepointRef, s *ledger.Savepoint) {
	w := l.workOf(ref)
	w.busy = true
	directory, folder := s.Directory, path.Dir(s.Metadata.Key)+"/"
	l.beside(func(ctx context.Context) func() {
		err := l.deleteBelow(ctx, directory, folder)
		if err == nil {
			l.passed(StepSavepointFolderGone)
			_, err = l.commit(ctx, &ledger.DisposeSavepoint{Header: l.header(""), Job: ref.job, ID: ref.id, Gone: true})
		}
		if l.termIsOver(ctx, err) {
			return nil
		}
		return func() { l.folderDeleted(ref, directory, err) }
	})
}

func (l *leader) folderDeleted(ref savepointRef, directory string, err error) {
	w := l.workOf(ref)
	w.busy = false
	if err != nil {
		l.log.Warn("dispose of savepoint", "job", ref.job, "savepoint", ref.id, "err", err)
		w.rest = l.agenda.after(disposeAgain, func() {
			w.rest = nil
			l.keepSavepoints()
		})
		return
	}
	delete(l.savepoints, ref)
	if directory == "" {
		l.removeFolders(ref, directory, nil, "") // what a worker of an earlier leader has written since
	}
	l.log.Info("savepoint gone", "job", ref.job, "savepoint", ref.id)
	l.passed(StepSavepointGone)
}

// disposeOf has Raft give a savepoint up. Called by the loop.
func (l *leader) disposeOf(ref savepointRef) {
	w := l.workOf(ref)
	w.busy = true
	l.propose(&ledger.DisposeSavepoint{Header: l.header(""), Job: ref.job, ID: ref.id}, func(_ any, err error) {
		delete(l.savepoints, ref)
		if err != nil {
			l.log.Debug("dispose of savepoint", "job", ref.job, "savepoint", ref.id, "err", err) // somebody may need it still
			return
		}
		l.passed(StepSavepointDisposing)
		l.wakeCollector()
		l.keepSavepoints()
	})
}

// collectSavepoints disposes of the automatic savepoints beyond those that the options
// keep and that no job restores from. A failed one is not counted and is not kept longer than its successor's success.
func (l *leader) collectSavepoints(record *ledger.Job) {
	keep := record.Options.WithDefaults().Checkpoint.SavepointRetained
	kept := 0
	for i := len(record.Savepoints) - 1; i >= 0; i-- {
		s := &record.Savepoints[i]
		if s.Trigger != ledger.SavepointPeriodic || s.Status != ledger.SavepointCompleted {
			continue
		}
		ref := savepointRef{record.ID, s.ID}
		if kept++; kept > keep && l.savepoints[ref] == nil && len(l.neededBy(record.ID, s.ID)) == 0 {
			l.disposeOf(ref)
		}
	}
}

// takePeriodic asks for the job's next automatic savepoint when its time has come: an
// interval after the last one began, or after the attempt began to run.
func (l *leader) takePeriodic(record *ledger.Job) {
	options := record.Options.WithDefaults().Checkpoint
	j := l.jobs[record.ID]
	if options.SavepointInterval <= 0 || record.Status != ledger.Running || j == nil || !j.coordinating || j.periodic {
		return
	}
	last := record.RunningSince
	for _, s := range record.Savepoints {
		if s.Trigger != ledger.SavepointPeriodic {
			continue
		}
		if s.Busy() {
			return
		}
		last = max(last, s.BegunAt)
	}
	if time.Since(time.UnixMilli(last)) < options.SavepointInterval {
		return
	}
	wish := coordinator.SavepointWish{Format: options.SavepointFormat, Trigger: ledger.SavepointPeriodic}
	if wish.Format == dataflow.Canonical {
		wish.Directory = options.SavepointDirectory
	}
	l.requestPeriodic(j, wish)
}

// requestPeriodic asks for one, and no other until it has begun or was refused.
func (l *leader) requestPeriodic(j *job, wish coordinator.SavepointWish) {
	j.periodic = true
	answer := make(chan triggered, 1)
	if err := l.requestSavepoint(j.id, freshKey(), wish, answer); err != nil {
		j.periodic = false
		return
	}
	l.beside(func(ctx context.Context) func() {
		select {
		case t := <-answer:
			return func() {
				j.periodic = false
				if t.err != nil {
					l.jobLog(j).Warn("automatic savepoint", "err", t.err)
				}
			}
		case <-ctx.Done():
			return nil
		}
	})
}
