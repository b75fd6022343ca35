package worker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// What a machine keeps of a job besides its logs: <data-dir>/jobs/<job>/state,
// where the job's process spools changes and keeps copies of its objects, so that
// the next attempt here need not download them. It outlives processes and agents.
// It goes when a leader orders the end of the job here; for what ends while
// this agent is away, the Hello names the jobs that it keeps files of, and the
// Welcome those of them that have ended.

// stateDir is the job's folder for its process. Only one process uses it at a
// time: an agent has one process of a job, and kills those it leaves behind.
func (d *dataDir) stateDir(job dataflow.JobID) string { return filepath.Join(d.jobDir(job), "state") }

// removeState removes the job's folder. That it is not there is no mistake.
func (d *dataDir) removeState(job dataflow.JobID) error {
	if err := os.RemoveAll(d.stateDir(job)); err != nil {
		return fmt.Errorf("remove the local state of job %s: %w", job, err)
	}
	return nil
}

// keptStates are the jobs with a folder here, by name.
func (d *dataDir) keptStates() ([]dataflow.JobID, error) {
	entries, err := os.ReadDir(d.file("jobs"))
	if err != nil {
		return nil, fmt.Errorf("list kept jobs: %w", err)
	}
	var kept []dataflow.JobID
	for _, e := range entries {
		id := dataflow.JobID(e.Name())
		if _, err := os.Stat(d.stateDir(id)); err == nil {
			kept = append(kept, id)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("list kept jobs: %w", err)
		}
	}
	return kept, nil
}

// keptJobs is what a Hello says of them.
func (a *agent) keptJobs() []string {
	kept, err := a.dir.keptStates()
	if err != nil {
		a.log.Warn("local state not looked through", "error", err)
	}
	names := make([]string, len(kept))
	for i, id := range kept {
		names[i] = string(id)
	}
	return names
}

// removeEnded removes what is kept of jobs that have ended. One that has a
// process here gets its order to end, and goes with it.
func (a *agent) removeEnded(jobs []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range jobs {
		if id := dataflow.JobID(name); safeName(id) && a.jobs[id] == nil {
			a.forgetState(id, &wire.Stop{EndProcess: true})
		}
	}
}

// forgetState removes what is kept of a job that will not run here again. The
// caller knows that no process of it is here, and none is started meanwhile.
func (a *agent) forgetState(id dataflow.JobID, s *wire.Stop) {
	if !s.EndProcess || s.KeepFiles {
		return
	}
	if err := a.dir.removeState(id); err != nil {
		a.log.Warn("local state not removed", "job", id, "error", err)
	}
}
