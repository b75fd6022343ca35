package worker

import (
	"slices"
	"strconv"
)

// program is what to run of a job. A process is kept for the next attempt only
// if that wants the same.
type program struct {
	artifact    string // SHA-256 of the executable
	args        []string
	parallelism int32 // that the program builds its graph with; 0: its own
}

func (p program) equal(q program) bool {
	return p.artifact == q.artifact && slices.Equal(p.args, q.args) && p.parallelism == q.parallelism
}

// environment is the program's, but for what says which role it has.
func (p program) environment() []string {
	env := inherited()
	if p.parallelism > 0 {
		env = append(env, envParallelism+"="+strconv.Itoa(int(p.parallelism)))
	}
	return env
}
