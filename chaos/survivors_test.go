package chaos

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/cairnstream/cairn/internal/procs"
)

// restored is what the processes of an attempt were restored from.
type restored struct {
	Subtasks []struct{ Worker, Process string }
	Stats    []struct {
		Process string
		Local   int64 `json:"restored_local_bytes"`
		Remote  int64 `json:"restored_remote_bytes"`
	}
}

// TestSurvivorsReadTheirDisks kills one worker of three, the third being idle:
// only what the dead one held is downloaded, by the idle one. What stays where it
// was comes from that machine's disk.
func TestSurvivorsReadTheirDisks(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	c := start(t, Size{Controllers: 1, Workers: 3, Slots: 2})
	job := c.submit(t, ctx, c.Flights, "--",
		"--out", "file://"+filepath.Join(c.Dir, "out"), "--duration", "40s", "--parallelism", "2", "--checkpoint-interval", "500ms")
	before := c.waitJob(t, ctx, job, "three checkpoints", func(j view) bool { return j.Job.LastCheckpoint >= 3 })
	idle := map[string]*procs.Process{}
	for _, w := range c.Workers {
		idle[w.Name] = w
	}
	for _, s := range before.Subtasks {
		delete(idle, s.Worker)
	}
	lost := before.Subtasks[0].Worker
	must(t, c.Kill(c.workerNamed(t, lost)))

	var now restored
	poll(t, ctx, "what attempt 2 was restored from", func() bool {
		out, err := c.CLI(ctx, "job", "show", job, "-o", "json", "--timeout", "60s")
		must(t, err)
		now = restored{}
		must(t, json.Unmarshal([]byte(out), &now))
		return len(now.Stats) == 2 && now.bytes() > 0
	})
	workers := map[string]string{}
	for _, s := range now.Subtasks {
		workers[s.Process] = s.Worker
	}
	for _, s := range now.Stats {
		t.Logf("on %s: %d bytes from its disk, %d from the store", workers[s.Process], s.Local, s.Remote)
		switch fresh := idle[workers[s.Process]] != nil; {
		case workers[s.Process] == lost:
			t.Errorf("attempt 2 is on %s, which is dead", lost)
		case fresh && (s.Local != 0 || s.Remote == 0):
			t.Error("a machine that had nothing has read its disk")
		case !fresh && (s.Remote != 0 || s.Local == 0):
			t.Error("a survivor has downloaded what it had")
		}
	}
}

func (r restored) bytes() (n int64) {
	for _, s := range r.Stats {
		n += s.Local + s.Remote
	}
	return n
}
