package engine

import (
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

// What is different in a restore from another job's checkpoint, or from a savepoint:
// its number and its transactions are not this job's.

// own is the checkpoint of this job up to which a restore has everything; 0 if it is
// another job's.
func (r *Restore) own() dataflow.CheckpointID {
	if r == nil || r.Origin {
		return 0
	}
	return r.Checkpoint
}

// originTransactions are what an operator's share of such a checkpoint has for this
// job. Without a claim they are the other job's, which commits or aborts them. With one
// the restore commits them; they count as of before the job's first checkpoint, so
// that it lists them once more and forgets them with its own.
func (r *Restore) originTransactions(txns []snapshot.Transaction) []snapshot.Transaction {
	if !r.Origin {
		return txns
	}
	if !r.OwnTransactions {
		return nil
	}
	var mine []snapshot.Transaction
	for _, t := range txns {
		if t.Checkpoint > r.CommitsKnown {
			t.Checkpoint = 0
			mine = append(mine, t)
		}
	}
	return mine
}
