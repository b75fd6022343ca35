package chaos

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/examples/flights/flights"
	"github.com/cairnstream/cairn/objectstore/open"
)

// TestSubmittedParallelismWins over what the program gives its operators from
// its own arguments, after a failure too, and in the commits that are finished
// at the end.
func TestSubmittedParallelismWins(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	c := start(t, Size{Controllers: 1, Workers: 2, Slots: 2})
	job := c.submit(t, ctx, c.Flights, "--parallelism", "2", "--", "--out", "file://"+filepath.Join(c.Dir, "out"),
		"--duration", "8s", "--parallelism", "4", "--checkpoint-interval", "500ms")
	running := c.waitJob(t, ctx, job, "two checkpoints", func(v view) bool { return v.Job.LastCheckpoint >= 2 })
	c.checkSubtasks(t, ctx, job, 2)
	w := c.workerNamed(t, running.Subtasks[0].Worker)
	must(t, c.Kill(w))
	must(t, c.Start(w))
	c.waitJob(t, ctx, job, "attempt 2", func(v view) bool { return v.Job.Attempt == 2 && v.Job.Status == "running" })
	c.checkSubtasks(t, ctx, job, 2)
	c.waitStatus(t, ctx, job, "finished")
	out, err := open.Open(ctx, "file://"+filepath.Join(c.Dir, "out"), open.Options{})
	must(t, err)
	defer out.Close()
	report, err := flights.Verify(ctx, out, dataflow.JobID(job))
	if err != nil || !report.Verified {
		t.Errorf("the output is not exact: %+v, %v", report, err)
	}
}

// TestOwnParallelismStays: an operator that fixes its parallelism keeps it, the
// others get what the submit says.
func TestOwnParallelismStays(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	c := start(t, Size{Controllers: 1, Workers: 1, Slots: 4})
	job := c.submit(t, ctx, c.Counter, "--parallelism", "4", "--", "--parallelism", "1")
	c.waitJob(t, ctx, job, "two checkpoints", func(v view) bool { return v.Job.LastCheckpoint >= 2 })
	perVertex := c.subtasksPerVertex(t, ctx, job)
	counts := map[int]int{}
	for _, n := range perVertex {
		counts[n]++
	}
	if counts[4] != 2 || counts[1] != 1 || len(perVertex) != 3 {
		t.Errorf("subtasks per vertex %v: want 4 for source and sink, 1 for the counting operator", perVertex)
	}
}

// checkSubtasks: every vertex has so many subtasks.
func (c *Cluster) checkSubtasks(t *testing.T, ctx context.Context, job string, want int) {
	t.Helper()
	for vertex, n := range c.subtasksPerVertex(t, ctx, job) {
		if n != want {
			t.Errorf("vertex %d has %d subtasks, want %d", vertex, n, want)
		}
	}
}

func (c *Cluster) subtasksPerVertex(t *testing.T, ctx context.Context, job string) map[int]int {
	t.Helper()
	out, err := c.CLI(ctx, "job", "show", job, "-o", "json", "--timeout", "60s")
	must(t, err)
	var v struct {
		Subtasks []struct{ Subtask struct{ Vertex int } }
	}
	must(t, json.Unmarshal([]byte(out), &v))
	n := map[int]int{}
	for _, s := range v.Subtasks {
		n[s.Subtask.Vertex]++
	}
	if len(n) == 0 {
		t.Fatalf("the job has no subtasks: %s", out)
	}
	return n
}
