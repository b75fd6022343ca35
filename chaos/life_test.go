package chaos

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/internal/procs"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/open"
)

// lives are the runs of TestTheStoreHoldsWhatCheckpointsExplain.
var lives = []struct {
	name, backend string
	checkpoints   int
	deaths        []string // evenly spread: what is killed each time
	controller    []string // more arguments of the controllers
	swept         bool
}{
	{"memory", "memory", 1000, []string{"worker", "leader", "worker"}, nil, true},
	{"lsm", "lsm", 150, []string{"worker", "leader", "worker"}, nil, true},
	{"not swept", "memory", 60, []string{"worker", "worker", "worker"}, []string{"--no-sweep"}, false},
}

// TestTheStoreHoldsWhatCheckpointsExplain: a job with keyed state completes a
// checkpoint every 20 ms or so, with retention 3, logs so small that images are
// written all the time, a leader and workers killed on the way. Then it is
// cancelled. What is in the bucket in the end must be the claim, the job's
// executable, and what `cairn checkpoint show` names for the checkpoints that can
// be restored. The last run has no sweep, and objects must be left: or the others
// would prove nothing.
func TestTheStoreHoldsWhatCheckpointsExplain(t *testing.T) {
	for _, l := range lives {
		t.Run(l.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*within) // a busy machine needs minutes for 1,000 checkpoints
			defer cancel()
			c, err := NewCluster(built, t.TempDir(), Size{Controllers: 3, Workers: 3, Slots: 2})
			must(t, err)
			for _, p := range c.Controllers {
				p.Args = append(p.Args, l.controller...)
			}
			c.run(t)
			job := c.submit(t, ctx, "--checkpoint-interval", "10ms", "--retained", "3", "--changelog", "64KiB",
				"--state-backend", l.backend, "--tolerable-failures", "-1", "--parallelism", "2", c.Counter)
			c.live(t, ctx, job, l.checkpoints, l.deaths)
			_, err = c.CLI(ctx, "job", "cancel", job, "--timeout", "60s")
			must(t, err)
			c.waitStatus(t, ctx, job, "cancelled")
			c.checkExplained(t, ctx, job, l.swept)
		})
	}
}

// live waits for so many checkpoints and kills on the way.
func (c *Cluster) live(t *testing.T, ctx context.Context, job string, checkpoints int, deaths []string) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	part := checkpoints / (len(deaths) + 1)
	for i, death := range deaths {
		at := i*part + part/2 + random.IntN(part)
		v := c.waitJob(t, ctx, job, strconv.Itoa(at)+" checkpoints", func(v view) bool { return v.Job.LastCheckpoint >= at && v.Job.Status == "running" })
		victim := c.leaderProcess(t, ctx)
		if death == "worker" {
			victim = c.workerNamed(t, v.Subtasks[random.IntN(len(v.Subtasks))].Worker)
		}
		must(t, c.Kill(victim))
		must(t, c.Start(victim))
	}
	poll(t, ctx, strconv.Itoa(checkpoints)+" checkpoints", func() bool { return c.checkpoints(t, ctx, job).Completed >= checkpoints })
	v := c.show(t, ctx, job)
	t.Logf("%d checkpoints, the last is %d, in %d attempts", c.checkpoints(t, ctx, job).Completed, v.Job.LastCheckpoint, v.Job.Attempt)
}

// leaderProcess is the controller that leads.
func (c *Cluster) leaderProcess(t *testing.T, ctx context.Context) *procs.Process {
	t.Helper()
	out, err := c.CLI(ctx, "cluster", "status", "-o", "json", "--timeout", "60s")
	must(t, err)
	var r struct{ Leader string }
	must(t, json.Unmarshal([]byte(out), &r))
	for _, p := range c.Controllers {
		if p.Name == r.Leader {
			return p
		}
	}
	t.Fatalf("no controller is named %q", r.Leader)
	return nil
}

// listed is what `cairn checkpoint list -o json` prints, as far as it is read.
type listed struct {
	Completed   int
	Checkpoints []struct {
		ID         int
		Restorable bool
	}
}

func (c *Cluster) checkpoints(t *testing.T, ctx context.Context, job string) (l listed) {
	t.Helper()
	out, err := c.CLI(ctx, "checkpoint", "list", job, "-o", "json", "--timeout", "60s")
	must(t, err)
	must(t, json.Unmarshal([]byte(out), &l))
	return l
}

// sweepWithin is a turn of the leader's sweeper, which looks at one job every
// 30 s, and some patience. Most often the first look is enough.
const sweepWithin = 75 * time.Second

// checkExplained waits until the bucket holds only what is explained, or until
// the sweeper has had its time; then what is left, or missing, is named.
func (c *Cluster) checkExplained(t *testing.T, ctx context.Context, job string, swept bool) {
	t.Helper()
	explained := c.explained(t, ctx, job)
	limit := time.Now().Add(sweepWithin)
	var unexplained []string
	poll(t, ctx, "the sweep", func() bool {
		unexplained = without(c.stored(t, ctx), explained)
		return len(unexplained) == 0 || !swept || time.Now().After(limit)
	})
	stored := c.stored(t, ctx)
	t.Logf("%d objects in the bucket, %d explained", len(stored), len(explained))
	if missing := without(explained, stored); len(missing) > 0 {
		t.Errorf("explained, and not in the bucket:\n%s", strings.Join(missing, "\n"))
	}
	switch {
	case swept && len(unexplained) > 0:
		t.Errorf("in the bucket, and not explained:\n%s", strings.Join(unexplained, "\n"))
	case !swept && len(unexplained) == 0:
		t.Error("nothing is left without a sweep: this test can't see what the sweep does")
	}
}

// explained are the keys that may be in the bucket.
func (c *Cluster) explained(t *testing.T, ctx context.Context, job string) []string {
	t.Helper()
	keys := []string{"cairn-cluster.json"}
	restorable := 0
	for _, k := range c.checkpoints(t, ctx, job).Checkpoints {
		if !k.Restorable {
			continue
		}
		restorable++
		out, err := c.CLI(ctx, "checkpoint", "show", job, strconv.Itoa(k.ID), "-o", "json", "--timeout", "60s")
		must(t, err)
		var shown struct {
			Checkpoint struct {
				MetadataKey string `json:"metadata_key"`
			}
			Metadata struct{ Cluster, Artifact string }
			Objects  []struct{ Key string }
		}
		must(t, json.Unmarshal([]byte(out), &shown))
		keys = append(keys, shown.Checkpoint.MetadataKey, shown.Metadata.Cluster+"/artifacts/"+shown.Metadata.Artifact)
		for _, o := range shown.Objects {
			keys = append(keys, o.Key)
		}
	}
	if restorable != 3 {
		t.Errorf("%d checkpoints can be restored, want the 3 that are retained", restorable)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// stored are the keys in the bucket.
func (c *Cluster) stored(t *testing.T, ctx context.Context) (keys []string) {
	t.Helper()
	bucket, err := open.Open(ctx, "file://"+c.Store, open.Options{})
	must(t, err)
	defer bucket.Close()
	must(t, bucket.List(ctx, "", func(i objectstore.Info) error {
		keys = append(keys, i.Key)
		return nil
	}))
	slices.Sort(keys)
	return keys
}

// without is what of a, which is sorted, is not in b, which is sorted.
func without(a, b []string) (rest []string) {
	for _, key := range a {
		if _, ok := slices.BinarySearch(b, key); !ok {
			rest = append(rest, key)
		}
	}
	return rest
}
