package ledger

import (
	"fmt"

	"github.com/cairnstream/cairn/dataflow"
)

// What concerns upgrades. A swap of programs is part of another entry: the one that completes
// the savepoint, that fails an attempt, or that ends the job. So no state between two programs is ever seen.

// upgradeWithinMax bounds how long a new program may be tried, in milliseconds: a day.
const upgradeWithinMax = 24 * 60 * 60 * 1000

func (t *transition) beginUpgrade(j *Job, c *BeginUpgrade) any {
	switch {
	case c.Header.Key == "" || c.Program.Artifact == "" || len(c.Program.Graph) == 0:
		return refuse(ErrInvalid, "upgrade job %s: no key or no program", j.ID)
	case c.HealthyWithin <= 0 || c.HealthyWithin > upgradeWithinMax:
		return refuse(ErrInvalid, "upgrade job %s: healthy within %d ms", j.ID, c.HealthyWithin)
	case j.upgrading() != nil:
		return refuse(ErrUpgrading, "upgrade job %s: it is %s", j.ID, j.Upgrade.Status)
	case j.stopping() != nil:
		return refuse(ErrStopping, "upgrade job %s: savepoint %d stops it", j.ID, j.stopping().ID)
	case j.Status != Running:
		return refuse(ErrNotRunning, "upgrade job %s: it is %s", j.ID, j.Status)
	}
	next := c.Program
	j.Upgrade = &Upgrade{
		Status: UpgradeSaving, Key: c.Header.Key, Other: &next, HealthyWithin: c.HealthyWithin,
		AllowNonRestored: c.AllowNonRestored, BegunAt: t.Now, From: j.Artifact, To: c.Program.Artifact,
	}
	t.upgradeEvent(j)
	return t.put(j)
}

func (t *transition) endUpgrade(j *Job, c *EndUpgrade) any {
	u := j.upgrading()
	if u == nil || u.Savepoint != c.Savepoint {
		return t.Jobs[j.ID]
	}
	reason := bounded(c.Reason, reasonMax)
	if u.Status == UpgradeSaving {
		if p, found := j.takePending(u.Savepoint); found {
			t.abort(j, p, reason)
		}
		t.concludeUpgrade(j, UpgradeFailed, reason)
		return t.put(j)
	}
	t.endAttempt(j, "the upgrade is rolled back: "+reason)
	t.rollBack(j, reason)
	if j.Status.Active() {
		j.NotBefore, j.FailuresInRow = 0, 0
		t.setStatus(j, Restarting)
	}
	return t.put(j)
}

// changeUpgrade gives the job an upgrade of its own to change: the one before is another value's.
func (j *Job) changeUpgrade() *Upgrade {
	u := *j.Upgrade
	j.Upgrade = &u
	return &u
}

// checkUpgradeSavepoint refuses an upgrade's savepoint that no upgrade waits for.
func (j *Job) checkUpgradeSavepoint(c *BeginSavepoint) error {
	if u := j.upgrading(); u != nil && u.Status == UpgradeSaving && u.Savepoint == 0 && u.Key == c.Header.Key && c.Stop && !c.Drain && !c.Cancel && c.Format == dataflow.Native {
		return nil
	}
	return refuse(ErrInvalid, "begin a savepoint of job %s: no upgrade waits for it", j.ID)
}

// swap puts the new program into the job, whose savepoint has just completed: the next attempt
// is its first, and restores that.
func (t *transition) swap(j *Job, id dataflow.CheckpointID) {
	u := j.upgrading()
	if u == nil || u.Savepoint != id {
		panic(fmt.Sprintf("ledger: savepoint %d of job %s completes an upgrade that is not there", id, j.ID)) // giving one up aborts its savepoint
	}
	u = j.changeUpgrade()
	old := j.program()
	j.install(u.Other)
	u.Status, u.Other, u.Swapped, u.HealthyBy = UpgradeTrying, old, j.attempt(), t.Now+u.HealthyWithin
	t.endAttempt(j, fmt.Sprintf("another program goes on from savepoint %d", id))
	j.NotBefore, j.FailuresInRow = 0, 0
	t.upgradeEvent(j)
	t.setStatus(j, Restarting)
}

// healthy ends an upgrade whose program has completed a checkpoint.
func (t *transition) healthy(j *Job, attempt dataflow.Attempt) {
	if u := j.upgrading(); u != nil && u.Status == UpgradeTrying && attempt > u.Swapped {
		t.concludeUpgrade(j, UpgradeDone, "")
	}
}

// newProgramFailed counts a failure of the new program's and tells whether the old one is back:
// after a few failures, or one that is final, nobody waits for HealthyBy.
func (t *transition) newProgramFailed(j *Job, attempt dataflow.Attempt, final bool, reason string) bool {
	u := j.upgrading()
	if u == nil || u.Status != UpgradeTrying || attempt <= u.Swapped {
		return false
	}
	u = j.changeUpgrade()
	if u.Failures++; u.Failures < upgradeFailuresMax && !final {
		return false
	}
	t.rollBack(j, reason)
	return true
}

// notSaved ends an upgrade whose attempt ends before its savepoint: nothing has changed.
func (t *transition) notSaved(j *Job, reason string) {
	if u := j.upgrading(); u != nil && u.Status == UpgradeSaving {
		t.concludeUpgrade(j, UpgradeFailed, reason)
	}
}

// endsUpgrading ends the upgrade of a job that ends. While the new program is tried it ends as
// the old one, whose sinks owe the commits.
func (t *transition) endsUpgrading(j *Job) {
	t.notSaved(j, "the job ended")
	if j.upgrading() != nil {
		t.rollBack(j, "the job ended")
	}
}

// rollBack puts the old program back.
func (t *transition) rollBack(j *Job, reason string) {
	j.install(j.Upgrade.Other)
	t.concludeUpgrade(j, UpgradeRolledBack, reason)
}

func (t *transition) concludeUpgrade(j *Job, s UpgradeStatus, reason string) {
	u := j.changeUpgrade()
	u.Status, u.Reason, u.Other, u.EndedAt = s, reason, nil, t.Now
	t.upgradeEvent(j)
}

func (t *transition) upgradeEvent(j *Job) {
	t.emit(Event{Type: EventUpgrade, Job: j.ID, Attempt: j.attempt(), Checkpoint: j.Upgrade.Savepoint, Detail: string(j.Upgrade.Status)})
}
