package controller

import (
	"fmt"
	"testing"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
)

// TestJobThatEndedGoesOnFromWhatItsSinksHaveCommitted and not from a later savepoint that did not
// stop it: what was prepared in between nobody commits.
func TestJobThatEndedGoesOnFromWhatItsSinksHaveCommitted(t *testing.T) {
	savepoint := func(id dataflow.CheckpointID, trigger string) ledger.Savepoint {
		return ledger.Savepoint{
			ID: id, Format: dataflow.Canonical, Trigger: trigger, Status: ledger.SavepointCompleted,
			Stop: trigger == ledger.SavepointStop || trigger == ledger.SavepointCancel || trigger == ledger.SavepointUpgrade,
		}
	}
	manual, stop := savepoint(5, ledger.SavepointManual), savepoint(6, ledger.SavepointStop)
	failed := stop
	failed.Status = ledger.SavepointFailed
	for name, c := range map[string]struct {
		status     ledger.Status
		checkpoint dataflow.CheckpointID
		savepoints []ledger.Savepoint
		want       dataflow.CheckpointID
	}{
		"running":               {ledger.Running, 4, []ledger.Savepoint{manual}, 5},
		"cancelled after it":    {ledger.Cancelled, 4, []ledger.Savepoint{manual}, 4},
		"failed after it":       {ledger.Failed, 4, []ledger.Savepoint{manual, failed}, 4},
		"stopped with another":  {ledger.Finished, 4, []ledger.Savepoint{manual, stop}, 6},
		"cancelled with one":    {ledger.Cancelled, 4, []ledger.Savepoint{savepoint(7, ledger.SavepointCancel)}, 7},
		"no checkpoint is left": {ledger.Cancelled, 0, []ledger.Savepoint{manual}, 5},
		"a checkpoint after it": {ledger.Cancelled, 8, []ledger.Savepoint{manual, stop}, 8},
		"upgraded, and rewound": {ledger.Cancelled, 4, []ledger.Savepoint{savepoint(9, ledger.SavepointUpgrade)}, 4},
		"nothing at all":        {ledger.Cancelled, 0, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			record := &ledger.Job{Status: c.status, Catalog: catalog.New(), Savepoints: c.savepoints}
			if c.checkpoint > 0 {
				var err error
				record.Catalog, _, err = record.Catalog.Complete(catalog.Record{
					ID: c.checkpoint, Metadata: catalog.Object{Key: fmt.Sprint(c.checkpoint)},
				}, nil, 1)
				if err != nil {
					t.Fatal(err)
				}
			}
			if got := whereItGoesOn(record); got != c.want {
				t.Fatalf("goes on from %d, want %d", got, c.want)
			}
		})
	}
}
