package ledger

import (
	"errors"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/dataflow"
)

// beginUpgrade begins an upgrade of job j, which runs, to the artifact "new", up to its savepoint.
func (w *world) beginUpgrade(key string) dataflow.CheckpointID {
	w.t.Helper()
	w.ok(&BeginUpgrade{
		Header: Header{Key: key}, Job: "j", HealthyWithin: 1000, AllowNonRestored: true,
		Program: Program{Artifact: "new", Graph: []byte("{}"), Options: dataflow.Options{Retained: 2}, Parallelism: 3},
	})
	return w.ok(&BeginSavepoint{
		Header: Header{Key: key}, Job: "j", Attempt: w.job("j").attempt(), Format: dataflow.Native, Trigger: SavepointUpgrade, Stop: true,
	}).(dataflow.CheckpointID)
}

// swapped takes job j to the moment when the new program is in it.
func swapped(t *testing.T) (*world, dataflow.CheckpointID) {
	t.Helper()
	w := setup(t)
	w.submit("j")
	a := w.run("j")
	id := w.beginUpgrade("u")
	w.ok(completion("j", a, id, true))
	return w, id
}

func (w *world) upgrade(want UpgradeStatus, artifact string) {
	w.t.Helper()
	j := w.job("j")
	if j.Upgrade == nil || j.Upgrade.Status != want || j.Artifact != artifact || j.Upgrade.Over() != (j.Upgrade.Other == nil) {
		w.t.Fatalf("artifact %q, upgrade %+v, want artifact %q %s", j.Artifact, j.Upgrade, artifact, want)
	}
}

func TestUpgradeSwapsWithItsSavepoint(t *testing.T) {
	w, id := swapped(t)
	w.upgrade(UpgradeTrying, "new")
	w.status("j", Restarting)
	j := w.job("j")
	if j.Parallelism != 3 || j.Options.Retained != 2 || j.Upgrade.HealthyBy != w.ledger.state.Now+1000 || !j.Execution.Ended {
		t.Fatalf("job %+v", j)
	}
	if use := w.ledger.state.ArtifactsInUse(); !use["new"] || !use[j.Upgrade.From] || j.Upgrade.From == "new" {
		t.Fatalf("artifacts in use %v", use)
	}
	a := w.run("j")
	if e := w.job("j").Execution; e.Restore != id || !w.job("j").DropsState(id) || w.job("j").DropsState(id+1) {
		t.Fatalf("the new program restores %+v", e)
	}
	w.checkpoint("j", a, "periodic", false)
	w.upgrade(UpgradeDone, "new")
	if use := w.ledger.state.ArtifactsInUse(); len(use) != 1 {
		t.Fatalf("artifacts in use %v", use)
	}
	if r := w.job("j").Catalog.Record(id); r == nil || !r.Holds[SavepointHold] {
		t.Fatalf("the savepoint %+v", r)
	}
	w.restart()
	w.upgrade(UpgradeDone, "new")
}

func TestUpgradeGoesBack(t *testing.T) {
	fail := func(final bool) func(w *world) {
		return func(w *world) {
			a := w.run("j")
			w.ok(&FailAttempt{Job: "j", Attempt: a, Reason: "it panics", Final: final, FailuresInRow: 7, NotBefore: 1 << 40})
		}
	}
	for name, act := range map[string]func(w *world){
		"it is told to": func(w *world) {
			w.ok(&EndUpgrade{Job: "j", Savepoint: w.job("j").Upgrade.Savepoint, Reason: "not healthy"})
		},
		"the attempt that fails": fail(true),
		"three attempts fail":    func(w *world) { fail(false)(w); w.upgrade(UpgradeTrying, "new"); fail(false)(w); fail(false)(w) },
	} {
		t.Run(name, func(t *testing.T) {
			w, id := swapped(t)
			old := w.job("j").Upgrade.From
			act(w)
			w.upgrade(UpgradeRolledBack, old)
			w.status("j", Restarting)
			if j := w.job("j"); j.FailuresInRow != 0 || j.NotBefore != 0 || j.Upgrade.Reason == "" || j.Parallelism == 3 {
				t.Fatalf("job %+v", j)
			}
			a := w.run("j")
			if e := w.job("j").Execution; e.Restore != id || w.job("j").DropsState(id) {
				t.Fatalf("the old program restores %+v", e)
			}
			w.checkpoint("j", a, "periodic", false)
			w.upgrade(UpgradeRolledBack, old)
			w.ok(&EndUpgrade{Job: "j", Savepoint: id, Reason: "late"})
			w.status("j", Running)
		})
	}
}

// TestUpgradeWithoutSavepointIsAbsent: whatever ends it before the swap, the old program runs on.
func TestUpgradeWithoutSavepointIsAbsent(t *testing.T) {
	for name, c := range map[string]struct {
		act    func(w *world, id dataflow.CheckpointID)
		status Status
	}{
		"its savepoint fails": {func(w *world, id dataflow.CheckpointID) {
			w.ok(&AbortCheckpoint{Job: "j", Attempt: 1, ID: id, Reason: "the store is away"})
		}, Running},
		"it is told to": {func(w *world, id dataflow.CheckpointID) {
			w.ok(&EndUpgrade{Job: "j", Savepoint: id, Reason: "enough"})
			w.refused(completion("j", 1, id, false), ErrNotPending)
		}, Running},
		"the attempt fails": {func(w *world, _ dataflow.CheckpointID) {
			w.ok(&FailAttempt{Job: "j", Attempt: 1, Reason: "a worker is lost"})
		}, Restarting},
		"the job is cancelled": {func(w *world, _ dataflow.CheckpointID) { w.ok(&CancelJob{Job: "j"}) }, Cancelled},
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t)
			w.submit("j")
			w.run("j")
			old := w.job("j").Artifact
			c.act(w, w.beginUpgrade("u"))
			w.upgrade(UpgradeFailed, old)
			w.status("j", c.status)
			if j := w.job("j"); j.Upgrade.Reason == "" || len(j.Pending) > 0 {
				t.Fatalf("upgrade %+v, pending %v", j.Upgrade, j.Pending)
			}
		})
	}
}

// TestJobThatEndsWhileANewProgramIsTried: the sinks of the old one owe the commits.
func TestJobThatEndsWhileANewProgramIsTried(t *testing.T) {
	w, id := swapped(t)
	old := w.job("j").Upgrade.From
	w.run("j")
	w.ok(&CancelJob{Job: "j"})
	w.upgrade(UpgradeRolledBack, old)
	w.status("j", Cancelling)
	w.ok(&ConfirmCommits{Job: "j", ID: id})
	w.status("j", Cancelled)
}

// refusedKeyed is refused for a command with a key, which Raft remembers with its refusal.
func (w *world) refusedKeyed(c Command, want error) {
	w.t.Helper()
	if err, _ := w.apply(c).(error); !errors.Is(err, want) {
		w.t.Fatalf("%T: got %v, want %v", c, err, want)
	}
}

func TestUpgradeRefuses(t *testing.T) {
	w := setup(t)
	w.submit("j")
	good := func() *BeginUpgrade {
		return &BeginUpgrade{Header: Header{Key: "k"}, Job: "j", HealthyWithin: 1, Program: Program{Artifact: "a", Graph: []byte("{}")}}
	}
	c := good()
	c.Header.Key = "early"
	w.refusedKeyed(c, ErrNotRunning)
	a := w.run("j")
	for i, change := range []func(*BeginUpgrade){
		func(c *BeginUpgrade) { c.Header.Key = "" }, func(c *BeginUpgrade) { c.HealthyWithin = 0 },
		func(c *BeginUpgrade) { c.Program.Artifact = "" }, func(c *BeginUpgrade) { c.HealthyWithin = upgradeWithinMax + 1 },
	} {
		c := good()
		c.Header.Key = strings.Repeat("x", i+1)
		change(c)
		w.refusedKeyed(c, ErrInvalid)
	}
	unasked := &BeginSavepoint{Header: Header{Key: "s"}, Job: "j", Attempt: a, Format: dataflow.Native, Trigger: SavepointUpgrade, Stop: true}
	w.refusedKeyed(unasked, ErrInvalid)
	w.ok(good())
	w.ok(good()) // the same wish
	c = good()
	c.Header.Key = "another"
	w.refusedKeyed(c, ErrUpgrading)
	changed := w.job("j").Options
	changed.Retained++
	w.refusedKeyed(&SetOptions{Job: "j", Options: changed}, ErrUpgrading)
	w.ok(&EndUpgrade{Job: "j", Reason: "enough"})
	w.upgrade(UpgradeFailed, w.job("j").Artifact)
	w.ok(&BeginSavepoint{Header: Header{Key: "stop"}, Job: "j", Attempt: a, Format: dataflow.Native, Trigger: SavepointStop, Stop: true})
	c = good()
	c.Header.Key = "while it stops"
	w.refusedKeyed(c, ErrStopping)
}
