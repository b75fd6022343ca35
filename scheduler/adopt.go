package scheduler

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/cairnstream/cairn/dataflow"
)

// ProcessState is what a worker says of an attempt's share in its process.
type ProcessState int

// The states, in the order in which a process passes through them.
const (
	Absent    ProcessState = iota // the worker knows nothing of the attempt
	Restoring                     // deployment accepted, state still loading
	Deployed                      // waits for Start
	Active                        // runs, or has seen the end of its data
	Broken                        // failed, stopped or gone
)

// Report is what one worker says of one attempt.
type Report struct {
	Worker      dataflow.WorkerID
	Incarnation dataflow.Incarnation
	State       ProcessState
	Tasks       []dataflow.TaskID // that its process hosts; empty if Absent
	Reason      string            // of Broken
}

// Decision is what a leader does next about a current attempt.
type Decision int

// The decisions.
const (
	// WaitReports: not all workers of the placement reported yet, and the grace
	// time is not over.
	WaitReports Decision = iota
	// Redeploy: the workers in Verdict.Workers have no process of the attempt:
	// send them Deploy (idempotent); no subtask of the attempt runs anywhere yet.
	Redeploy
	// WaitDeployed: all have it; some still restore.
	WaitDeployed
	// Start: all are deployed; send Start to the workers in Verdict.Workers.
	Start
	// AllRunning: everything runs; there is nothing to do but to record it.
	AllRunning
	// Fail: the attempt is over for the reason in the verdict.
	Fail
)

// Verdict is the outcome of Adopt.
type Verdict struct {
	Decision Decision
	Reason   string              // of Fail
	Workers  []dataflow.WorkerID // whom the decision concerns, sorted
}

// Adopt decides what to do about the current attempt of a job from what
// workers report of it. started says that the ledger holds the attempt as
// running: then a process that is absent was lost, else it was not yet
// deployed. graceOver says that a worker that has not reported by now will not be
// waited for.
//
// A leader calls it when it takes over and again whenever a report comes in;
// the same verdict twice means that nothing changed. What has failed is told at
// once, without waiting for the others.
func Adopt(placement []Placement, reports []Report, started, graceOver bool) Verdict {
	seen := map[ProcessState][]dataflow.WorkerID{}
	var silent []dataflow.WorkerID
	for _, share := range sharesOf(placement) {
		r, found := reportOf(share.worker, reports)
		if !found {
			silent = append(silent, share.worker)
			continue
		}
		if reason := share.contradicts(r); reason != "" {
			return Verdict{Decision: Fail, Reason: reason, Workers: []dataflow.WorkerID{share.worker}}
		}
		seen[r.State] = append(seen[r.State], share.worker)
	}
	started = started || len(seen[Active]) > 0 // Start is sent only when all are deployed
	switch {
	case started && len(seen[Absent]) > 0:
		return Verdict{Decision: Fail, Workers: seen[Absent],
			Reason: fmt.Sprintf("worker %s has no process of the running attempt", seen[Absent][0])}
	case len(silent) > 0 && graceOver:
		return Verdict{Decision: Fail, Workers: silent,
			Reason: fmt.Sprintf("worker %s did not report within the grace time", silent[0])}
	case len(silent) > 0:
		return Verdict{Decision: WaitReports, Workers: silent}
	case len(seen[Absent]) > 0:
		return Verdict{Decision: Redeploy, Workers: seen[Absent]}
	case len(seen[Restoring]) > 0:
		return Verdict{Decision: WaitDeployed, Workers: seen[Restoring]}
	case len(seen[Deployed]) > 0:
		return Verdict{Decision: Start, Workers: seen[Deployed]}
	}
	return Verdict{Decision: AllRunning}
}

// share is what one worker is to run of an attempt.
type share struct {
	worker      dataflow.WorkerID
	incarnation dataflow.Incarnation
	tasks       []dataflow.TaskID // sorted
}

// sharesOf splits a placement by worker, sorted by worker.
func sharesOf(placement []Placement) []share {
	byWorker := map[dataflow.WorkerID]*share{}
	for _, p := range placement {
		s := byWorker[p.Worker]
		if s == nil {
			s = &share{worker: p.Worker, incarnation: p.Incarnation}
			byWorker[p.Worker] = s
		}
		s.tasks = append(s.tasks, p.Task)
	}
	var shares []share
	for _, id := range slices.Sorted(maps.Keys(byWorker)) {
		slices.SortFunc(byWorker[id].tasks, dataflow.TaskID.Compare)
		shares = append(shares, *byWorker[id])
	}
	return shares
}

func reportOf(id dataflow.WorkerID, reports []Report) (Report, bool) {
	i := slices.IndexFunc(reports, func(r Report) bool { return r.Worker == id })
	if i < 0 {
		return Report{}, false
	}
	return reports[i], true
}

// contradicts says why the attempt can not be what the placement says, or "".
func (s share) contradicts(r Report) string {
	if r.Incarnation != s.incarnation {
		return fmt.Sprintf("worker %s was restarted", s.worker)
	}
	if r.State == Broken {
		return fmt.Sprintf("worker %s: %s", s.worker, cmp.Or(r.Reason, "its process ended"))
	}
	tasks := slices.SortedFunc(slices.Values(r.Tasks), dataflow.TaskID.Compare)
	if r.State != Absent && !slices.Equal(tasks, s.tasks) {
		return fmt.Sprintf("worker %s runs %v instead of %v", s.worker, tasks, s.tasks)
	}
	return ""
}
