package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/examples/flights/flights"
	"github.com/cairnstream/cairn/internal/lifeline"
	"github.com/cairnstream/cairn/internal/procs"
	"github.com/cairnstream/cairn/objectstore/open"
)

// TestCutOffWorkersComeBack stops two workers of three with SIGSTOP for longer
// than their grace, one after the other: the first with its job process, the
// second without, so that this one runs on as a zombie. Each time the job must
// go on elsewhere, which it can, the second time, only on the first worker's
// next incarnation. When a worker goes on it must end what it ran and register
// again. The output must be exact.
func TestCutOffWorkersComeBack(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	c := start(t, Size{Controllers: 3, Workers: 3, Slots: 2})
	job := submitFlights(t, ctx, c, "40s") // on 4 of the 6 slots
	running := c.waitJob(t, ctx, job, "three checkpoints", func(v view) bool { return v.Job.LastCheckpoint >= 3 })

	first := c.workerNamed(t, running.Subtasks[0].Worker)
	firstProcesses := children(t, ctx, first)
	before := c.registered(t, ctx, first.Name)
	cutOff(t, first.PID(), firstProcesses...)
	c.waitJob(t, ctx, job, "attempt 2", func(v view) bool { return v.Job.Attempt == 2 && v.Job.Status == "running" })
	c.awaitEnded(t, ctx, before)
	goOn(t, first.PID(), firstProcesses...)
	c.awaitBack(t, ctx, first, before, firstProcesses)

	running = c.waitJob(t, ctx, job, "a checkpoint of attempt 2", func(v view) bool { return v.Job.LastCheckpoint > running.Job.LastCheckpoint+1 })
	second := c.workerNamed(t, running.Subtasks[0].Worker)
	secondProcesses := children(t, ctx, second)
	before = c.registered(t, ctx, second.Name)
	cutOff(t, second.PID())
	running = c.waitJob(t, ctx, job, "attempt 3", func(v view) bool { return v.Job.Attempt == 3 && v.Job.Status == "running" })
	used := map[string]bool{}
	for _, s := range running.Subtasks {
		used[s.Worker] = true
	}
	if !used[first.Name] || used[second.Name] {
		t.Errorf("attempt 3 runs on %v: want %s, which came back, and not %s", used, first.Name, second.Name)
	}
	c.awaitEnded(t, ctx, before)
	goOn(t, second.PID())
	c.awaitBack(t, ctx, second, before, secondProcesses)

	c.waitStatus(t, ctx, job, "finished")
	out, err := open.Open(ctx, "file://"+filepath.Join(c.Dir, "out"), open.Options{})
	must(t, err)
	defer out.Close()
	report, err := flights.Verify(ctx, out, dataflow.JobID(job))
	if err != nil || !report.Verified {
		t.Errorf("the output is not exact: %+v, %v", report, err)
	}
}

// workerNamed is the worker's process.
func (c *Cluster) workerNamed(t *testing.T, name string) *procs.Process {
	t.Helper()
	for _, w := range c.Workers {
		if w.Name == name {
			return w
		}
	}
	t.Fatalf("no worker is named %q", name)
	return nil
}

// registration is a line of `cairn worker list -o json`.
type registration struct{ ID, Incarnation, State string }

// registered is how the worker stands with the leader.
func (c *Cluster) registered(t *testing.T, ctx context.Context, name string) registration {
	t.Helper()
	out, err := c.CLI(ctx, "worker", "list", "-o", "json", "--timeout", "60s")
	must(t, err)
	var list struct{ Workers []registration }
	must(t, json.Unmarshal([]byte(out), &list))
	for _, r := range list.Workers {
		if r.ID == name {
			return r
		}
	}
	t.Fatalf("worker %s is not listed: %s", name, out)
	return registration{}
}

// awaitEnded waits until the leader has ended the incarnation. A new attempt is
// no sign of it: a neighbour may give up its channel to the worker, and so the
// attempt, before the leader's grace is over, and a worker that goes on before
// that is welcome as what it was.
func (c *Cluster) awaitEnded(t *testing.T, ctx context.Context, before registration) {
	t.Helper()
	poll(t, ctx, before.ID+" to be given up", func() bool {
		now := c.registered(t, ctx, before.ID)
		return now.State == "ended" && now.Incarnation == before.Incarnation
	})
}

// awaitBack waits until the worker is connected as another incarnation and what
// it ran before has ended.
func (c *Cluster) awaitBack(t *testing.T, ctx context.Context, w *procs.Process, before registration, processes []int) {
	t.Helper()
	poll(t, ctx, w.Name+" to come back", func() bool {
		now := c.registered(t, ctx, w.Name)
		return now.State == "connected" && now.Incarnation != before.Incarnation
	})
	for _, pid := range processes {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("%s is back and its process %d of before lives on (%v)", w.Name, pid, err)
		}
	}
}

// children are the job processes of a worker, each the leader of its group.
func children(t *testing.T, ctx context.Context, w *procs.Process) []int {
	t.Helper()
	out, err := exec.CommandContext(ctx, "pgrep", "-P", strconv.Itoa(w.PID())).Output()
	must(t, err) // it has at least one
	var pids []int
	for _, field := range strings.Fields(string(out)) {
		pid, err := strconv.Atoi(field)
		must(t, err)
		pids = append(pids, pid)
	}
	return pids
}

// cutOff stops an agent and groups of job processes, as if the machine hung.
func cutOff(t *testing.T, agent int, groups ...int) {
	t.Helper()
	must(t, syscall.Kill(agent, syscall.SIGSTOP))
	for _, pid := range groups {
		must(t, lifeline.SignalGroup(pid, syscall.SIGSTOP))
	}
}

// goOn is the end of cutOff.
func goOn(t *testing.T, agent int, groups ...int) {
	t.Helper()
	for _, pid := range groups {
		must(t, lifeline.SignalGroup(pid, syscall.SIGCONT))
	}
	must(t, syscall.Kill(agent, syscall.SIGCONT))
}
