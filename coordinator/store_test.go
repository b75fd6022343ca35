package coordinator

import (
	"slices"
	"strings"
	"testing"
)

// TestTheStoreNeverRestartsAJob: none of the failures that are the store's is
// counted, whatever is tolerable, and checkpoints go on at their pace.
func TestTheStoreNeverRestartsAJob(t *testing.T) {
	o := options()
	o.TolerableFailures = 0
	w := begin(t, o)
	w.at(0, ab)
	w.at(10, tick, "begin periodic")
	w.at(10, Began{1, Periodic}, "trigger 1")
	w.at(11, Decline{ID: 1, Process: "a", Reason: "put: timeout", Store: true}, "abort 1 #0")
	w.at(11, Aborted{1})
	w.at(20, tick, "begin periodic")
	w.at(20, Began{2, Periodic}, "trigger 2")
	w.at(20, ackOf(2, "a"))
	w.at(20, ackOf(2, "b"), "complete 2 a,b")
	w.at(50, CompleteFailed{ID: 2, Reason: "put: timeout", Store: true}, "abort 2 #0")
	w.at(50, Aborted{2}, "begin periodic")
	w.complete(51, 3, Periodic)
	w.at(60, tick, "begin periodic")
	w.at(60, Began{4, Periodic}, "trigger 4")
	w.at(61, Decline{ID: 4, Process: "a", Reason: "sink"}, "abort 4 #1", "fail job")
}

// TestExpiryThatWaitsForTheStore is the store's failure only while everybody who
// is missing lags behind it.
func TestExpiryThatWaitsForTheStore(t *testing.T) {
	o := options()
	o.TolerableFailures = 0
	w := begin(t, o)
	w.at(0, ab)
	w.at(10, tick, "begin periodic")
	w.at(10, Began{1, Periodic}, "trigger 1")
	w.at(11, ackOf(1, "b"))
	w.at(20, tick, "trigger 1")
	w.at(21, Lagging{"a", true})
	w.at(70, tick, "abort 1 #0")
	w.at(70, Aborted{1}, "begin periodic")
	w.at(70, Began{2, Periodic}, "trigger 2")
	w.at(71, Lagging{"a", true}) // b is missing too, and is not behind
	w.at(80, tick, "trigger 2")
	w.at(130, tick, "abort 2 #1", "fail job")
}

// TestTheReasonNamesTheStore: a person reads it in the list of checkpoints.
func TestTheReasonNamesTheStore(t *testing.T) {
	w := begin(t, options())
	w.at(0, ab)
	w.at(10, tick, "begin periodic")
	w.at(10, Began{1, Periodic}, "trigger 1")
	_, actions := w.state.Step(11e9, Decline{ID: 1, Process: "a", Reason: "put x: timeout", Store: true})
	i := slices.IndexFunc(actions, func(a Action) bool { _, ok := a.(ProposeAbort); return ok })
	if i < 0 || !strings.HasPrefix(actions[i].(ProposeAbort).Reason, "object store: declined by process a: put x") {
		t.Fatalf("got %+v", actions)
	}
}
