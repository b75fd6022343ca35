package controller

import (
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/wire"
)

// leftovers puts one object of every kind that failures leave, and says of each whether
// it is garbage.
func (c *cluster) leftovers(id dataflow.JobID) map[string]bool {
	c.t.Helper()
	_, l := c.leader()
	record := c.record(id)
	run := func(attempt dataflow.Attempt) string {
		return checkpointstore.ObjectKey(snapshot.Run{Prefix: checkpointstore.RunPrefix(l.cluster(), id, attempt, "killed")}, 900)
	}
	left := map[string]bool{
		run(record.EndedAttempts()):                                                    true,  // a killed process's
		run(record.EndedAttempts() + 1):                                                false, // the next checkpoint may name it
		checkpointstore.MetadataKey(l.cluster(), id, 1, 1, "0123456789abcdef"):         true,  // a dead leader's
		checkpointstore.MetadataKey(l.cluster(), id, 1_000_000, 1, "0123456789abcdef"): false,
		l.cluster() + "/savepoints/" + string(id) + "/000000000001-aa/_metadata":       true, // no such savepoint any more
		l.cluster() + "/savepoints/" + string(id) + "/000001000000-aa/_metadata":       false,
		checkpointstore.ArtifactKey(l.cluster(), strings.Repeat("ab", 32)):             false, // its submit may come
		l.cluster() + "/notes.txt":                                                     false, // somebody's
	}
	for key := range left {
		if err := c.bucket.Put(c.t.Context(), key, []byte("left"), objectstore.PutOptions{}); err != nil {
			c.t.Fatal(err)
		}
	}
	return left
}

func (c *cluster) exists(key string) bool {
	_, err := c.bucket.Get(c.t.Context(), key, 0, -1)
	return err == nil
}

// restarted is a job with checkpoints whose first attempt has ended.
func (c *cluster) restarted() dataflow.JobID {
	agents := c.startAgents(2, 1)
	id := c.submit(func(o *dataflow.Options) { o.Retained = 5 })
	c.awaitCompleted(id, 2)
	agents[0].fail(id, "killed")
	c.await("the second attempt", func() bool { return c.record(id).EndedAttempts() >= 1 && c.record(id).Status == ledger.Running })
	c.awaitCompleted(id, c.record(id).Completed+2)
	return id
}

func TestCollectGarbage(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		id := c.restarted()
		left := c.leftovers(id)
		dry, err := c.api().CollectGarbage(t.Context(), &wire.CollectGarbageRequest{DryRun: true})
		if err != nil || dry.Deleted != 0 {
			t.Fatalf("dry run: %v %v", dry, err)
		}
		named := map[string]*wire.GarbageObject{}
		for _, o := range dry.Objects {
			named[o.Key] = o
		}
		for key, garbage := range left {
			if o := named[key]; garbage && (o == nil || o.Kept || o.Why == "" || o.Origin == "" || o.Size != 4 || o.ModifiedUnixMs == 0) {
				t.Errorf("%s: listed as %v", key, o)
			} else if !garbage && o != nil && !o.Kept {
				t.Errorf("%s is no garbage: %v", key, o)
			}
			if !c.exists(key) {
				t.Errorf("a dry run deleted %s", key)
			}
		}
		young, err := c.api().CollectGarbage(t.Context(), &wire.CollectGarbageRequest{GraceMs: time.Hour.Milliseconds()})
		if err != nil || young.Deleted != 0 || young.Left < dry.Left {
			t.Fatalf("with a grace time: %v %v", young, err)
		}
		done, err := c.api().CollectGarbage(t.Context(), &wire.CollectGarbageRequest{})
		if err != nil || done.Deleted < 3 {
			t.Fatalf("collected %v %v", done, err)
		}
		for key, garbage := range left {
			if c.exists(key) == garbage {
				t.Errorf("%s: there %v, garbage %v", key, c.exists(key), garbage)
			}
		}
		for r := range c.record(id).Catalog.All() {
			if !c.exists(r.Metadata.Key) {
				t.Errorf("the metadata of checkpoint %d is gone", r.ID)
			}
		}
	}, func(cfg *Config) { cfg.NoSweep = true }) // what failures leave is to stay
}

func TestSweepFindsAllThatIsGarbage(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		id := c.restarted()
		left := c.leftovers(id)
		c.pass(4 * collectAgain)
		for key, garbage := range left {
			if c.exists(key) == garbage {
				t.Errorf("%s: there %v, garbage %v", key, c.exists(key), garbage)
			}
		}
	})
}

func TestWhyObject(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.announceAll()
		id := c.restarted()
		api := c.api()
		why := func(key string) *wire.WhyObjectResponse {
			t.Helper()
			r, err := api.WhyObject(t.Context(), &wire.WhyObjectRequest{Key: key})
			if err != nil {
				t.Fatal(err)
			}
			if (len(r.Reasons) == 0) == (r.Fate == "") {
				t.Errorf("%s: %v", key, r)
			}
			return r
		}
		_, l := c.leader()
		newest := c.record(id).Catalog.Newest()
		pinned := newest.ID
		if _, err := api.PinCheckpoint(t.Context(), &wire.PinCheckpointRequest{Job: string(id), Checkpoint: uint64(pinned)}); err != nil {
			t.Fatal(err)
		}
		r := why(newest.Metadata.Key)
		var whys []string
		for _, reason := range r.Reasons {
			whys = append(whys, reason.Why)
		}
		if text := strings.Join(whys, ", "); r.Kind != kindMetadata || r.Job != string(id) || !strings.Contains(text, "pinned") {
			t.Errorf("the newest: %s %s: %s", r.Kind, r.Job, text)
		}
		if r := why(checkpointstore.ArtifactKey(l.cluster(), c.sha)); r.Kind != kindArtifact || len(r.Reasons) != 1 {
			t.Errorf("the program: %v", r)
		}
		if r := why(l.cluster() + "/jobs/" + string(id) + "/1/killed/000000000900.0"); r.Kind != kindState || !strings.Contains(r.Fate, "no such object") {
			t.Errorf("nothing: %v", r)
		}
		if r := why("notes.txt"); r.Kind != kindUnknown {
			t.Errorf("somebody's: %v", r)
		}
		if _, err := api.WhyObject(t.Context(), &wire.WhyObjectRequest{Key: "s3://elsewhere/x"}); err == nil {
			t.Error("an object of another bucket is explained")
		}
		list, err := api.ListCheckpoints(t.Context(), &wire.ListCheckpointsRequest{Job: string(id), Limit: 1})
		if err != nil || len(list.Checkpoints) != 1 || list.LeftOut == 0 {
			t.Fatalf("the newest alone: %v %v", list, err)
		}
		if _, err := api.PinCheckpoint(t.Context(), &wire.PinCheckpointRequest{Job: string(id), Checkpoint: uint64(pinned), Unpin: true}); err != nil {
			t.Fatal(err)
		}
	})
}
