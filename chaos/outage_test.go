package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/examples/flights/flights"
	"github.com/cairnstream/cairn/internal/miniotest"
	"github.com/cairnstream/cairn/objectstore/open"
)

// outage is how long the store is cut off: half of the time it hangs, half of it
// it refuses.
const outage = 20 * time.Second

// pauseMax is the longest time without a record at any sink that counts as going
// on: many times what is usual, for busy machines, and a tenth of the outage.
const pauseMax = 2 * time.Second

// TestTheStoreIsCutOff under load, for all processes. No task may fail or start
// again, records must go on to come out, checkpoints must fail with the store
// as the reason and complete again by themselves, and the output must be exact.
// No failure of a checkpoint is tolerable for this job: only the store's are.
func TestTheStoreIsCutOff(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	minio := miniotest.Start(t)
	must(t, minio.MakeBucket(ctx, "state"))
	network := startProxy(t, strings.TrimPrefix(minio.Endpoint, "http://"))
	through := *minio
	through.Endpoint = "http://" + network.address()
	c, err := NewClusterOn(built, t.TempDir(), "", through.URL("state"), Size{Controllers: 3, Workers: 2, Slots: 2})
	must(t, err)
	for _, p := range c.All() {
		p.Env = minio.Env()
	}
	c.run(t)
	job := submitFlights(t, ctx, c, "40s")
	before := c.waitJob(t, ctx, job, "three checkpoints", func(j view) bool { return j.Job.LastCheckpoint >= 3 })

	cut := time.Now()
	network.become(hanging)
	wait(t, ctx, outage/2)
	network.become(refusing)
	wait(t, ctx, outage/2)
	during := c.show(t, ctx, job)
	network.become(passing)
	back := time.Now()
	if during.Job.Attempt != 1 || during.Job.Status != "running" {
		t.Errorf("without the store the job is %s at attempt %d: %+v", during.Job.Status, during.Job.Attempt, during.Failures)
	}
	after := c.waitJob(t, ctx, job, "checkpoints to resume", func(j view) bool { return j.Job.LastCheckpoint > during.Job.LastCheckpoint+1 })
	t.Logf("checkpoint %d before, %d during, %d after; the first came back within %v", before.Job.LastCheckpoint, during.Job.LastCheckpoint, after.Job.LastCheckpoint, time.Since(back))
	checkReasons(t, ctx, c, job)
	c.waitStatus(t, ctx, job, "finished")
	if n := starts(t, c, 1); n > 0 {
		t.Errorf("%d subtasks started again", n)
	}
	checkNoPause(t, c, cut, back)

	out, err := open.Open(ctx, "file://"+filepath.Join(c.Dir, "out"), open.Options{})
	must(t, err)
	defer out.Close()
	report, err := flights.Verify(ctx, out, dataflow.JobID(job))
	if err != nil || !report.Verified {
		t.Errorf("the output is not exact: %+v, %v", report, err)
	}
}

// wait lets time pass: an outage has a length and no event.
func wait(t *testing.T, ctx context.Context, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
}

// checkReasons: a failed checkpoint says that it was the store.
func checkReasons(t *testing.T, ctx context.Context, c *Cluster, job string) {
	t.Helper()
	out, err := c.CLI(ctx, "checkpoint", "list", job, "-o", "json")
	must(t, err)
	var r struct {
		Checkpoints []struct {
			ID     int    `json:"id"`
			Status string `json:"status"`
			Reason string `json:"reason"`
		} `json:"checkpoints"`
	}
	must(t, json.Unmarshal([]byte(out), &r))
	failed := 0
	for _, k := range r.Checkpoints {
		if k.Status != "failed" {
			continue
		}
		failed++
		if !strings.HasPrefix(k.Reason, "object store") {
			t.Errorf("checkpoint %d failed, and the store is not the reason: %s", k.ID, k.Reason)
		}
	}
	if failed == 0 {
		t.Error("no checkpoint failed while the store was away")
	}
}

// checkNoPause: every sink had records all the time between from and to.
func checkNoPause(t *testing.T, c *Cluster, from, to time.Time) {
	t.Helper()
	longest := time.Duration(0)
	for _, w := range c.Workers {
		f, err := os.Open(filepath.Join(c.Dir, w.Name, "trace.jsonl"))
		must(t, err)
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			var e struct {
				Kind     string
				From, At time.Time
			}
			if json.Unmarshal(lines.Bytes(), &e) == nil && e.Kind == "sink_gap" && e.At.After(from) && e.From.Before(to) {
				longest = max(longest, e.At.Sub(e.From))
			}
		}
	}
	t.Logf("longest time without a record at a sink: %v", longest)
	if longest > pauseMax {
		t.Errorf("a sink had no record for %v: processing paused", longest)
	}
}
