package controller

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// set changes options of a job and returns all of them.
func (c *cluster) set(id dataflow.JobID, options string) (o dataflow.Options, err error) {
	c.t.Helper()
	r, err := c.api().SetOptions(c.t.Context(), &wire.SetOptionsRequest{Job: string(id), Options: []byte(options), Key: freshKey()})
	if err == nil {
		err = json.Unmarshal(r.Options, &o)
	}
	return o, err
}

// without is no periodic checkpoints.
func without(o *dataflow.Options) { o.CheckpointInterval = -1 }

func TestOptionsOfARunningJob(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.announceAll()
		c.startAgents(2, 1)
		id := c.submit(without)
		c.awaitStatus(id, ledger.Running)
		c.pass(time.Minute)
		if n := c.record(id).Completed; n != 0 {
			t.Fatalf("%d checkpoints without an interval", n)
		}
		mark := c.mark()
		o, err := c.set(id, `{"checkpoint_interval": 2000000000, "checkpoint": {"jitter": -1, "aligned_timeout": 500000000}}`)
		if err != nil || o.CheckpointInterval != 2*time.Second || o.Checkpoint.Unaligned != "on" || o.Checkpoint.MaxConcurrent != 1 {
			t.Fatalf("options %+v, %v", o, err)
		}
		began := time.Now()
		c.awaitCompleted(id, 5)
		if took := time.Since(began); took < 9*time.Second || took > 11*time.Second {
			t.Errorf("5 checkpoints took %v, want about 10 s", took)
		}
		timeout := func(o order) bool { return o.m.GetTrigger().GetAlignedTimeoutMs() == 500 }
		if c.ordered(mark, timeout) == 0 || c.ordered(mark, isDeployOrStop) != 0 {
			t.Errorf("%d triggers with the timeout, %d orders to deploy or stop", c.ordered(mark, timeout), c.ordered(mark, isDeployOrStop))
		}
		if o, err := c.set(id, ""); err != nil || o.CheckpointInterval != 2*time.Second {
			t.Errorf("asked only: %+v, %v", o, err)
		}
		if _, err := c.set(id, `{"checkpoint_interval": -1, "checkpoint": {"aligned_timeout": 0}}`); err != nil {
			t.Fatal(err)
		}
		c.pass(time.Second)
		n := c.record(id).Completed
		c.pass(time.Minute)
		if got := c.record(id); got.Completed != n || got.Execution.Attempt != 1 || got.Options.Checkpoint.AlignedTimeout != 0 {
			t.Errorf("%d checkpoints, then %d; attempt %d; %+v", n, got.Completed, got.Execution.Attempt, got.Options)
		}
	})
}

func TestOptionsThatAreRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.announceAll()
		c.startAgents(2, 1)
		id := c.submit()
		before := c.awaitStatus(id, ledger.Running).Options
		for given, want := range map[string]string{
			`{"batch_rows": 7, "state": {"backend": "lsm"}}`: "batch_rows, state.backend can't be changed while the job runs: stop it with a savepoint",
			`{"checkpoint_intervall": 7}`:                    `unknown field "checkpoint_intervall"`,
			`{"checkpoint": {"max_age": 500000000}}`:         "checkpoint.max_age 500ms is not above the time between two checkpoints, 1s",
			`{"retained": "many"}`:                           "retained",
		} {
			_, err := c.set(id, given)
			if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", given, err, want)
			}
		}
		if got := c.record(id).Options; got != before {
			t.Errorf("options %+v, were %+v", got, before)
		}
		if _, err := c.set("nobody", ""); status.Code(err) != codes.NotFound {
			t.Errorf("no job: %v", err)
		}
	})
}

// TestChangesAtOnceAreAllKept: each is merged into what the other left.
func TestChangesAtOnceAreAllKept(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.announceAll()
		c.startAgents(2, 1)
		id := c.submit()
		c.awaitStatus(id, ledger.Running)
		changes := []string{`{"retained": 7}`, `{"min_pause": 3}`, `{"checkpoint": {"max_age": 60000000000}}`, `{"checkpoint": {"every_bytes": 99}}`, `{"restart": {"attempts": 5}}`}
		done := make(chan error, len(changes))
		for _, change := range changes {
			go func() {
				_, err := c.set(id, change)
				done <- err
			}()
		}
		for range changes {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		o := c.record(id).Options
		if o.Retained != 7 || o.MinPause != 3 || o.Checkpoint.MaxAge != time.Minute || o.Checkpoint.EveryBytes != 99 || o.Restart.Attempts != 5 {
			t.Errorf("options %+v", o)
		}
	})
}

// TestDefaultsFollowTheOthers: what was not chosen is not fixed by a submit.
func TestDefaultsFollowTheOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.announceAll()
		c.startAgents(2, 1)
		id := c.submit(func(o *dataflow.Options) { o.Checkpoint.Jitter = 0.5 })
		c.awaitStatus(id, ledger.Running)
		whole, err := json.Marshal(c.record(id).Options.WithDefaults())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.set(id, string(whole)); err != nil { // as somebody does who edits all of them
			t.Fatal(err)
		}
		if o, err := c.set(id, `{"checkpoint_interval": 60000000000}`); err != nil || o.Checkpoint.IntervalDuringBacklog != time.Minute || o.Checkpoint.Jitter != 0.5 {
			t.Errorf("options %+v, %v", o, err)
		}
	})
}

// TestOldMembersTakeJobsOfDefaults: a submit says nothing that they do not know.
func TestOldMembersTakeJobsOfDefaults(t *testing.T) {
	for _, c := range []struct {
		over dataflow.Options
		want int
	}{
		{dataflow.Options{}, 1},
		{dataflow.Options{CheckpointInterval: time.Minute, Retained: 7}, 1},
		{dataflow.Options{CheckpointInterval: time.Minute, Checkpoint: dataflow.CheckpointOptions{IntervalDuringBacklog: time.Minute, MaxConcurrent: 1}}, 1},
		{dataflow.Options{State: dataflow.StateOptions{Backend: dataflow.BackendLSM}}, 2},
		{dataflow.Options{Checkpoint: dataflow.CheckpointOptions{MaxAge: time.Minute}}, 3},
	} {
		cmd, err := submission(twoStep(1), c.over, &wire.SubmitJobRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if got := ledger.VersionOf(cmd); got != c.want {
			t.Errorf("%+v: version %d, want %d", c.over, got, c.want)
		}
		if got, want := cmd.Options.WithDefaults(), c.over.WithDefaults(); got != want {
			t.Errorf("read back as %+v, want %+v", got, want)
		}
	}
}

// TestACallersIDUnderTwoLeaders: the same id is answered with the first checkpoint,
// while the job restarts too; another id begins another one.
func TestACallersIDUnderTwoLeaders(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.announceAll()
		c.startAgents(2, 1)
		id := c.submit(without)
		c.awaitStatus(id, ledger.Running)
		trigger := func(key string) uint64 {
			t.Helper()
			r, err := c.api().TriggerCheckpoint(t.Context(), &wire.TriggerCheckpointRequest{Job: string(id), Key: key})
			if err != nil {
				t.Fatal(err)
			}
			return r.Checkpoint
		}
		first := trigger("nightly")
		if again := trigger("nightly"); again != first {
			t.Errorf("under the same leader: %d, then %d", first, again)
		}
		c.killLeader()
		c.leader()
		if again := trigger("nightly"); again != first {
			t.Errorf("under another leader: %d, then %d", first, again)
		}
		c.await("the new leader to coordinate", func() bool { return c.coordinates(id) })
		if other := trigger("weekly"); other != first+1 {
			t.Errorf("another id: %d after %d", other, first)
		}
		c.awaitCompleted(id, 2)
		long := &wire.TriggerCheckpointRequest{Job: string(id), Key: strings.Repeat("x", ledger.KeyMax+1)}
		if _, err := c.api().TriggerCheckpoint(t.Context(), long); status.Code(err) != codes.InvalidArgument {
			t.Errorf("a long id: %v", err)
		}
	})
}

// coordinates tells whether the leader coordinates the job's checkpoints.
func (c *cluster) coordinates(id dataflow.JobID) bool {
	_, l := c.leader()
	on, err := inLoop(c.t.Context(), l, func() (bool, error) { return l.jobs[id] != nil && l.jobs[id].coordinating, nil })
	return err == nil && on
}

// read is what the sources of the agent's process of the job say that they have read.
func (a *agent) read(job dataflow.JobID, records, bytes int64, backlog bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.processes[string(job)].status
	a.send(&wire.AgentMessage{Body: &wire.AgentMessage_Stats{Stats: &wire.ProcessStats{
		Job: s.Job, Attempt: s.Attempt, Process: s.Process, SourceRecords: records, SourceBytes: bytes, Backlog: backlog,
	}}})
}

// TestTriggerByVolume: the volumes of the processes add up, and a new leader counts
// from what it is told first.
func TestTriggerByVolume(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.announceAll()
		agents := c.startAgents(2, 1)
		id := c.submit(without, func(o *dataflow.Options) { o.Checkpoint.EveryRecords = 100 })
		c.awaitStatus(id, ledger.Running)
		agents[0].read(id, 60, 1, false)
		c.pass(time.Second)
		if n := c.record(id).NextCheckpoint; n != 1 {
			t.Fatalf("a checkpoint after 60 records")
		}
		agents[1].read(id, 40, 1, false)
		c.awaitCompleted(id, 1)
		if h := c.record(id).History; h[0].Trigger != "volume" {
			t.Errorf("trigger %q", h[0].Trigger)
		}
		c.killLeader()
		c.leader()
		c.await("the new leader to coordinate", func() bool { return c.coordinates(id) })
		agents[0].read(id, 1060, 1, false)
		agents[1].read(id, 1040, 1, false)
		c.pass(time.Second)
		if n := c.record(id).NextCheckpoint; n != 2 {
			t.Fatalf("a checkpoint by what an earlier leader's have read")
		}
		agents[0].read(id, 1160, 1, false)
		c.awaitCompleted(id, 2)
	})
}

// TestANewLeaderKeepsTheRhythm: with an interval of a minute, the next checkpoint
// comes a minute after the last, and not a minute after the change of leader.
func TestANewLeaderKeepsTheRhythm(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.announceAll()
		c.startAgents(2, 1)
		id := c.submit(func(o *dataflow.Options) { o.CheckpointInterval, o.Checkpoint.Jitter = time.Minute, -1 })
		c.awaitCompleted(id, 2)
		c.pass(40 * time.Second)
		c.killLeader()
		c.leader()
		h := slices.Clone(c.awaitCompleted(id, 3).History)
		if gap := h[2].BegunAt - h[1].BegunAt; gap < 59_000 || gap > 61_000 {
			t.Errorf("%d ms between two checkpoints, want about 60000", gap)
		}
	})
}
