package controller

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// How a program of the tests behaves.
const (
	programGood  = "good"
	programFails = "fails" // in every attempt, at once
	programHangs = "hangs" // it takes no checkpoint
	programUnfit = "unfit" // it does not match
	programEdges = "edges" // records in flight would have no edge
)

func (c *cluster) behaviour(artifact string) string { return c.behaviours[artifact] }

// matchOf is what a program says of a restore point.
func (c *cluster) matchOf(p *wire.Plan) []byte {
	if p.Restore == nil {
		return nil
	}
	var refusals []string
	if c.behaviour(p.ArtifactSha256) == programUnfit && !p.Restore.AllowNonRestoredState {
		refusals = []string{`state of an unknown operator: "gone"`}
	}
	match, err := json.Marshal(map[string]any{"refusals": refusals})
	if c.behaviour(p.ArtifactSha256) == programEdges {
		match, err = json.Marshal(map[string]any{"refusals": []string{"in flight"}, "in_flight": "in flight"})
	}
	if err != nil {
		c.t.Error(err)
	}
	return match
}

// program stores a program that behaves so.
func (c *cluster) program(behaviour string) string {
	c.t.Helper()
	content := []byte("#!/bin/" + behaviour)
	sum := sha256.Sum256(content)
	sha := hex.EncodeToString(sum[:])
	_, l := c.leader()
	if _, _, err := l.store().PutArtifact(c.t.Context(), sha, bytes.NewReader(content)); err != nil {
		c.t.Fatal(err)
	}
	if c.behaviours == nil {
		c.behaviours = map[string]string{}
	}
	c.behaviours[sha] = behaviour
	return sha
}

func upgradeTo(id dataflow.JobID, artifact string) *wire.UpgradeJobRequest {
	return &wire.UpgradeJobRequest{Job: string(id), ArtifactSha256: artifact, Platform: "linux/amd64", Key: "the upgrade"}
}

func (c *cluster) awaitUpgrade(id dataflow.JobID, want ledger.UpgradeStatus) *ledger.Upgrade {
	c.t.Helper()
	c.await("the upgrade to be "+string(want), func() bool { return c.record(id).Upgrade != nil && c.record(id).Upgrade.Status == want })
	return c.record(id).Upgrade
}

func TestUpgrade(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		agents := c.startAgents(2, 1)
		id := c.running()
		c.awaitCompleted(id, 2)
		sha := c.program(programGood)
		for range 2 { // a repeat is the same upgrade
			if _, err := c.api().UpgradeJob(t.Context(), upgradeTo(id, sha)); err != nil {
				t.Fatal(err)
			}
		}
		u := c.awaitUpgrade(id, ledger.UpgradeDone)
		record := c.record(id)
		if record.Artifact != sha || record.Status != ledger.Running || record.Restarts != 1 || len(record.Failures) != 0 {
			t.Fatalf("artifact %.12s, %s after %d restarts, failures %v", record.Artifact, record.Status, record.Restarts, record.Failures)
		}
		for _, a := range agents {
			n := c.ordered(0, func(o order) bool {
				d := o.m.GetDeploy()
				return o.to == a.id && d != nil && d.ArtifactSha256 == sha && d.RestoreCheckpoint == uint64(u.Savepoint)
			})
			if n != 1 {
				t.Errorf("%s was given the new program on savepoint %d %d times", a.id, u.Savepoint, n)
			}
		}
		view, err := c.api().GetJob(t.Context(), &wire.GetJobRequest{Job: string(id)})
		if err != nil || !strings.HasPrefix(view.Upgrade, "done: ") {
			t.Errorf("told as %q, %v", view.GetUpgrade(), err)
		}
	})
}

// TestUpgradeKeepsWhatTheJobWasGiven: the options of its submit, and those set since, unless
// the upgrade gives others. What the old program said goes with it.
func TestUpgradeKeepsWhatTheJobWasGiven(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.graph.Options.BatchRows = 100
		c.startAgents(2, 1)
		id := c.running(func(o *dataflow.Options) { o.Retained, o.State.Backend = 7, dataflow.BackendLSM })
		c.awaitCompleted(id, 1)
		if _, err := c.set(id, `{"min_pause":5000000}`); err != nil {
			t.Fatal(err)
		}
		c.graph.Options = dataflow.Options{BatchRows: 200, Retained: 2}
		r := upgradeTo(id, c.program(programGood))
		r.Options = []byte(`{"tolerable_failures":4}`)
		if _, err := c.api().UpgradeJob(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		c.awaitUpgrade(id, ledger.UpgradeDone)
		o := c.record(id).Options
		if o.Retained != 7 || o.State.Backend != dataflow.BackendLSM || o.MinPause != 5*time.Millisecond || o.CheckpointInterval != time.Second {
			t.Errorf("it has lost what it was given: %+v", o)
		}
		if o.TolerableFailures != 4 || o.BatchRows != 200 {
			t.Errorf("it has not what the upgrade gave, or the new program says: %+v", o)
		}
	})
}

// TestUpgradeThatDoesNotFit is refused with the words of the match, before anything stops, unless
// dropping state is allowed.
func TestUpgradeThatDoesNotFit(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.startAgents(2, 1)
		id := c.running()
		c.awaitCompleted(id, 1)
		r := upgradeTo(id, c.program(programUnfit))
		_, err := c.api().UpgradeJob(t.Context(), r)
		if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), `state of an unknown operator: "gone"`) || strings.Contains(err.Error(), "upgrade job") {
			t.Fatalf("got %v", err)
		}
		if record := c.record(id); record.Upgrade != nil || record.Restarts != 0 || len(record.Savepoints) != 0 {
			t.Fatalf("something happened: %+v", record.Upgrade)
		}
		r.AllowNonRestoredState = true
		if _, err := c.api().UpgradeJob(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		c.awaitUpgrade(id, ledger.UpgradeDone)
		if n := c.ordered(0, func(o order) bool { return o.m.GetDeploy().GetRestore().GetAllowNonRestoredState() }); n != 2 {
			t.Errorf("%d processes were allowed to drop state, want 2", n)
		}
	})
}

// TestUpgradeGoesBackByItself: to the old program on the same savepoint, when the new one fails
// again and again or completes no checkpoint in time.
func TestUpgradeGoesBackByItself(t *testing.T) {
	for behaviour, want := range map[string]struct {
		reason string
		within time.Duration
	}{
		programFails: {"it panics", 20 * time.Second}, programHangs: {"no checkpoint was completed within 30s", 40 * time.Second},
	} {
		t.Run(behaviour, func(t *testing.T) {
			inBubble(t, func(t *testing.T, c *cluster) {
				c.startAgents(2, 1)
				id := c.running()
				c.awaitCompleted(id, 2)
				old := c.record(id).Artifact
				r := upgradeTo(id, c.program(behaviour))
				r.HealthyWithinMs = 30_000
				began := time.Now()
				if _, err := c.api().UpgradeJob(t.Context(), r); err != nil {
					t.Fatal(err)
				}
				u := c.awaitUpgrade(id, ledger.UpgradeRolledBack)
				if took := time.Since(began); took > want.within || !strings.Contains(u.Reason, want.reason) {
					t.Errorf("after %v: %q, want %q within %v", took, u.Reason, want.reason, want.within)
				}
				c.awaitStatus(id, ledger.Running)
				record := c.record(id)
				if record.Artifact != old || record.Execution.Restore != u.Savepoint {
					t.Fatalf("artifact %.12s restores %d, want %.12s on %d", record.Artifact, record.Execution.Restore, old, u.Savepoint)
				}
				c.awaitCompleted(id, record.Completed+2)
			})
		})
	}
}

// TestUpgradeWhoseSavepointFails leaves the job as it was.
func TestUpgradeWhoseSavepointFails(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		agents := c.startAgents(2, 1)
		id := c.running(func(o *dataflow.Options) { o.CheckpointInterval = time.Hour })
		for _, a := range agents {
			a.set(func() { a.store = true })
		}
		if _, err := c.api().UpgradeJob(t.Context(), upgradeTo(id, c.program(programGood))); err != nil {
			t.Fatal(err)
		}
		u := c.awaitUpgrade(id, ledger.UpgradeFailed)
		if record := c.record(id); record.Artifact != c.sha || record.Status != ledger.Running || record.Restarts != 0 || u.Reason == "" {
			t.Fatalf("%s after %d restarts: %+v", record.Status, record.Restarts, u)
		}
	})
}

// TestLeaderDiesAtEachStepOfAnUpgrade: the next one carries it on to the end that it would have had.
func TestLeaderDiesAtEachStepOfAnUpgrade(t *testing.T) {
	for _, step := range stepsOf(t) {
		switch step {
		case StepUpgradeFailed:
			t.Run(step, dieInFailedUpgrade)
		case StepUpgradeRolledBack:
			t.Run(programFails+", "+step, func(t *testing.T) { dieInUpgrade(t, programFails, step) })
			t.Run(programHangs+", "+step, func(t *testing.T) { dieInUpgrade(t, programHangs, step) })
		case StepUpgradeSwapped:
			for _, behaviour := range []string{programEdges, programFails, programHangs} {
				t.Run(behaviour+", "+step, func(t *testing.T) { dieInUpgrade(t, behaviour, step) })
			}
			fallthrough
		default:
			t.Run(programGood+", "+step, func(t *testing.T) { dieInUpgrade(t, programGood, step) })
		}
	}
}

func dieInUpgrade(t *testing.T, behaviour, step string) {
	striking(t, step, func(t *testing.T, c *cluster, s *strike) {
		c.storing(c.startAgents(2, 1))
		id := c.running()
		c.awaitCompleted(id, 2)
		old, sha := c.record(id).Artifact, c.program(behaviour)
		s.arm(c)
		c.beginUpgrade(id, sha)
		s.await(c)
		c.await("the upgrade to be over", func() bool { return c.record(id).Upgrade.Over() })
		c.awaitStatus(id, ledger.Running)
		record := c.record(id)
		want, artifact := ledger.UpgradeDone, sha
		if behaviour == programFails || behaviour == programHangs {
			want, artifact = ledger.UpgradeRolledBack, old
		}
		if u := record.Upgrade; u.Status != want || record.Artifact != artifact || len(record.Savepoints) != 1 {
			t.Fatalf("%+v, artifact %.12s, %d savepoints", u, record.Artifact, len(record.Savepoints))
		}
		c.awaitCompleted(id, record.Completed+2)
	})
}

// dieInFailedUpgrade: the savepoint can't be taken, and whoever leads then leaves the job as it was,
// with sources that read on.
func dieInFailedUpgrade(t *testing.T) {
	striking(t, StepUpgradeFailed, func(t *testing.T, c *cluster, s *strike) {
		agents := c.startAgents(2, 1)
		c.storing(agents)
		id := c.running(func(o *dataflow.Options) { o.CheckpointInterval = time.Hour })
		for _, a := range agents {
			a.set(func() { a.store = true })
		}
		s.arm(c)
		c.beginUpgrade(id, c.program(programGood))
		s.await(c)
		c.awaitUpgrade(id, ledger.UpgradeFailed)
		c.awaitHeld(agents, id, false)
		for _, a := range agents {
			a.set(func() { a.store = false })
		}
		taken := c.savepoint(id, dataflow.Native, "")
		c.awaitSavepoint(id, taken.Id, ledger.SavepointCompleted)
		if record := c.record(id); record.Artifact != c.sha || record.Status != ledger.Running || record.Restarts != 0 {
			t.Fatalf("artifact %.12s, %s after %d restarts", record.Artifact, record.Status, record.Restarts)
		}
	})
}

// beginUpgrade begins an upgrade under whichever leader.
func (c *cluster) beginUpgrade(id dataflow.JobID, sha string) {
	c.t.Helper()
	c.await("the upgrade to begin", func() bool {
		_, err := c.api().UpgradeJob(c.t.Context(), upgradeTo(id, sha))
		return err == nil
	})
}
