package ledger

import (
	"slices"
	"testing"

	"github.com/cairnstream/cairn/dataflow"
)

func (w *world) kept(id dataflow.JobID) (ids []dataflow.CheckpointID) {
	for r := range w.job(id).Catalog.All() {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestPinnedCheckpointsOutliveRetention(t *testing.T) {
	w := setup(t)
	w.submit("j") // retains 2
	a := w.run("j")
	first := w.checkpoint("j", a, "periodic", false)
	for range 2 { // twice is once
		w.ok(&PinCheckpoint{Job: "j", ID: first})
	}
	for range 3 {
		w.checkpoint("j", a, "periodic", false)
	}
	if kept := w.kept("j"); !slices.Equal(kept, []dataflow.CheckpointID{1, 3, 4}) {
		t.Fatalf("kept %v, want the pinned one and the newest two", kept)
	}
	w.refused(&DeleteCheckpoint{Job: "j", ID: first}, ErrCheckpointNeeded)
	w.refused(&PinCheckpoint{Job: "j", ID: 2}, ErrNoCheckpoint)
	w.ok(&PinCheckpoint{Job: "j", ID: first, Unpin: true})
	if kept := w.kept("j"); !slices.Equal(kept, []dataflow.CheckpointID{3, 4}) {
		t.Fatalf("kept %v after the pin ended", kept)
	}
	w.restart()
}

func TestDeleteOnCancel(t *testing.T) {
	for _, k := range []struct {
		name string
		end  Command
		want []dataflow.CheckpointID
	}{
		{"cancelled", &CancelJob{Job: "j"}, []dataflow.CheckpointID{1}},
		{"failed", &FailAttempt{Job: "j", Attempt: 1, Reason: "r", Final: true}, []dataflow.CheckpointID{1, 2, 3}},
	} {
		t.Run(k.name, func(t *testing.T) {
			w := setup(t)
			w.ok(&SubmitJob{Job: "j", Options: dataflow.Options{Retained: 2, Checkpoint: dataflow.CheckpointOptions{Retention: dataflow.DeleteOnCancel}}})
			a := w.run("j")
			pinned := w.checkpoint("j", a, "periodic", false)
			w.ok(&PinCheckpoint{Job: "j", ID: pinned})
			w.checkpoint("j", a, "periodic", false)
			last := w.checkpoint("j", a, "periodic", true)
			w.ok(k.end)
			if kept := w.kept("j"); !slices.Equal(kept, []dataflow.CheckpointID{1, 2, 3}) {
				t.Fatalf("kept %v while commits are owed", kept)
			}
			w.ok(&ConfirmCommits{Job: "j", ID: last})
			if kept := w.kept("j"); !slices.Equal(kept, k.want) {
				t.Fatalf("kept %v, want %v", kept, k.want)
			}
			if k.name == "failed" {
				return
			}
			w.ok(&PinCheckpoint{Job: "j", ID: pinned, Unpin: true})
			if kept := w.kept("j"); len(kept) > 0 {
				t.Fatalf("kept %v after the pin ended", kept)
			}
		})
	}
}

func TestFailuresHaveAClass(t *testing.T) {
	for reason, want := range map[string]FailureClass{
		"object store: declined by process p: x": FailedStore,
		"declined by process p: x":               FailedDeclined,
		"expired after 10s, not acknowledged by": FailedExpired,
		"finalize: x":                            FailedNotFinalized,
		reasonSubsumed:                           FailedSubsumed,
		"attempt 3 failed":                       FailedAttemptEnded,
	} {
		h := CheckpointHistory{Status: CheckpointFailed, Reason: reason}
		if got := h.Failure(); got != want {
			t.Errorf("%s: %s, want %s", reason, got, want)
		}
	}
	if got := (&CheckpointHistory{Status: CheckpointCompleted}).Failure(); got != "" {
		t.Errorf("completed: %s", got)
	}
}

func TestPinOfASavepointIsRefused(t *testing.T) {
	w := setup(t)
	w.submit("j")
	a := w.run("j")
	id := w.ok(&BeginSavepoint{Job: "j", Attempt: a, Format: dataflow.Native, Trigger: SavepointManual}).(dataflow.CheckpointID)
	w.ok(completion("j", a, id, false))
	w.refused(&PinCheckpoint{Job: "j", ID: id}, ErrInvalid)
}
