package engine

import (
	"fmt"
	"slices"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

// restored is what a checkpoint has of one operator, from all of its subtasks
// in order of their numbers.
type restored struct {
	checkpoint dataflow.CheckpointID
	own        dataflow.CheckpointID // it, or 0 if it is another job's
	known      dataflow.CheckpointID // sink commits up to here are known
	foreign    bool                  // it is another job's
	parts      []snapshot.Operator
}

// restoredOperators sorts a checkpoint by operator.
func restoredOperators(r *Restore) map[dataflow.UID]*restored {
	if r == nil {
		return nil
	}
	var subtasks []snapshot.Subtask
	for _, p := range r.Processes {
		subtasks = append(subtasks, p.Subtasks...)
	}
	slices.SortStableFunc(subtasks, func(a, b snapshot.Subtask) int { return a.Task.Compare(b.Task) })
	ops := map[dataflow.UID]*restored{}
	for _, s := range subtasks {
		for _, o := range s.Operators {
			if ops[o.UID] == nil {
				ops[o.UID] = &restored{checkpoint: r.Checkpoint, own: r.own(), known: r.CommitsKnown, foreign: r.Origin}
			}
			o.Transactions = r.originTransactions(o.Transactions)
			ops[o.UID].parts = append(ops[o.UID].parts, o)
		}
	}
	return ops
}

// checkRestore refuses a checkpoint that does not fit the program, in the words of MatchRestore.
func checkRestore(p *Program, r *Restore) error {
	if r == nil {
		return nil
	}
	m, err := MatchRestore(p, r, MatchOptions{AllowNonRestored: r.AllowNonRestored, Closed: true})
	if err != nil {
		return err
	}
	return m.Refusal()
}

// checkCommitters refuses to finish a checkpoint whose transactions nobody here can commit.
// What else it holds does not matter: nothing will run from it.
func checkCommitters(p *Program, ops map[dataflow.UID]*restored) error {
	for _, uid := range sortedUIDs(ops) {
		if len(ops[uid].transactions(0, 1)) == 0 {
			continue
		}
		op := p.Operators[uid]
		if op == nil {
			return fmt.Errorf("%w: %q: it has transactions to commit", ErrUnknownUID, uid)
		}
		if committerOf(op) == nil {
			return &OperatorError{UID: uid, Err: errNotTransactional}
		}
	}
	return nil
}

// list returns a subtask's share of an operator list state. Items are dealt out
// in turn; those of the same parallelism come back to where they were.
func (r *restored) list(name string, subtask, parallelism int) [][]byte {
	var all [][]byte
	for i, more := 0, true; more; i++ {
		more = false
		for _, o := range r.parts {
			if items := o.Lists[name]; i < len(items) {
				all = append(all, items[i])
				more = true
			}
		}
	}
	return share(all, subtask, parallelism)
}

// share deals items out in turn.
func share[E any](all []E, subtask, parallelism int) []E {
	var mine []E
	for i := subtask; i < len(all); i += parallelism {
		mine = append(mine, all[i])
	}
	return mine
}

// transactions returns a subtask's share of the sink transactions, by checkpoint.
func (r *restored) transactions(subtask, parallelism int) []snapshot.Transaction {
	var all []snapshot.Transaction
	for _, o := range r.parts {
		for _, t := range o.Transactions {
			if t.Checkpoint > r.known || r.foreign {
				all = append(all, t)
			}
		}
	}
	mine := share(all, subtask, parallelism)
	slices.SortStableFunc(mine, func(a, b snapshot.Transaction) int {
		return int(int64(a.Checkpoint) - int64(b.Checkpoint))
	})
	return mine
}

// keyed returns the handles of all keyed state.
func (r *restored) keyed() []snapshot.Keyed {
	var handles []snapshot.Keyed
	for _, o := range r.parts {
		if o.Keyed != nil {
			handles = append(handles, *o.Keyed)
		}
	}
	return handles
}
