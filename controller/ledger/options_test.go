package ledger

import (
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/dataflow"
)

func TestSetOptions(t *testing.T) {
	w := setup(t)
	w.submit("j")
	w.run("j")
	o := w.job("j").Options
	o.CheckpointInterval, o.Retained, o.Restart.Attempts, o.Checkpoint.EveryBytes = time.Minute, 9, 4, 1<<20
	w.events = nil
	j, ok := w.ok(&SetOptions{Job: "j", Options: o}).(*Job)
	if !ok || j.Options != o || w.job("j").Options != o || w.job("j").Status != Running {
		t.Fatalf("got %+v", j)
	}
	w.ok(&SetOptions{Job: "j", Options: o})
	if len(w.events) != 1 || w.events[0].Type != EventOptionsChanged {
		t.Errorf("events %+v, want one", w.events)
	}
	w.restart()
	if w.job("j").Options != o {
		t.Errorf("after a restart: %+v", w.job("j").Options)
	}
}

func TestSetOptionsRefusesWhatNeedsARestart(t *testing.T) {
	w := setup(t)
	w.submit("j")
	o := w.job("j").Options
	o.Retained, o.BatchRows, o.State.Backend = 9, 7, dataflow.BackendLSM
	err, _ := w.apply(&SetOptions{Job: "j", Options: o}).(error)
	if err == nil || !strings.Contains(err.Error(), "batch_rows, state.backend can't be changed while it runs") {
		t.Fatalf("got %v", err)
	}
	if w.job("j").Options.Retained == 9 {
		t.Error("a refusal changed something")
	}
	w.refused(&SetOptions{Job: "nobody"}, ErrNoJob)
	w.ok(&CancelJob{Job: "j"})
	w.refused(&SetOptions{Job: "j", Options: w.job("j").Options}, ErrJobEnded)
}

// TestACallersIDBeginsOneCheckpoint: the ledger knows it under any leader, for each
// job apart, and a wish that was refused began none.
func TestACallersIDBeginsOneCheckpoint(t *testing.T) {
	w := setup(t)
	w.submit("j")
	w.refused(&BeginCheckpoint{Job: "j", Attempt: 1, Triggers: []string{"x"}}, ErrStaleAttempt)
	a := w.run("j")
	w.refused(&BeginCheckpoint{Job: "j", Attempt: a, Triggers: []string{strings.Repeat("x", KeyMax+1)}}, ErrInvalid)
	if id, found := w.ledger.state.Triggered("j", "x"); found {
		t.Fatalf("x began %d", id)
	}
	w.ok(&BeginCheckpoint{Job: "j", Attempt: a, Triggers: []string{"x", "y"}})
	w.term++
	w.ok(&BeginCheckpoint{Job: "j", Attempt: a, Triggers: []string{"y", "z"}})
	w.restart()
	for key, want := range map[string]dataflow.CheckpointID{"x": 1, "y": 1, "z": 2} {
		if id, found := w.ledger.state.Triggered("j", key); !found || id != want {
			t.Errorf("%s began %d %v, want %d", key, id, found, want)
		}
	}
	if _, found := w.ledger.state.Triggered("k", "x"); found {
		t.Error("another job's id")
	}
}

// TestNewWishesHaveANewVersion, and old ones are written as before.
func TestNewWishesHaveANewVersion(t *testing.T) {
	for _, c := range []struct {
		command Command
		want    int
	}{
		{&BeginCheckpoint{Job: "j"}, 1}, {&BeginCheckpoint{Job: "j", Triggers: []string{"x"}}, 3}, {&SetOptions{Job: "j"}, 3},
	} {
		if got := VersionOf(c.command); got != c.want {
			t.Errorf("%T: version %d, want %d", c.command, got, c.want)
		}
	}
}
