package chaos

import (
	"context"
	"encoding/json"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/examples/flights/flights"
	"github.com/cairnstream/cairn/objectstore/open"
)

// savepointView is what `cairn savepoint … -o json` prints of one, as far as it is read.
type savepointView struct {
	ID                       int
	Status, Format, Location string
	Rows                     int64
}

// TestJobIsStoppedWithASavepoint: a savepoint beside the running job, which does not notice,
// in a folder that is disposed of; then one with which the job stops, while the leader is
// killed. What is published is nothing twice and nothing wrong.
func TestJobIsStoppedWithASavepoint(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	c := start(t, Size{Controllers: 3, Workers: 2, Slots: 2})
	job := c.submit(t, ctx, c.Flights, "--", "--out", "file://"+filepath.Join(c.Dir, "out"),
		"--duration", "120s", "--parallelism", "2", "--checkpoint-interval", "500ms")
	c.waitJob(t, ctx, job, "two checkpoints", func(v view) bool { return v.Job.LastCheckpoint >= 2 })

	var beside savepointView
	c.savepoint(t, ctx, &beside, "savepoint", "trigger", job, "--directory", "file://"+filepath.Join(c.Dir, "kept"))
	if files := filesBelow(t, beside.Location); beside.Status != "completed" || beside.Rows == 0 || !files["_metadata"] || !files[".parquet"] {
		t.Fatalf("savepoint %+v has %v", beside, files)
	}
	if v := c.show(t, ctx, job); v.Job.Attempt != 1 || v.Job.Status != "running" {
		t.Fatalf("the job noticed: %s at attempt %d", v.Job.Status, v.Job.Attempt)
	}
	_, err := c.CLI(ctx, "savepoint", "dispose", job, strconv.Itoa(beside.ID))
	must(t, err)
	poll(t, ctx, "the folder to go", func() bool { return len(filesBelow(t, beside.Location)) == 0 })

	leader := c.leaderProcess(t, ctx)
	killed := make(chan error, 1)
	go func() { killed <- c.Kill(leader) }()
	var stopped struct {
		Status    string
		Savepoint savepointView
	}
	c.savepoint(t, ctx, &stopped, "job", "stop", job, "--timeout", "60s")
	must(t, <-killed)
	must(t, c.Start(leader))
	if s := stopped.Savepoint; stopped.Status != "finished" || s.Status != "completed" || s.Format != "canonical" || !filesBelow(t, s.Location)["_metadata"] {
		t.Fatalf("stopped: %+v", stopped)
	}
	out, err := open.Open(ctx, "file://"+filepath.Join(c.Dir, "out"), open.Options{})
	must(t, err)
	defer out.Close()
	report, err := flights.Verify(ctx, out, dataflow.JobID(job))
	must(t, err)
	if report.Records == 0 || report.Duplicated+report.Wrong > 0 {
		t.Errorf("the output is not exact: %+v", report)
	}
}

func (c *Cluster) savepoint(t *testing.T, ctx context.Context, into any, args ...string) {
	t.Helper()
	out, err := c.CLI(ctx, append(args, "-o", "json")...)
	must(t, err)
	must(t, json.Unmarshal([]byte(out), into))
}

// filesBelow are the names and the extensions of the files below a file:// URL.
func filesBelow(t *testing.T, location string) map[string]bool {
	t.Helper()
	u, err := url.Parse(location)
	must(t, err)
	found := map[string]bool{}
	err = filepath.WalkDir(u.Path, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found[d.Name()], found[filepath.Ext(path)] = true, true
		}
		if os.IsNotExist(err) {
			return nil
		}
		return err
	})
	must(t, err)
	return found
}
