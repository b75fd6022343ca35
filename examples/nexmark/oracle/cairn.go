package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// report is what we read of the report of cairn bench nexmark.
type report struct {
	// Restarts is how often the job was started again.
	Restarts int `json:"restarts"`
	// StruckAfterRows is how many rows were committed when the first fault struck.
	StruckAfterRows int64 `json:"struck_after_rows"`
}

// runTimeout is for one run: a hundred times what a million events take on a calm machine.
const runTimeout = 5 * time.Minute

// stopTimeout is how long an interrupted run may take to stop the processes it has started.
const stopTimeout = 10 * time.Second

// checkpointInterval makes several checkpoints complete even in a short run, so that a restart goes on from one.
const checkpointInterval = "200ms"

// buildCairn builds the program of a module into a folder.
func buildCairn(ctx context.Context, module, dir string) (string, error) {
	path, err := filepath.Abs(filepath.Join(dir, "cairn"))
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/cairn")
	cmd.Dir = module
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build cairn in %s: %w\n%s", module, err, out)
	}
	return path, nil
}

// exportEvents returns the folder of the events, which a run writes unless they are there. They
// depend on number, rate, disorder and seed alone, so they are the same for all combinations.
func (c *check) exportEvents(ctx context.Context) (string, error) {
	dir := filepath.Join(c.dir, fmt.Sprintf("events-%d-%d-%d-%d", c.events, c.eventRate, c.outOfOrder, c.seed))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	fresh := dir + ".part"
	if err := os.RemoveAll(fresh); err != nil {
		return "", err
	}
	if _, err := c.bench(ctx, combination{"q2", "1", "memory", noFault}, "--events-out", fresh); err != nil {
		return "", err
	}
	return dir, os.Rename(fresh, dir)
}

// runQuery runs a combination, whose results go into a new folder.
func (c *check) runQuery(ctx context.Context, one combination, results string) (report, error) {
	if err := os.RemoveAll(results); err != nil {
		return report{}, err
	}
	r, err := c.bench(ctx, one, "--results-out", results)
	if err == nil {
		err = struck(one.fault, r.Restarts)
	}
	return r, err
}

// struck tells whether a run shows what its fault does: a killed worker restarts the
// job, a killed leader does not.
func struck(fault string, restarts int) error {
	switch worker := strings.Contains(fault, "worker"); {
	case worker && restarts == 0:
		return errors.New("the job was not restarted: it ended before the fault, so that this run shows nothing")
	case fault != noFault && !worker && restarts > 0: // without a fault an overloaded machine may do that
		return fmt.Errorf("the job was restarted %d times, though no worker was killed", restarts)
	}
	return nil
}

// bench runs cairn bench nexmark.
func (c *check) bench(ctx context.Context, one combination, more ...string) (report, error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	args := []string{"bench", "nexmark", "--json",
		"--query", one.query,
		"--events", strconv.FormatInt(c.events, 10),
		"--event-rate", strconv.FormatInt(c.eventRate, 10),
		"--out-of-order", strconv.FormatInt(c.outOfOrder, 10),
		"--seed", strconv.FormatUint(c.seed, 10),
		"--parallelism", one.parallelism,
		"--backend", one.backend,
		"--checkpoint-interval", checkpointInterval,
	}
	if one.fault != noFault {
		args = append(args, "--faults", one.fault)
	}
	cmd := exec.CommandContext(ctx, c.cairn, append(args, more...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return report{}, fmt.Errorf("%v: %w\n%s", cmd.Args, err, stderr.Bytes())
	}
	var r report
	if err := json.Unmarshal(out, &r); err != nil {
		return report{}, fmt.Errorf("%v: its report: %w\n%s", cmd.Args, err, out)
	}
	return r, nil
}
