package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// ownLists are the operator list states that the engine keeps for itself.
var ownLists = []string{splitsList, watermarkList}

// operatorState is what a restore gives to a subtask of the program's own
// operator state; r may be nil.
func (r *restored) operatorState(subtask, parallelism int) *state.Operator {
	var mine snapshot.Operator
	if r == nil {
		return state.NewOperator(subtask, mine)
	}
	mine.Lists, mine.Unions, mine.Broadcast = map[string][][]byte{}, map[string][][]byte{}, map[string][][]byte{}
	mine.Schemas = map[string]string{}
	for _, o := range r.parts {
		maps.Copy(mine.Schemas, o.Schemas)
		for name, items := range o.Unions {
			mine.Unions[name] = append(mine.Unions[name], items...)
		}
		for name, items := range o.Broadcast {
			mine.Broadcast[name] = items // of whichever: they are the same
		}
		for name := range o.Lists {
			if !slices.Contains(ownLists, name) && mine.Lists[name] == nil {
				mine.Lists[name] = r.dealt(name, subtask, parallelism)
			}
		}
	}
	return state.NewOperator(subtask, mine)
}

// dealt is a subtask's share of a split list: its own if the parallelism is as it
// was, so that order stays; else its share of all.
func (r *restored) dealt(name string, subtask, parallelism int) [][]byte {
	if len(r.parts) == parallelism {
		return r.parts[subtask].Lists[name]
	}
	return r.list(name, subtask, parallelism)
}

// holdsOperatorState tells whether a checkpoint has operator state of a program.
func holdsOperatorState(o snapshot.Operator) bool {
	for name, items := range o.Lists {
		if len(items) > 0 && !slices.Contains(ownLists, name) {
			return true
		}
	}
	return len(o.Unions) > 0 || len(o.Broadcast) > 0
}

// checkNames refuses operator state under a name that the engine uses.
func checkNames(s *state.Operator) error {
	for _, name := range ownLists {
		if s.Has(name) {
			return fmt.Errorf("operator state %q: %w", name, errOwnName)
		}
	}
	return nil
}

var errOwnName = errors.New("the engine uses that name itself: choose another")
