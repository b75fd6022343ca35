package controller

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// healthyWithin is how long a new program may take to its first checkpoint if nobody says
// otherwise: a restore of some state and a checkpoint take seconds.
const healthyWithin = time.Minute

// UpgradeJob has a worker plan the new program and match it with the job's newest checkpoint,
// and begins the upgrade. Parallelism and options are the request's, else those that the job
// was given, else the new program's. Nothing stops before that. It answers when the upgrade is in Raft;
// GetJob tells how it stands. The same key begins one upgrade. An error does not name the job: who asked says what failed.
func (s controlService) UpgradeJob(ctx context.Context, r *wire.UpgradeJobRequest) (*wire.UpgradeJobResponse, error) {
	u, err := s.upgrade(ctx, r)
	if err != nil {
		return nil, statusOf(err)
	}
	return &wire.UpgradeJobResponse{Savepoint: uint64(u.Savepoint)}, nil
}

func (s controlService) upgrade(ctx context.Context, r *wire.UpgradeJobRequest) (*ledger.Upgrade, error) {
	l, record, err := s.job(ctx, r.Job)
	if err != nil {
		return nil, err
	}
	if u := record.Upgrade; u != nil && u.Key == r.Key {
		return u, nil
	}
	if record.Status != ledger.Running {
		return nil, fmt.Errorf("it is %s, and only a running job can be upgraded: %w", record.Status, ledger.ErrNotRunning)
	}
	if err := l.checkVersion(ledger.VersionOf(&ledger.BeginUpgrade{})); err != nil {
		return nil, err
	}
	if !l.artifacts.pin(r.ArtifactSha256) {
		return nil, fmt.Errorf("artifact %.12s, which no job needed, is being deleted right now; put it again: %w", r.ArtifactSha256, errNotReady)
	}
	defer l.artifacts.unpin(r.ArtifactSha256)
	cmd, err := l.planUpgrade(ctx, record, r)
	if err != nil {
		return nil, err
	}
	result, err := l.commit(ctx, cmd)
	if err != nil {
		return nil, err
	}
	l.post(context.WithoutCancel(ctx), func() {
		if j := l.jobs[record.ID]; j != nil {
			l.drive(j)
		}
	})
	return result.(*ledger.Job).Upgrade, nil
}

// planUpgrade makes the command, or says why the program can't take the job's place.
func (l *leader) planUpgrade(ctx context.Context, record *ledger.Job, r *wire.UpgradeJobRequest) (*ledger.BeginUpgrade, error) {
	if r.HealthyWithinMs < 0 || r.Parallelism < 0 {
		return nil, fmt.Errorf("healthy within %d ms, parallelism %d: want positive ones, or 0 for the default: %w", r.HealthyWithinMs, r.Parallelism, errInvalid)
	}
	over, err := decodeOptions(r.Options)
	if err != nil {
		return nil, err
	}
	kept, err := chosenOptions(record)
	if err != nil {
		return nil, err
	}
	over = kept.Merge(over)
	if err := l.needArtifact(ctx, r.ArtifactSha256); err != nil {
		return nil, err
	}
	as := &wire.SubmitJobRequest{Name: record.Name, ArtifactSha256: r.ArtifactSha256, Args: r.Args, Platform: r.Platform, Parallelism: cmp.Or(r.Parallelism, int32(record.Parallelism))}
	plan, err := l.planArtifact(ctx, as, newestPoint(record, r.AllowNonRestoredState))
	if err != nil {
		return nil, err
	}
	submit, err := submission(plan.graph, over, as)
	if err != nil {
		return nil, err
	}
	if err := plan.refusalOfSavepoint(); err != nil {
		return nil, fmt.Errorf("restore checkpoint %d: %w: %w", record.Catalog.Newest().ID, err, errPrecondition)
	}
	return &ledger.BeginUpgrade{
		Header: l.header(cmp.Or(r.Key, freshKey())), Job: record.ID,
		HealthyWithin: cmp.Or(r.HealthyWithinMs, healthyWithin.Milliseconds()), AllowNonRestored: r.AllowNonRestoredState,
		Program: ledger.Program{
			Artifact: submit.Artifact, Args: submit.Args, Graph: submit.Graph, Options: submit.Options,
			Platform: submit.Platform, Parallelism: submit.Parallelism,
		},
	}, nil
}

// chosenOptions are the options that a job has from people and not from its program: given
// when it was submitted, or set since. Another program in its place keeps them.
func chosenOptions(record *ledger.Job) (dataflow.Options, error) {
	var graph dataflow.Graph
	if err := json.Unmarshal(record.Graph, &graph); err != nil {
		return dataflow.Options{}, fmt.Errorf("graph of job %s: %w", record.ID, err)
	}
	has, programs := record.Options, recorded(graph.Options)
	has.State, programs.State = has.WithDefaults().State, programs.WithDefaults().State
	return has.Beyond(programs), nil
}

// newestPoint is the job's newest checkpoint, which the upgrade's savepoint will be like; nil
// if there is none yet.
func newestPoint(record *ledger.Job, allowNonRestored bool) *wire.RestorePoint {
	newest := record.Catalog.Newest()
	if newest == nil {
		return nil
	}
	return &wire.RestorePoint{
		Key: newest.Metadata.Key, Size: newest.Metadata.Size, Sha256: newest.Metadata.SHA256,
		AllowNonRestoredState: allowNonRestored, OwnTransactions: true,
	}
}

// upgradeText says how an upgrade stands, for people and programs: up to the colon it is
// ledger.UpgradeStatus. Empty if there was none.
func upgradeText(record *ledger.Job, now time.Time) string {
	u := record.Upgrade
	if u == nil {
		return ""
	}
	text := string(u.Status) + ": "
	switch u.Status {
	case ledger.UpgradeSaving:
		text += "a savepoint of the running program is taken"
	case ledger.UpgradeTrying:
		left := max(0, time.UnixMilli(u.HealthyBy).Sub(now).Round(time.Second))
		text += fmt.Sprintf("artifact %.12s restores savepoint %d and has %v left to complete a checkpoint", u.To, u.Savepoint, left)
		if u.Failures > 0 {
			text += fmt.Sprintf("; failed attempts: %d", u.Failures)
		}
	case ledger.UpgradeDone:
		text += fmt.Sprintf("artifact %.12s goes on from savepoint %d", u.To, u.Savepoint)
	case ledger.UpgradeRolledBack:
		text += fmt.Sprintf("artifact %.12s goes on from savepoint %d again: %s", u.From, u.Savepoint, u.Reason)
	case ledger.UpgradeFailed:
		text += "nothing has changed: " + u.Reason
	}
	return text
}
