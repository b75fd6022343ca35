package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/examples/flights/flights"
	"github.com/cairnstream/cairn/objectstore/open"
)

// within bounds a whole scenario: a hang is a failure with logs, not a stuck run.
const within = 3 * time.Minute

// TestTrioLosesNothing is what a person does by hand with the README's trio:
// run a job, kill all controllers and start them again, then kill everything,
// workers too, and start it again. The job must never stop for the first, go on
// from its last checkpoint after the second, keep its whole history, and end
// with exact output.
func TestTrioLosesNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	c := start(t, Size{Controllers: 3, Workers: 2, Slots: 2})
	job := submitFlights(t, ctx, c, "25s")
	before := c.waitJob(t, ctx, job, "three checkpoints", func(j view) bool { return j.Job.LastCheckpoint >= 3 })

	must(t, c.Kill(c.Controllers...))
	must(t, c.Start(c.Controllers...))
	after := c.waitJob(t, ctx, job, "checkpoints to resume", func(j view) bool { return j.Job.LastCheckpoint > before.Job.LastCheckpoint+2 })
	if after.Job.Attempt != 1 {
		t.Errorf("attempt %d after the controllers' death: the job was restarted", after.Job.Attempt)
	}
	if n := starts(t, c, 0); n != len(after.Subtasks) {
		t.Errorf("%d subtasks started, want each of the %d once", n, len(after.Subtasks))
	}
	checkHistory(t, ctx, c, job, before.Job.LastCheckpoint)

	must(t, c.Kill(c.All()...))
	must(t, c.Start(c.All()...))
	c.waitJob(t, ctx, job, "the next attempt", func(j view) bool { return j.Job.Attempt >= 2 && j.Job.Status == "running" })
	checkHistory(t, ctx, c, job, after.Job.LastCheckpoint)
	c.waitJob(t, ctx, job, "the end", func(j view) bool { return j.Job.Status == "finished" })

	out, err := open.Open(ctx, "file://"+filepath.Join(c.Dir, "out"), open.Options{})
	must(t, err)
	defer out.Close()
	report, err := flights.Verify(ctx, out, dataflow.JobID(job))
	if err != nil || !report.Verified {
		t.Errorf("the output is not exact: %+v, %v", report, err)
	}
}

func submitFlights(t *testing.T, ctx context.Context, c *Cluster, duration string) string {
	return c.submit(t, ctx, c.Flights, "--",
		"--out", "file://"+filepath.Join(c.Dir, "out"), "--duration", duration, "--parallelism", "4", "--checkpoint-interval", "500ms")
}

// checkHistory: every checkpoint up to the given one has its line.
func checkHistory(t *testing.T, ctx context.Context, c *Cluster, job string, upTo int) {
	t.Helper()
	out, err := c.CLI(ctx, "checkpoint", "list", job, "-o", "json")
	must(t, err)
	var r struct {
		Checkpoints []struct {
			ID int `json:"id"`
		} `json:"checkpoints"`
	}
	must(t, json.Unmarshal([]byte(out), &r))
	have := map[int]bool{}
	for _, k := range r.Checkpoints {
		have[k.ID] = true
	}
	for id := 1; id <= upTo; id++ {
		if !have[id] {
			t.Errorf("checkpoint %d has left the history", id)
		}
	}
}

// starts counts the subtasks that job processes started in attempts after the given one.
func starts(t *testing.T, c *Cluster, after int) int {
	n := 0
	for _, w := range c.Workers {
		f, err := os.Open(filepath.Join(c.Dir, w.Name, "trace.jsonl"))
		must(t, err)
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			var e struct {
				Kind    string
				Attempt int
			}
			if json.Unmarshal(lines.Bytes(), &e) == nil && e.Kind == "start" && e.Attempt > after {
				n++
			}
		}
	}
	return n
}
