package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/cairnstream/cairn/internal/procs"
)

// TestFullDisk fills the disk under one controller of three while a job runs.
// That controller ends and says why; the others and the job go on; with space
// again and a restart the controller is back.
func TestFullDisk(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	disk, ok := smallDisk(t)
	if !ok {
		t.Log("left out: a small disk can be made only by root on Linux who may mount")
		return
	}
	c, err := NewCluster(built, t.TempDir(), Size{Controllers: 3, Workers: 1, Slots: 1})
	must(t, err)
	victim := c.Controllers[1]
	victim.Args = append(victim.Args, "--data-dir", filepath.Join(disk, "c2"))
	t.Cleanup(func() { must(t, c.Stop()) })
	must(t, c.Start(c.All()...))
	job := c.submit(t, ctx, c.Counter)
	c.waitJob(t, ctx, job, "checkpoints", func(v view) bool { return v.Job.LastCheckpoint >= 3 })

	ballast := fill(t, disk)
	poll(t, ctx, "the controller to give up", func() bool { return hasEnded(victim) })
	says(t, lastLine(victim), "controller: ", "no space left on device")
	before := c.show(t, ctx, job)
	after := c.waitJob(t, ctx, job, "checkpoints without it", func(v view) bool { return v.Job.LastCheckpoint > before.Job.LastCheckpoint+3 })
	if after.Job.Attempt != 1 {
		t.Errorf("the job is at attempt %d", after.Job.Attempt)
	}

	must(t, os.Remove(ballast))
	must(t, victim.Stop(0))
	must(t, c.Start(victim))
	poll(t, ctx, "the controller to be up", func() bool { return c.up(t, ctx, "c2") })
}

// fill leaves no byte on the disk, and returns the file that takes them.
func fill(t *testing.T, disk string) string {
	t.Helper()
	path := filepath.Join(disk, "ballast")
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	for size := 64 << 10; size > 0; {
		if _, err = f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the disk: %v", err)
	}
	return path
}

func hasEnded(p *procs.Process) bool {
	select {
	case <-p.Gone():
		return true
	default:
		return false
	}
}

func lastLine(p *procs.Process) string { return p.LastWords(1) }

// up tells whether the cluster counts the controller among those that answer.
func (c *Cluster) up(t *testing.T, ctx context.Context, id string) bool {
	t.Helper()
	out, err := c.CLI(ctx, "cluster", "status", "-o", "json", "--timeout", "60s")
	must(t, err)
	var status struct {
		Controllers []struct {
			ID        string `json:"id"`
			Reachable bool   `json:"reachable"`
		} `json:"controllers"`
	}
	must(t, json.Unmarshal([]byte(out), &status))
	for _, k := range status.Controllers {
		if k.ID == id {
			return k.Reachable
		}
	}
	return false
}

func freeAddress(t *testing.T) string {
	t.Helper()
	ports, err := procs.FreePorts(1)
	must(t, err)
	return "127.0.0.1:" + strconv.Itoa(ports[0])
}
