package controller

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/controller/ledger"
)

// keptBy names everything that keeps a record, for people; there is at least one.
func keptBy(record *ledger.Job, r *catalog.Record) (whys []string) {
	switch {
	case r.Savepoint:
	case r == record.Catalog.Newest():
		whys = append(whys, "the newest checkpoint")
	case !r.Holds[catalog.PinHold]:
		whys = append(whys, "retained")
	}
	if r.Owed {
		whys = append(whys, "sinks owe its commits")
	}
	for _, hold := range slices.Sorted(maps.Keys(r.Holds)) {
		whys = append(whys, holdText(hold))
	}
	if len(whys) == 0 { // a savepoint that nothing needs goes with the next entry
		whys = append(whys, "savepoint")
	}
	return whys
}

// holdText says who holds a record.
func holdText(hold string) string {
	if attempt, ok := strings.CutPrefix(hold, "attempt-"); ok {
		return fmt.Sprintf("the restore point of attempt %s", attempt)
	}
	if job, ok := strings.CutPrefix(hold, "job:"); ok {
		return fmt.Sprintf("held by job %s, which started from it", job)
	}
	if hold == catalog.PinHold {
		return "pinned"
	}
	return hold
}
