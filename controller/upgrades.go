package controller

import (
	"context"
	"fmt"
	"time"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/coordinator"
	"github.com/cairnstream/cairn/dataflow"
)

// How the leader carries an upgrade on: it has the savepoint taken, and gives the new program up when
// its time is over. All else is part of entries that other decisions bring, so that whoever
// leads next finds in Raft where it stands.

// upgradeSteps are the steps of an upgrade, by where it stands then.
var upgradeSteps = map[ledger.UpgradeStatus]string{
	ledger.UpgradeSaving: StepUpgradeBegun, ledger.UpgradeTrying: StepUpgradeSwapped, ledger.UpgradeDone: StepUpgradeHealthy,
	ledger.UpgradeRolledBack: StepUpgradeRolledBack, ledger.UpgradeFailed: StepUpgradeFailed,
}

// upgradeOn lets a job's upgrade take its next step.
func (l *leader) upgradeOn(j *job, record *ledger.Job) {
	u := record.Upgrade
	if u == nil {
		return
	}
	if now := (upgradeSeen{u.Key, u.Status}); j.upgrade != now {
		j.upgrade = now
		l.jobLog(j).Info("upgrade", "status", u.Status, "savepoint", u.Savepoint, "reason", u.Reason)
		l.passed(upgradeSteps[u.Status])
	}
	switch {
	case u.Status == ledger.UpgradeSaving && u.Savepoint == 0:
		l.saveForUpgrade(j, u)
	case u.Status == ledger.UpgradeTrying:
		l.timeUpgrade(j, u)
	default:
		l.agenda.cancel(j.trial)
		j.trial = nil
	}
}

// upgradeSeen is where this leader last saw an upgrade.
type upgradeSeen struct {
	key    string
	status ledger.UpgradeStatus
}

// saveForUpgrade asks for the upgrade's savepoint, once. Its key is the upgrade's: what an earlier leader
// began is what Raft answers with.
func (l *leader) saveForUpgrade(j *job, u *ledger.Upgrade) {
	if !j.coordinating || j.saving == u.Key {
		return
	}
	j.saving = u.Key
	answer := make(chan triggered, 1)
	wish := coordinator.SavepointWish{Format: dataflow.Native, Trigger: ledger.SavepointUpgrade, Stop: true}
	if err := l.requestSavepoint(j.id, u.Key, wish, answer); err != nil {
		l.giveUpUpgrade(j, 0, err.Error())
		return
	}
	l.beside(func(ctx context.Context) func() {
		select {
		case t := <-answer:
			return func() {
				if t.err != nil {
					l.giveUpUpgrade(j, 0, fmt.Sprintf("savepoint: %v", t.err))
				}
			}
		case <-ctx.Done():
			return nil
		}
	})
}

// timeUpgrade gives the new program up when it is not healthy in time. HealthyBy is a wall
// clock's, perhaps of another leader; what is left is bounded by what was asked for.
func (l *leader) timeUpgrade(j *job, u *ledger.Upgrade) {
	if j.trial != nil {
		return
	}
	within := time.Duration(u.HealthyWithin) * time.Millisecond
	left := min(time.Until(time.UnixMilli(u.HealthyBy)), within)
	j.trial = l.agenda.after(max(0, left), func() {
		j.trial = nil
		l.giveUpUpgrade(j, u.Savepoint, fmt.Sprintf("no checkpoint was completed within %v", within))
	})
}

// giveUpUpgrade proposes the end of an upgrade. If another one came first, Apply leaves it alone.
func (l *leader) giveUpUpgrade(j *job, savepoint dataflow.CheckpointID, reason string) {
	if j.proposing { // a change of the job's life is under way: it may be the end already
		l.agenda.after(refusedPause, func() {
			if l.jobs[j.id] == j {
				l.giveUpUpgrade(j, savepoint, reason)
			}
		})
		return
	}
	cmd := &ledger.EndUpgrade{Header: l.header(""), Job: j.id, Savepoint: savepoint, Reason: reason}
	l.proposeFor(j, cmd, "end upgrade", func(any) {})
}
