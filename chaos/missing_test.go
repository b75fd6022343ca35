package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAMissingObjectSuspendsTheJob removes an object that only the newest
// checkpoint needs while no worker runs. The job must not be started again and
// again: it waits, says which object and where it can go on, and does so when it
// is told to.
func TestAMissingObjectSuspendsTheJob(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	c := start(t, Size{Controllers: 1, Workers: 1, Slots: 2})
	job := c.submit(t, ctx, c.Flights, "--local-recovery", "off", "--",
		"--out", "file://"+filepath.Join(c.Dir, "out"), "--duration", "30s", "--parallelism", "2", "--checkpoint-interval", "1s")
	c.waitJob(t, ctx, job, "three checkpoints", func(j view) bool { return j.Job.LastCheckpoint >= 3 })
	must(t, c.Kill(c.Workers...))
	newest := c.show(t, ctx, job).Job.LastCheckpoint
	older := c.objects(t, ctx, job, newest-1)
	lost := ""
	for key := range c.objects(t, ctx, job, newest) {
		if !older[key] {
			lost = key
		}
	}
	must(t, os.Remove(filepath.Join(c.Store, filepath.FromSlash(lost))))

	must(t, c.Start(c.Workers...))
	v := c.waitStatus(t, ctx, job, "suspended")
	if !strings.Contains(v.Job.Reason, lost) {
		t.Errorf("the reason does not name %s: %s", lost, v.Job.Reason)
	}
	text, err := c.CLI(ctx, "job", "show", job)
	must(t, err)
	way := fmt.Sprintf("cairn job restart %s --from-checkpoint %d", job, newest-1)
	says(t, text, "suspended", "damaged: "+lost, way, "sink running-out", "sink hourly-out")
	o, err := c.Ask(ctx, "job", "restart", job, "--from-checkpoint", fmt.Sprint(newest))
	must(t, err)
	if o.Code == 0 {
		t.Error("it goes on from the checkpoint that needs the object")
	}
	says(t, o.Stderr, lost, "cairn job show")

	text, err = c.CLI(ctx, "job", "restart", job, "--from-checkpoint", fmt.Sprint(newest-1))
	must(t, err)
	says(t, text, fmt.Sprintf("from checkpoint %d", newest-1), fmt.Sprintf("given up: checkpoint %d", newest))
	c.waitJob(t, ctx, job, "checkpoints of the next attempt", func(j view) bool { return j.Job.LastCheckpoint > newest+1 })
}

// objects are the keys of the state objects that a checkpoint names.
func (c *Cluster) objects(t *testing.T, ctx context.Context, job string, checkpoint int) map[string]bool {
	t.Helper()
	out, err := c.CLI(ctx, "checkpoint", "show", job, fmt.Sprint(checkpoint), "-o", "json")
	must(t, err)
	var r struct {
		Metadata struct {
			Processes []struct {
				Objects []struct {
					Prefix string
					Lo, Hi uint64
				}
			}
		}
	}
	must(t, json.Unmarshal([]byte(out), &r))
	keys := map[string]bool{}
	for _, p := range r.Metadata.Processes {
		for _, run := range p.Objects {
			for n := run.Lo; n <= run.Hi; n++ {
				keys[fmt.Sprintf("%s%012d.0", run.Prefix, n)] = true
			}
		}
	}
	return keys
}
