package dataflow

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"
)

// JobID names a job for ever: it is never used again in a cluster. It has the
// form name-xxxxxx, so that a person can tell jobs apart, and is safe in an
// object's name.
type JobID string

// UID is the name that a job's author gives to an operator. State is matched
// by it when a job is restored, so a stateful operator must have one.
type UID string

// WorkerID names a worker agent across its restarts.
type WorkerID string

// Incarnation is the nonce of one start of a process (an agent or a job's
// task process). Two starts never share one, so a placement that names it can
// not be taken over by a process that came later.
type Incarnation string

// Attempt counts the executions of a job, from 1. It belongs to the whole job.
type Attempt uint64

// CheckpointID counts a job's checkpoints and savepoints, from 1. Zero means
// none. An id is never used again, whatever became of its checkpoint.
type CheckpointID uint64

// Term is the Raft term under which a leader decides; it fences its orders.
type Term uint64

// TaskID names one subtask of a job's plan.
type TaskID struct {
	Vertex  int `json:"vertex" cbor:"v"`
	Subtask int `json:"subtask" cbor:"s"`
}

// String is vertex/subtask, such as 2/0.
func (t TaskID) String() string { return fmt.Sprintf("%d/%d", t.Vertex, t.Subtask) }

// Compare orders by vertex, then by subtask.
func (t TaskID) Compare(u TaskID) int {
	if t.Vertex != u.Vertex {
		return t.Vertex - u.Vertex
	}
	return t.Subtask - u.Subtask
}

// NewIncarnation returns a fresh nonce of 16 hexadecimal digits.
func NewIncarnation() Incarnation {
	var b [8]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return Incarnation(hex.EncodeToString(b[:]))
}

var jobName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?$`)

// CheckJobName reports why name can not name a job, or nil.
func CheckJobName(name string) error {
	if !jobName.MatchString(name) {
		return fmt.Errorf("job name %q: use 1 to 48 of a-z, 0-9 and '-', neither first nor last a '-'", name)
	}
	return nil
}
