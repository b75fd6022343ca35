package controller

import (
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore/faulty"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/wire"
)

// TestStopWhoseMetadataIsRefused: the store takes all state and not the metadata object, so
// the savepoint fails: the job goes on (a drained one from its last checkpoint), its sources
// too, with nothing committed and nothing left behind, also if the leader dies meanwhile; and a stop succeeds when the store is back.
func TestStopWhoseMetadataIsRefused(t *testing.T) {
	for _, how := range []string{"stop", "drain", "cancel", "stop, and the leader dies"} {
		t.Run(how, func(t *testing.T) {
			store := faulty.New(mem.New(), 1)
			inBubbleOn(t, store, func(t *testing.T, c *cluster) { stopWithoutMetadata(t, c, store, how) })
		})
	}
}

func stopWithoutMetadata(t *testing.T, c *cluster, store *faulty.Bucket, how string) {
	agents := c.startAgents(2, 1)
	c.storing(agents)
	id := c.running(func(o *dataflow.Options) { o.CheckpointInterval = time.Hour })
	_, l := c.leader()
	fault := faulty.Fail
	if strings.HasSuffix(how, "dies") {
		fault = faulty.Stall // the leader dies while its request is under way
	}
	times := map[faulty.Fault]int{faulty.Stall: 1}
	refused := store.Add(faulty.Rule{Ops: faulty.Puts, Prefix: l.cluster() + "/jobs/" + string(id) + "/metadata/", Fault: fault, Times: times[fault]})
	request := &wire.StopJobRequest{Job: string(id), Savepoint: &wire.SavepointRequest{Format: dataflow.Native}, Drain: how == "drain", Cancel: how == "cancel"}
	s := c.stopped(request).Id
	<-refused.Struck()
	if fault == faulty.Stall {
		refused = store.Add(faulty.Rule{Ops: faulty.Puts, Prefix: l.cluster() + "/jobs/" + string(id) + "/metadata/"})
		c.killLeader() // which ends the request that stands still
	}
	failed := c.awaitSavepoint(id, s, ledger.SavepointFailed)
	c.awaitGoesOn(agents, id, how)
	reason := failed.Reason
	for _, f := range c.record(id).Failures { // of a drained job, whose attempt's end may come first
		reason += f.Reason
	}
	if !strings.Contains(reason, faulty.ErrInjected.Error()) {
		t.Errorf("reason %q", reason)
	}
	ends := func(o order) bool {
		return o.m.GetFinishCommits() != nil || o.m.GetStop() != nil && how != "drain" || o.m.GetOutcome().GetKind() == wire.OutcomeKind_OUTCOME_KIND_COMPLETED
	}
	if n := c.ordered(0, ends); n != 0 {
		t.Errorf("%d orders that end or commit something", n)
	}
	c.checkCatalogs()

	refused.Lift()
	s = c.stopped(request).Id
	c.awaitSavepoint(id, s, ledger.SavepointCompleted)
	if record := c.awaitStatus(id, map[bool]ledger.Status{true: ledger.Cancelled, false: ledger.Finished}[request.Cancel]); uint64(record.Committed) != s {
		t.Errorf("committed up to %d, want savepoint %d", record.Committed, s)
	}
	c.awaitTidy()
}
