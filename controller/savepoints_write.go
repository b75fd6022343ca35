package controller

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/open"
	"github.com/cairnstream/cairn/wire"
)

const (
	// writeTriesMax is how often a canonical savepoint is tried that a worker says
	// it can not write. A worker that went away said nothing, and does not count.
	writeTriesMax = 5
	// writePause is the rest after a failure, twice as long each time: the reason is
	// most often the store.
	writePause = time.Second
	// storeWait bounds the opening of a savepoint's store.
	storeWait = 10 * time.Second
)

// savepointRef names a savepoint in the cluster.
type savepointRef struct {
	job dataflow.JobID
	id  dataflow.CheckpointID
}

// savepointWork is what this leader does for a savepoint that is being written or
// disposed of. It is not in Raft: a new leader begins anew.
type savepointWork struct {
	session *session     // writes it; nil: nobody does
	folder  string       // that it writes
	left    []string     // folders of tries that failed
	tries   int          // that failed
	rest    *appointment // nothing is tried before
	busy    bool         // an entry or a deletion is under way
}

// idle tells whether something can be begun.
func (w *savepointWork) idle() bool { return w.session == nil && w.rest == nil && !w.busy }

// workOf is the work on a savepoint, which begins with its first mention.
func (l *leader) workOf(ref savepointRef) *savepointWork {
	w := l.savepoints[ref]
	if w == nil {
		w = &savepointWork{}
		l.savepoints[ref] = w
	}
	return w
}

// keepSavepoints looks after every savepoint that somebody has to do something for,
// those of jobs that have ended too. It is called once more than needed without harm.
func (l *leader) keepSavepoints() {
	if !l.settled {
		return
	}
	for _, record := range l.records() {
		for i := range record.Savepoints {
			s := &record.Savepoints[i]
			ref := savepointRef{record.ID, s.ID}
			switch {
			case s.Status == ledger.SavepointWriting && l.workOf(ref).idle():
				l.orderWriting(record, s)
			case s.Status == ledger.SavepointDisposing && l.workOf(ref).idle():
				l.deleteFolder(ref, s)
			}
		}
		l.collectSavepoints(record)
		l.takePeriodic(record)
	}
}

// orderWriting has a worker write a canonical savepoint, into a folder of its own
// name: what an earlier try may still write does not meet it.
func (l *leader) orderWriting(record *ledger.Job, s *ledger.Savepoint) {
	worker := l.writer(record)
	if worker == nil {
		return
	}
	w := l.workOf(savepointRef{record.ID, s.ID})
	w.session, w.folder = worker.session, l.newFolder(record, s)
	l.log.Info("writing savepoint", "job", record.ID, "savepoint", s.ID, "worker", worker.id, "folder", w.folder)
	worker.session.send(l.term, &wire.LeaderMessage{Body: &wire.LeaderMessage_WriteSavepoint{WriteSavepoint: &wire.WriteSavepoint{
		Job: string(record.ID), Savepoint: uint64(s.ID),
		ArtifactSha256: record.Artifact, Args: record.Args, Parallelism: int32(record.Parallelism),
		MetadataKey: s.Metadata.Key, MetadataSize: s.Metadata.Size, MetadataSha256: s.Metadata.SHA256,
		Store: s.Directory, Folder: w.folder,
	}}})
	l.passed(StepSavepointOrdered)
}

// writer picks a worker that can run the job's program: one without a share of the
// job if there is one, since the job should not feel it. nil: there is none now.
func (l *leader) writer(record *ledger.Job) (chosen *worker) {
	hosting := func(w *worker) bool {
		j := l.jobs[record.ID]
		return j != nil && j.process(w.id, w.incarnation) != nil
	}
	for _, w := range l.sortedWorkers() {
		if w.attached() && w.platform == record.Platform && (chosen == nil || hosting(chosen) && !hosting(w)) {
			chosen = w
		}
	}
	return chosen
}

// newFolder names a folder that nobody has used.
func (l *leader) newFolder(record *ledger.Job, s *ledger.Savepoint) string {
	if s.Directory == "" {
		return checkpointstore.SavepointFolder(l.cluster(), record.ID, s.ID, freshKey())
	}
	return fmt.Sprintf("%s-savepoint-%d-%s/", record.ID, s.ID, freshKey())
}

// takeSavepointWritten takes a worker's word on a savepoint. Only the try that this
// leader ordered last counts.
func (l *leader) takeSavepointWritten(s *session, m *wire.SavepointWritten) {
	ref := savepointRef{dataflow.JobID(m.Job), dataflow.CheckpointID(m.Savepoint)}
	w, standing := l.savepoints[ref], l.savepointOf(ref.job, dataflow.CheckpointID(m.Savepoint))
	if w == nil || w.session != s || w.folder != m.Folder || standing == nil {
		return
	}
	if m.Error != "" {
		w.tries++
		l.writingFailed(ref, m.Error)
		return
	}
	l.passed(StepSavepointFolder)
	l.finishSavepoint(ref, &ledger.FinishSavepoint{
		Location: objectstore.JoinURL(l.storeOf(standing), w.folder),
		Metadata: catalog.Object{Key: m.MetadataKey, Size: m.MetadataSize, SHA256: m.MetadataSha256},
		Bytes:    m.Bytes, Rows: m.Rows,
	})
}

// storeOf is the URL of the bucket that a savepoint's folder is in.
func (l *leader) storeOf(s *ledger.Savepoint) string {
	if s.Directory != "" {
		return s.Directory
	}
	return l.bucket.URL()
}

// writingFailed lets another try begin after a pause, or gives the savepoint up.
func (l *leader) writingFailed(ref savepointRef, reason string) {
	w := l.workOf(ref)
	l.log.Warn("savepoint not written", "job", ref.job, "savepoint", ref.id, "tries", w.tries, "err", reason)
	w.session, w.left = nil, append(w.left, w.folder)
	if w.tries >= writeTriesMax {
		l.finishSavepoint(ref, &ledger.FinishSavepoint{Reason: fmt.Sprintf("not written in %d tries: %s", w.tries, reason)})
		return
	}
	w.rest = l.agenda.after(writePause<<w.tries, func() {
		w.rest = nil
		l.keepSavepoints()
	})
}

// finishSavepoint has Raft note what became of the writing.
func (l *leader) finishSavepoint(ref savepointRef, cmd *ledger.FinishSavepoint) {
	w := l.workOf(ref)
	w.session, w.busy = nil, true
	cmd.Header, cmd.Job, cmd.ID = l.header(""), ref.job, ref.id
	standing := l.savepointOf(ref.job, ref.id)
	l.propose(cmd, func(_ any, err error) {
		delete(l.savepoints, ref)
		if err != nil {
			l.log.Error("finish savepoint", "job", ref.job, "savepoint", ref.id, "err", err)
			return
		}
		l.log.Info("savepoint finished", "job", ref.job, "savepoint", ref.id, "location", cmd.Location, "reason", cmd.Reason)
		l.passed(StepSavepointFinished)
		l.wakeCollector()
		l.keepSavepoints()
		if standing != nil {
			l.removeFolders(ref, standing.Directory, w.left, path.Dir(cmd.Metadata.Key)+"/")
		}
	})
}

// dropWriter notes that a worker that writes went away: another one begins anew.
func (l *leader) dropWriter(s *session) {
	for ref, w := range l.savepoints {
		if w.session == s {
			l.writingFailed(ref, fmt.Sprintf("worker %s went away", s.worker))
		}
	}
}

// removeFolders deletes what tries that failed have left. In the cluster's own bucket
// those of earlier leaders are found by their names; in another one somebody
// else's may have such names. What can't be deleted is garbage that nothing names.
func (l *leader) removeFolders(ref savepointRef, directory string, left []string, keep string) {
	if directory != "" && len(left) == 0 {
		return
	}
	l.beside(func(ctx context.Context) func() {
		var err error
		if directory == "" {
			err = deleteKeys(ctx, l.bucket, checkpointstore.SavepointTries(l.cluster(), ref.job, ref.id), keep)
		}
		for _, folder := range left {
			err = errors.Join(err, l.deleteBelow(ctx, directory, folder))
		}
		if err != nil && ctx.Err() == nil {
			l.log.Warn("folders of a savepoint's failed tries not removed", "job", ref.job, "savepoint", ref.id, "err", err)
		}
		return nil
	})
}

// deleteBelow deletes a savepoint's folder in its store: first _metadata, without
// which it is no savepoint, then the rest.
func (l *leader) deleteBelow(ctx context.Context, directory, folder string) error {
	bucket := l.bucket
	if directory != "" {
		openCtx, cancel := context.WithTimeout(ctx, storeWait)
		defer cancel()
		other, err := open.Open(openCtx, directory, open.Options{})
		if err != nil {
			return fmt.Errorf("open %s: %w", directory, err)
		}
		defer other.Close()
		bucket = other
	}
	if err := bucket.Delete(ctx, folder+checkpointstore.SavepointMetadata); err != nil {
		return err
	}
	return deleteKeys(ctx, bucket, folder, "")
}

// deleteKeys deletes all objects whose keys begin with prefix, but for those that begin
// with keep, if that is not empty.
func deleteKeys(ctx context.Context, bucket objectstore.Bucket, prefix, keep string) error {
	var keys []string
	err := bucket.List(ctx, prefix, func(info objectstore.Info) error {
		if keep == "" || !strings.HasPrefix(info.Key, keep) {
			keys = append(keys, info.Key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := bucket.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}
