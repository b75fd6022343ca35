// Package scheduler decides what of a job runs where, and when a failed job
// starts again. It is pure: views of the world go in, decisions come out, and
// the leader in package controller carries them out.
//
// Place puts the subtasks of a plan on workers. NextRestart is Flink's
// exponential-delay restart strategy. Adopt is what a new leader does about a
// running attempt: it keeps what the workers report, and orders only what is
// missing.
//
// Slots are shared as in Flink: slot i of a job hosts subtask i of every
// vertex, so a job needs as many slots as its largest parallelism.
package scheduler

import (
	"github.com/cairnstream/cairn/dataflow"
)

// WorkerView is a live worker as the scheduler sees it.
type WorkerView struct {
	ID          dataflow.WorkerID
	Incarnation dataflow.Incarnation
	// SlotsFree does not count what the job to be placed uses itself: for the
	// next attempt, the slots of the attempt before are free.
	SlotsFree int
	Platform  string // GOOS/GOARCH
}

// Placement puts one subtask on one incarnation of a worker.
type Placement struct {
	Task        dataflow.TaskID
	Worker      dataflow.WorkerID
	Incarnation dataflow.Incarnation
}
