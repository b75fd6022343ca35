package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// lagMax is the age of a change that only a store in trouble leaves undurable:
// uploads follow each other within tens of milliseconds, and a slow one is
// hedged within a few seconds.
const lagMax = 10 * time.Second

// attemptFailed decides what becomes of a job whose attempt is over. A failure
// that every further attempt would meet again is not answered by one.
func (l *leader) attemptFailed(j *job, record *ledger.Job, verdict string) {
	reason, stack, at := j.failure(verdict)
	class, object := j.failureClass()
	switch {
	case class == wire.FailureClass_FAILURE_CLASS_RESTORE_OBJECT && l.commonVersion() >= ledger.VersionOf(&ledger.SuspendJob{}):
		l.suspend(j, reason, object)
	case class == wire.FailureClass_FAILURE_CLASS_PROGRAM:
		reason += " (the program does not fit its state: it is not started again)"
		l.failWith(j, at, 0, &ledger.FailAttempt{
			Job: j.id, Attempt: j.attempt, Reason: reason, Stack: stack, Final: true, FailuresInRow: record.FailuresInRow + 1,
		})
	default:
		l.fail(j, record, reason, stack, at)
	}
}

// failureClass is the class of the failure that ended the attempt, and the object
// that it is about. A damaged object is told before anything else.
func (j *job) failureClass() (class wire.FailureClass, object string) {
	for _, p := range j.processes {
		switch p.status.GetClass() {
		case wire.FailureClass_FAILURE_CLASS_RESTORE_OBJECT:
			return p.status.Class, p.status.Object
		case wire.FailureClass_FAILURE_CLASS_PROGRAM:
			class = p.status.Class
		}
	}
	return class, ""
}

// suspend lets the job wait for an operator: its restore point can't be read, and
// an older one would repeat output.
func (l *leader) suspend(j *job, reason, object string) {
	l.jobLog(j).Error("restore point can't be read, the job is suspended", "checkpoint", j.restore, "object", object, "reason", reason)
	l.stopCoordinating(j)
	cmd := &ledger.SuspendJob{Header: l.header(""), Job: j.id, Attempt: j.attempt, Object: object, Reason: reason}
	l.proposeFor(j, cmd, "suspend job", func(any) { l.stopEverywhere(j, false, "the job is suspended") })
}

// rest keeps a suspended job still. Its processes stay, with their local copies:
// one of them may be the last whole one. What its newest checkpoint owes stays
// owed: an operator may yet decide that it never was.
func (l *leader) rest(j *job) {
	l.stopCoordinating(j)
	l.stopEverywhere(j, false, "the job is suspended")
}

// resume carries out an operator's decision about a suspended job.
func (l *leader) resume(ctx context.Context, record *ledger.Job, r *wire.RestartJobRequest) (*wire.RestartJobResponse, error) {
	cmd := &ledger.ResumeJob{Header: l.header(r.Key), Job: record.ID, ID: dataflow.CheckpointID(r.FromCheckpoint)}
	result, err := l.commit(ctx, cmd)
	switch {
	case errors.Is(err, ledger.ErrNotSuspended):
		return nil, fmt.Errorf("%w; an older checkpoint would repeat output, and the newest can be restored: restart without one", err)
	case errors.Is(err, ledger.ErrDamaged), errors.Is(err, ledger.ErrNoCheckpoint):
		return nil, fmt.Errorf("%w; `cairn job show %s` tells what is damaged and where it can go on", err, record.ID)
	case err != nil:
		return nil, fmt.Errorf("resume %s: %w", record.ID, err)
	}
	resumed, ok := result.(*ledger.Resumed)
	if !ok {
		return nil, fmt.Errorf("resume %s: apply answered %T", record.ID, result)
	}
	attempt := attemptOf(record)
	l.log.Warn("job resumed by an operator", "job", record.ID, "checkpoint", resumed.From, "dropped", resumed.Dropped)
	l.wakeCollector()
	response := &wire.RestartJobResponse{Attempt: uint64(attempt) + 1, Checkpoint: uint64(resumed.From)}
	for _, id := range resumed.Dropped {
		response.Dropped = append(response.Dropped, uint64(id))
	}
	if len(resumed.Dropped) > 0 {
		response.Again = publishedAfter(record, resumed.From)
	}
	_, err = inLoop(ctx, l, func() (struct{}, error) { l.restartNow(record.ID, attempt); return struct{}{}, nil })
	return response, err
}

// damageView is what an operator must know of a suspended job; nil for others.
func damageView(record *ledger.Job) *wire.Damage {
	if record.Status != ledger.Suspended {
		return nil
	}
	d := &wire.Damage{}
	for _, key := range record.Damaged {
		object := &wire.DamagedObject{Key: key}
		for _, id := range record.Needing(key) {
			object.Checkpoints = append(object.Checkpoints, uint64(id))
		}
		d.Objects = append(d.Objects, object)
	}
	if whole := record.NewestWhole(); whole != nil {
		d.NewestWhole = uint64(whole.ID)
		d.Published = publishedAfter(record, whole.ID)
	}
	return d
}

// publishedAfter are the sinks that have, or may have, published output after a
// checkpoint. One without transactions has published up to the failure. Owed
// commits may be done: their confirmation is what lacks.
func publishedAfter(record *ledger.Job, id dataflow.CheckpointID) []*wire.PublishedSink {
	graph, _, err := decodeGraph(record.Graph)
	if err != nil { // Apply took it: it decodes
		return nil
	}
	upTo := record.Committed
	if owed := record.Catalog.Owed(); owed != nil {
		upTo = max(upTo, owed.ID)
	}
	var sinks []*wire.PublishedSink
	for _, o := range graph.Operators {
		switch {
		case o.Kind != dataflow.Sink:
		case !o.Transactional:
			sinks = append(sinks, &wire.PublishedSink{Uid: string(o.UID)})
		case upTo > id:
			sinks = append(sinks, &wire.PublishedSink{Uid: string(o.UID), UpTo: uint64(upTo)})
		}
	}
	return sinks
}
