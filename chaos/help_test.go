package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// built are the binaries, compiled once for all tests.
var built Binaries

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "cairn-chaos-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if built, err = Build(context.Background(), dir); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// start starts a cluster that ends with the test. If the test fails it shows
// the last words of every process.
func start(t *testing.T, size Size) *Cluster {
	t.Helper()
	c, err := NewCluster(built, t.TempDir(), size)
	must(t, err)
	c.run(t)
	return c
}

// run starts all processes for as long as the test.
func (c *Cluster) run(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			for _, p := range c.All() {
				t.Logf("--- %s\n%s", p.Name, p.LastWords(40))
			}
		}
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	must(t, c.Start(c.All()...))
}

// submit submits a job and returns its id.
func (c *Cluster) submit(t *testing.T, ctx context.Context, args ...string) string {
	t.Helper()
	out, err := c.CLI(ctx, append([]string{"job", "submit", "-o", "json", "--timeout", "60s"}, args...)...)
	must(t, err)
	var r struct{ Job string }
	must(t, json.Unmarshal([]byte(out), &r))
	return r.Job
}

// view is what `cairn job show -o json` prints, as far as the tests read it.
type view struct {
	Job struct {
		Status         string `json:"status"`
		Reason         string `json:"reason"`
		Attempt        int    `json:"attempt"`
		LastCheckpoint int    `json:"last_checkpoint"`
	} `json:"summary"`
	SlotsMissing int `json:"slots_missing"`
	Subtasks     []struct {
		Worker string `json:"worker"`
		State  string `json:"state"`
		Stats  struct {
			RecordsIn  int64 `json:"records_in"`
			BadRecords int64 `json:"bad_records"`
		} `json:"stats"`
	} `json:"subtasks"`
	Failures []struct {
		Reason string `json:"reason"`
		Stack  string `json:"stack"`
	} `json:"failures"`
}

func (v view) ended() bool {
	return v.Job.Status == "failed" || v.Job.Status == "cancelled" || v.Job.Status == "finished"
}

func (c *Cluster) show(t *testing.T, ctx context.Context, job string) view {
	t.Helper()
	out, err := c.CLI(ctx, "job", "show", job, "-o", "json", "--timeout", "60s")
	must(t, err)
	var v view
	must(t, json.Unmarshal([]byte(out), &v))
	return v
}

// waitJob asks again and again until done; a job that ended otherwise ends the wait.
func (c *Cluster) waitJob(t *testing.T, ctx context.Context, job, what string, done func(view) bool) view {
	t.Helper()
	var v view
	poll(t, ctx, what, func() bool {
		v = c.show(t, ctx, job)
		if !done(v) && v.ended() {
			t.Fatalf("waiting for %s: the job is %s: %s", what, v.Job.Status, v.Job.Reason)
		}
		return done(v)
	})
	return v
}

// waitStatus waits until the job has the status.
func (c *Cluster) waitStatus(t *testing.T, ctx context.Context, job, status string) view {
	t.Helper()
	return c.waitJob(t, ctx, job, "job to be "+status, func(v view) bool { return v.Job.Status == status })
}

// poll asks every 100 ms until done, and fails the test when ctx ends first.
func poll(t *testing.T, ctx context.Context, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("waiting for %s: %v", what, ctx.Err())
		case <-tick.C:
		}
	}
}

// says checks what a person reads: all that is wanted, and none of the noise
// that hides what is wrong.
func says(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in: %s", want, text)
		}
	}
	for _, noise := range []string{"rpc error", "code = ", "desc = ", "goroutine ", "invalid request"} {
		if strings.Contains(text, noise) {
			t.Errorf("noise, %q, in: %s", noise, text)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(fmt.Errorf("scenario: %w", err))
	}
}
