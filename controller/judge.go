package controller

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
)

// The kinds of objects in a cluster's bucket.
const (
	kindState     = "state"
	kindMetadata  = "metadata"
	kindArtifact  = "artifact"
	kindSavepoint = "savepoint"
	kindUnknown   = "unknown"
)

// verdict says of an object whether something needs it. It is the one judge of what is
// garbage: of the background sweep, of `cairn gc` and of `cairn checkpoint why`.
type verdict struct {
	garbage bool   // nothing needs it and nothing ever will: it may be deleted
	why     string // garbage: what made it that; else: why it is not judged to be
}

func garbage(format string, args ...any) verdict { return verdict{true, fmt.Sprintf(format, args...)} }
func kept(format string, args ...any) verdict    { return verdict{false, fmt.Sprintf(format, args...)} }

// named is what the name of an object in the cluster's bucket says.
type named struct {
	kind       string
	job        dataflow.JobID
	attempt    dataflow.Attempt      // state
	process    string                // state
	checkpoint dataflow.CheckpointID // metadata, savepoint
	sha256     string                // artifact
	origin     string                // who wrote it, for people
}

// parseName reads the name of an object: see checkpointstore for the names.
func parseName(cluster, key string) named {
	rest, ours := strings.CutPrefix(key, cluster+"/")
	parts := strings.Split(rest, "/")
	switch {
	case !ours:
	case len(parts) == 2 && parts[0] == "artifacts":
		return named{kind: kindArtifact, sha256: parts[1], origin: "uploaded for a submit"}
	case len(parts) == 4 && parts[0] == "jobs" && parts[2] == "metadata":
		if id, ok := checkpointstore.MetadataID(key); ok {
			return named{kind: kindMetadata, job: dataflow.JobID(parts[1]), checkpoint: id, origin: fmt.Sprintf("job %s, checkpoint %d, by a leader", parts[1], id)}
		}
	case len(parts) == 5 && parts[0] == "jobs":
		if attempt, ok := checkpointstore.RunAttempt(cluster, dataflow.JobID(parts[1]), key); ok {
			return named{kind: kindState, job: dataflow.JobID(parts[1]), attempt: attempt, process: parts[3],
				origin: fmt.Sprintf("job %s, attempt %d, process %s", parts[1], attempt, parts[3])}
		}
	case len(parts) >= 4 && parts[0] == "savepoints":
		id, _, _ := strings.Cut(parts[2], "-")
		if n, err := strconv.ParseUint(id, 10, 64); err == nil {
			return named{kind: kindSavepoint, job: dataflow.JobID(parts[1]), checkpoint: dataflow.CheckpointID(n),
				origin: fmt.Sprintf("job %s, savepoint %d, by a worker", parts[1], n)}
		}
	}
	return named{kind: kindUnknown, origin: "unknown"}
}

// judge says whether the object may be deleted, by what Raft holds now.
//
// It errs on one side only, also on the state of a leader that was deposed: what an
// older state takes for garbage is garbage in every later one. See
// docs/design/0006-sweep.md.
func (l *leader) judge(info objectstore.Info) verdict {
	n := parseName(l.cluster(), info.Key)
	switch n.kind {
	case kindState:
		return judgeState(l.record(n.job), n.attempt, info.Key)
	case kindMetadata:
		return judgeMetadata(l.record(n.job), n.checkpoint, info.Key)
	case kindSavepoint:
		if job, needed := l.startsFrom(info.Key); needed {
			return kept("job %s starts from it", job)
		}
		return judgeSavepoint(l.record(n.job), n.checkpoint, info.Key)
	case kindArtifact:
		return l.judgeArtifact(n.sha256, info.Modified)
	}
	return kept("the cluster does not name objects so; whoever put it there knows")
}

var unknownJob = kept("Raft does not know the job; nothing of it is deleted")

// judgeState is I6 for what task processes write: an entry has marked it, or its
// attempt has ended and no record of the catalog refers to it.
func judgeState(record *ledger.Job, attempt dataflow.Attempt, key string) verdict {
	switch {
	case record == nil:
		return unknownJob
	case record.Catalog.RefersKey(key):
		return kept("a checkpoint refers to it")
	case record.Catalog.MarkedKey(key):
		return garbage("the last checkpoint that referred to it is gone")
	case attempt > record.EndedAttempts():
		return kept("its writer may live: attempt %d has not ended, and may still name it in a checkpoint", attempt)
	}
	return garbage("attempt %d has ended, and no checkpoint refers to it", attempt)
}

// judgeMetadata: completions come in the order of their ids, so that what is no newer
// than the newest complete checkpoint can not complete any more, also by the hand of a
// leader of an older term that still writes.
func judgeMetadata(record *ledger.Job, id dataflow.CheckpointID, key string) verdict {
	if record == nil {
		return unknownJob
	}
	if r := record.Catalog.Record(id); r != nil && r.Metadata.Key == key {
		return kept("it is checkpoint %d", id)
	}
	if record.Catalog.MarkedKey(key) {
		return garbage("checkpoint %d is gone", id)
	}
	if last := record.Catalog.Last(); !record.Status.Terminal() && (last == nil || id > last.ID) {
		return kept("checkpoint %d may still complete", id)
	}
	return garbage("it was written for checkpoint %d and never became its metadata", id)
}

// judgeSavepoint: a folder belongs to a savepoint that names it, or that is being
// written and may come to.
func judgeSavepoint(record *ledger.Job, id dataflow.CheckpointID, key string) verdict {
	if record == nil {
		return unknownJob
	}
	s := record.Savepoint(id)
	switch {
	case s == nil && id >= record.NextCheckpoint:
		return kept("this controller has not heard of savepoint %d", id)
	case s == nil:
		return garbage("savepoint %d was disposed of", id)
	case s.Busy():
		return kept("savepoint %d is being written", id)
	case s.Status == ledger.SavepointDisposing:
		return garbage("savepoint %d is being disposed of", id)
	case s.Status == ledger.SavepointCompleted && strings.HasPrefix(key, path.Dir(s.Metadata.Key)+"/"):
		return kept("it is savepoint %d", id)
	}
	return garbage("a try to write savepoint %d that did not become it", id)
}

// startsFrom names a job that has no checkpoint of its own yet and restores what is in the
// object's folder.
func (l *leader) startsFrom(key string) (dataflow.JobID, bool) {
	for _, record := range l.records() {
		if record.Restoring() && strings.HasPrefix(key, path.Dir(record.Origin.Object.Key)+"/") {
			return record.ID, true
		}
	}
	return "", false
}

// judgeArtifact: an artifact is the one thing whose age counts, since nothing refers
// to it before its job exists.
func (l *leader) judgeArtifact(sha256 string, modified time.Time) verdict {
	switch {
	case l.artifactNeeded(sha256):
		return kept("a job needs it")
	case time.Since(modified) <= artifactGrace:
		return kept("its submit may still come: it is younger than %v", artifactGrace)
	}
	return garbage("no job needs it")
}

// reasonsOf are all that needs an object, for people. It looks at every record.
func (l *leader) reasonsOf(n named, key string) (reasons []reason) {
	if n.kind == kindArtifact {
		for _, record := range l.records() {
			if record.Artifact == n.sha256 && (!record.Status.Terminal() || record.Catalog.Len() > 0) {
				reasons = append(reasons, reason{record.ID, 0, fmt.Sprintf("the program of a job that is %s, with %d checkpoints", record.Status, record.Catalog.Len())})
			}
		}
		return reasons
	}
	if job, needed := l.startsFrom(key); needed && n.kind == kindSavepoint {
		reasons = append(reasons, reason{job, 0, "starts from it and has no checkpoint of its own yet"})
	}
	// Another job may refer to it too: one that was started from a checkpoint of this one.
	for _, record := range l.records() {
		for r := range record.Catalog.All() {
			if r.Needs(key) {
				for _, why := range keptBy(record, r) {
					reasons = append(reasons, reason{record.ID, r.ID, why})
				}
			}
		}
		for _, s := range record.Savepoints {
			if n.kind == kindSavepoint && record.ID == n.job && s.ID == n.checkpoint && !judgeSavepoint(record, n.checkpoint, key).garbage {
				reasons = append(reasons, reason{record.ID, s.ID, fmt.Sprintf("%s savepoint, %s", s.Format, s.Status)})
			}
		}
	}
	return reasons
}

// reason is one thing that needs an object.
type reason struct {
	job        dataflow.JobID
	checkpoint dataflow.CheckpointID // 0: no checkpoint's
	why        string
}
