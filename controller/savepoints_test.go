package controller

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/wire"
)

// writeSavepoint writes a folder of two objects, or half of one.
func (a *agent) writeSavepoint(w *wire.WriteSavepoint) {
	if a.holdWrites {
		return
	}
	data := a.c.folderMetadata(w.Job, w.Savepoint)
	sum := sha256.Sum256(data)
	done := &wire.SavepointWritten{
		Job: w.Job, Savepoint: w.Savepoint, Folder: w.Folder, MetadataKey: path.Join(w.Folder, checkpointstore.SavepointMetadata),
		MetadataSize: int64(len(data)), MetadataSha256: hex.EncodeToString(sum[:]), Bytes: 7, Rows: 3,
	}
	a.c.put(path.Join(w.Folder, "operators/out/counts-0.parquet"), []byte("PAR1"))
	if a.failWrites > 0 {
		a.failWrites--
		done.Error = "disk full"
	} else {
		a.c.put(done.MetadataKey, data)
	}
	a.send(&wire.AgentMessage{Body: &wire.AgentMessage_SavepointWritten{SavepointWritten: done}})
}

// folderMetadata is the metadata object of a canonical savepoint without state.
func (c *cluster) folderMetadata(job string, id uint64) []byte {
	data, err := checkpointstore.Encode(&checkpointstore.Metadata{
		Format: checkpointstore.FormatFolder, Cluster: "gone", Job: dataflow.JobID(job), Attempt: 1, Checkpoint: dataflow.CheckpointID(id),
		Graph: []byte("{}"), KeyGroups: 16, Folder: &checkpointstore.Folder{},
	})
	if err != nil {
		c.t.Error(err)
	}
	return data
}

func (c *cluster) put(key string, data []byte) {
	if err := c.bucket.Put(c.t.Context(), key, data, objectstore.PutOptions{}); err != nil {
		c.t.Error(err)
	}
}

// folders are the objects of canonical savepoints in the bucket.
func (c *cluster) folders() (keys []string) {
	c.t.Helper()
	_, l := c.leader()
	err := c.bucket.List(c.t.Context(), l.cluster()+"/savepoints/", func(i objectstore.Info) error {
		keys = append(keys, i.Key)
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return keys
}

// savepoint asks for one.
func (c *cluster) savepoint(id dataflow.JobID, format, key string) *wire.Savepoint {
	c.t.Helper()
	r, err := c.api().TriggerSavepoint(c.t.Context(), &wire.TriggerSavepointRequest{
		Job: string(id), Savepoint: &wire.SavepointRequest{Format: format, Key: key},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return r.Savepoint
}

// stopJob stops the job with a savepoint.
func (c *cluster) stopJob(id dataflow.JobID, format string, cancel bool) *wire.Savepoint {
	c.t.Helper()
	return c.stopped(&wire.StopJobRequest{Job: string(id), Savepoint: &wire.SavepointRequest{Format: format}, Cancel: cancel})
}

// stopped begins a stop, which is to be taken.
func (c *cluster) stopped(request *wire.StopJobRequest) *wire.Savepoint {
	c.t.Helper()
	r, err := c.api().StopJob(c.t.Context(), request)
	if err != nil {
		c.t.Fatal(err)
	}
	return r.Savepoint
}

func (c *cluster) awaitSavepoint(id dataflow.JobID, savepoint uint64, status ledger.SavepointStatus) *ledger.Savepoint {
	c.t.Helper()
	c.await(fmt.Sprintf("savepoint %d of %s to be %s", savepoint, id, status), func() bool {
		s := c.record(id).Savepoint(dataflow.CheckpointID(savepoint))
		return s != nil && s.Status == status
	})
	return c.record(id).Savepoint(dataflow.CheckpointID(savepoint))
}

// running submits a job and waits until it runs.
func (c *cluster) running(change ...func(*dataflow.Options)) dataflow.JobID {
	c.t.Helper()
	c.announceAll()
	id := c.submit(change...)
	c.awaitStatus(id, ledger.Running)
	return id
}

func TestNativeSavepoint(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		agents := c.startAgents(2, 1)
		id := c.running()
		s := c.savepoint(id, dataflow.Native, "mine")
		taken := c.awaitSavepoint(id, s.Id, ledger.SavepointCompleted)
		if again := c.savepoint(id, dataflow.Native, "mine"); again.Id != s.Id || !strings.HasSuffix(again.Location, taken.Metadata.Key) {
			t.Fatalf("asked again: %v, want savepoint %d with its location", again, s.Id)
		}
		c.awaitCompleted(id, 8) // beyond what is retained
		record := c.record(id)
		kept := record.Catalog.Record(taken.ID)
		if kept == nil || kept.Owed || record.Catalog.Newest().ID == taken.ID || len(record.Catalog.Records()) > 4 {
			t.Fatalf("record %+v of %d", kept, len(record.Catalog.Records()))
		}
		for _, a := range agents {
			if n := c.ordered(0, func(o order) bool {
				return o.to == a.id && o.m.GetOutcome().GetCheckpoint() == s.Id && o.m.GetOutcome().GetKind() != wire.OutcomeKind_OUTCOME_KIND_SAVEPOINT
			}); n > 0 {
				t.Fatalf("%s was told to commit up to a savepoint", a.id)
			}
		}
		if _, err := c.api().DisposeSavepoint(t.Context(), &wire.DisposeSavepointRequest{Job: string(id), Savepoint: s.Id}); err != nil {
			t.Fatal(err)
		}
		if record := c.record(id); record.Savepoint(taken.ID) != nil || record.Catalog.Record(taken.ID) != nil {
			t.Fatalf("disposed of, and still there: %+v", record.Savepoints)
		}
		if _, err := c.api().DisposeSavepoint(t.Context(), &wire.DisposeSavepointRequest{Job: string(id), Savepoint: s.Id}); err == nil {
			t.Fatal("disposed of twice")
		}
	})
}

// TestCanonicalSavepoint: a worker that can not write it is tried again in another
// folder, one that dies is replaced, and nothing of the failures stays.
func TestCanonicalSavepoint(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		agents := c.startAgents(3, 1) // the job takes two of them
		for _, a := range agents {
			a.set(func() { a.failWrites = 1 })
		}
		id := c.running()
		s := c.savepoint(id, "", "")
		taken := c.awaitSavepoint(id, s.Id, ledger.SavepointCompleted)
		if taken.Format != dataflow.Canonical || taken.Rows != 3 || taken.Bytes != 7 || !strings.HasSuffix(taken.Location, path.Dir(taken.Metadata.Key)+"/") {
			t.Fatalf("savepoint %+v", taken)
		}
		c.await("its checkpoint to go with the next", func() bool { return c.record(id).Catalog.Record(taken.ID) == nil })
		c.await("the folders that failed to be removed", func() bool { return len(c.folders()) == 2 })

		for _, a := range agents {
			a.set(func() { a.holdWrites = true })
		}
		s = c.savepoint(id, "", "")
		writer := ""
		c.await("a worker to write", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			for _, o := range c.orders {
				if w := o.m.GetWriteSavepoint(); w.GetSavepoint() == s.Id {
					writer = o.to
				}
			}
			return writer != ""
		})
		for _, a := range agents {
			a.set(func() { a.holdWrites = a.id == writer })
			if a.id == writer {
				a.kill()
			}
		}
		c.awaitSavepoint(id, s.Id, ledger.SavepointCompleted)

		if _, err := c.api().DisposeSavepoint(t.Context(), &wire.DisposeSavepointRequest{Job: string(id), Savepoint: uint64(taken.ID)}); err != nil {
			t.Fatal(err)
		}
		c.await("the folder to go", func() bool { return c.record(id).Savepoint(taken.ID) == nil })
		if left := c.folders(); len(left) != 2 {
			t.Fatalf("left: %v", left)
		}
	})
}

// TestSavepointThatCanNotBeWritten fails, and the job does not notice.
func TestSavepointThatCanNotBeWritten(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		for _, a := range c.startAgents(2, 1) {
			a.set(func() { a.failWrites = 100 })
		}
		id := c.running()
		s := c.savepoint(id, dataflow.Canonical, "")
		failed := c.awaitSavepoint(id, s.Id, ledger.SavepointFailed)
		if !strings.Contains(failed.Reason, "disk full") {
			t.Fatalf("reason %q", failed.Reason)
		}
		if record := c.record(id); record.Restarts != 0 || record.Status != ledger.Running {
			t.Fatalf("%s after %d restarts", record.Status, record.Restarts)
		}
		c.await("the folders to go", func() bool { return len(c.folders()) == 0 })

		stopped := c.stopJob(id, dataflow.Canonical, false)
		c.awaitStatus(id, ledger.Finished)
		native := c.awaitSavepoint(id, stopped.Id, ledger.SavepointCompleted)
		if native.Format != dataflow.Native || native.Reason == "" || c.record(id).Catalog.Record(native.ID) == nil {
			t.Fatalf("a job that ended lost what it can start from: %+v", native)
		}
	})
}

// TestStopWithSavepoint: the savepoint's completion ends the job, its sinks have
// committed up to it, and it is written although the job has ended.
func TestStopWithSavepoint(t *testing.T) {
	for _, cancel := range []bool{false, true} {
		t.Run(fmt.Sprintf("cancel=%t", cancel), func(t *testing.T) {
			inBubble(t, func(t *testing.T, c *cluster) {
				agents := c.startAgents(2, 1)
				for _, a := range agents {
					a.set(func() { a.holdWrites = true })
				}
				id := c.running()
				s := c.stopJob(id, dataflow.Canonical, cancel)
				ended := ledger.Finished
				if cancel {
					ended = ledger.Cancelled
				}
				record := c.awaitStatus(id, ended)
				if uint64(record.Committed) != s.Id || record.Catalog.Owed() != nil {
					t.Fatalf("committed up to %d, want savepoint %d", record.Committed, s.Id)
				}
				if record.Savepoint(dataflow.CheckpointID(s.Id)).Status != ledger.SavepointWriting {
					t.Fatal("nobody holds the writer back")
				}
				for _, a := range agents {
					a.set(func() { a.holdWrites = false })
				}
				c.killLeader() // the next one orders it anew
				c.awaitSavepoint(id, s.Id, ledger.SavepointCompleted)
			})
		})
	}
}

// TestStopThatFails leaves the job running, its sources too, also if the leader
// dies before it can tell them.
func TestStopThatFails(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		agents := c.startAgents(2, 1)
		id := c.running(func(o *dataflow.Options) { o.CheckpointInterval = time.Hour })
		for _, a := range agents {
			a.set(func() { a.store = true })
		}
		s := c.stopJob(id, dataflow.Native, false)
		c.awaitSavepoint(id, s.Id, ledger.SavepointFailed)
		goesOn := func() {
			t.Helper()
			c.awaitHeld(agents, id, false)
			if record := c.record(id); record.Status != ledger.Running || record.Restarts != 0 || record.CheckpointFails != 0 {
				t.Fatalf("%s after %d restarts", record.Status, record.Restarts)
			}
		}
		goesOn()

		for _, a := range agents {
			a.set(func() { a.store, a.holdAcks = false, true })
		}
		s = c.stopJob(id, dataflow.Native, false)
		_, l := c.leader()
		_, err := l.commit(t.Context(), &ledger.AbortCheckpoint{
			Header: l.header(""), Job: id, Attempt: attemptOf(c.record(id)), ID: dataflow.CheckpointID(s.Id), Reason: "a leader that dies",
		})
		if err != nil {
			t.Fatal(err)
		}
		c.killLeader()
		goesOn()
	})
}

// awaitHeld waits until the sources of all processes wait for an outcome, or read on.
func (c *cluster) awaitHeld(agents []*agent, id dataflow.JobID, held bool) {
	c.t.Helper()
	c.await(fmt.Sprintf("sources held: %t", held), func() bool {
		for _, a := range agents {
			a.mu.Lock()
			p := a.processes[string(id)]
			other := p == nil || (p.held != 0) != held
			a.mu.Unlock()
			if other {
				return false
			}
		}
		return true
	})
}

func TestPeriodicSavepoints(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.startAgents(2, 1)
		id := c.running(func(o *dataflow.Options) {
			o.Checkpoint.SavepointInterval, o.Checkpoint.SavepointRetained = 10*time.Second, 2
		})
		mine := c.savepoint(id, dataflow.Native, "")
		c.await("the fourth automatic savepoint", func() bool {
			last := c.record(id).Savepoints
			return len(last) > 0 && last[len(last)-1].Trigger == ledger.SavepointPeriodic && time.UnixMilli(last[len(last)-1].BegunAt).Sub(time.UnixMilli(c.record(id).SubmittedAt)) > 40*time.Second
		})
		c.await("the oldest to go", func() bool { return len(c.record(id).Savepoints) == 3 && len(c.folders()) == 4 })
		if c.record(id).Savepoint(dataflow.CheckpointID(mine.Id)) == nil {
			t.Fatal("a savepoint that a person asked for was collected")
		}
	})
}

// TestLeaderDiesAtEachStepOfASavepoint: the next one completes what was begun, or it is
// cleanly absent and the job runs.
func TestLeaderDiesAtEachStepOfASavepoint(t *testing.T) {
	for _, step := range stepsOf(t) {
		for _, how := range []string{"trigger", "stop", "drain", "cancel"} {
			if step == StepSavepointFailed {
				if how == "drain" {
					continue // it fails in one entry with its attempt
				}
				t.Run(step+" of "+how, func(t *testing.T) { dieAsItFails(t, how) })
				continue
			}
			t.Run(step+" of "+how, func(t *testing.T) { dieAt(t, step, how) })
		}
	}
}

func dieAt(t *testing.T, step, how string) {
	striking(t, step, func(t *testing.T, c *cluster, s *strike) {
		c.storing(c.startAgents(2, 1))
		id := c.running()
		s.arm(c)
		c.takeAndDispose(id, how)
		if strings.HasPrefix(step, "savepoint: ") || how == "cancel" { // others have no commits that a worker finishes
			s.await(c)
		}
		record := c.record(id)
		c.await("everything to be done with", func() bool {
			record = c.record(id)
			return len(record.Savepoints) == 0 && len(c.folders()) == 0 && len(record.Pending) <= 1
		})
		if how == "trigger" && (record.Status != ledger.Running || record.Restarts != 0) {
			t.Fatalf("the job is %s after %d restarts", record.Status, record.Restarts)
		}
		if how != "trigger" {
			c.awaitStatus(id, statusAfter[how])
		}
		c.await("its record to go", func() bool {
			for _, r := range c.record(id).Catalog.Records() {
				if r.Savepoint {
					return false
				}
			}
			return true
		})
	})
}

// dieAsItFails: no process can write, and the leader dies before it tells them that all is
// off: their sources read on all the same, and the next savepoint succeeds.
func dieAsItFails(t *testing.T, how string) {
	striking(t, StepSavepointFailed, func(t *testing.T, c *cluster, s *strike) {
		agents := c.startAgents(2, 1)
		c.storing(agents)
		id := c.running(func(o *dataflow.Options) { o.CheckpointInterval = time.Hour })
		c.write(agents, false)
		s.arm(c)
		begun := c.beginSavepoint(id, how, "fails")
		s.await(c)
		c.awaitSavepoint(id, begun, ledger.SavepointFailed)
		c.awaitGoesOn(agents, id, how)
		c.write(agents, true)
		begun = c.beginSavepoint(id, how, "succeeds")
		c.awaitSavepoint(id, begun, ledger.SavepointCompleted)
		c.awaitStatus(id, statusAfter[how])
	})
}

// write has the processes' writes succeed or fail.
func (c *cluster) write(agents []*agent, works bool) {
	for _, a := range agents {
		a.set(func() { a.store = !works })
	}
}

// awaitGoesOn waits until a job runs on whose savepoint failed: a drained one, whose sources
// have said that all is over, from its last checkpoint.
func (c *cluster) awaitGoesOn(agents []*agent, id dataflow.JobID, how string) {
	c.t.Helper()
	restarts := map[string]int{"drain": 1}[how]
	c.await("the job to go on", func() bool { return c.record(id).Restarts == restarts && c.record(id).Status == ledger.Running })
	c.awaitHeld(agents, id, false)
	if record := c.record(id); record.Status != ledger.Running || record.Restarts != restarts || record.Committed != 0 || len(record.Pending) != 0 {
		c.t.Fatalf("%s after %d restarts, committed up to %d, pending %v", record.Status, record.Restarts, record.Committed, record.Pending)
	}
}

// statusAfter is how a job stands after a savepoint that was asked for so.
var statusAfter = map[string]ledger.Status{
	"trigger": ledger.Running, "stop": ledger.Finished, "drain": ledger.Finished, "cancel": ledger.Cancelled,
}

// takeAndDispose takes a canonical savepoint and disposes of it, asking until it is
// done: calls fail while nobody leads.
func (c *cluster) takeAndDispose(id dataflow.JobID, how string) {
	s := c.beginSavepoint(id, how, "the only one")
	c.awaitSavepoint(id, s, ledger.SavepointCompleted)
	if n := len(c.record(id).Savepoints); n != 1 {
		c.t.Errorf("%d savepoints, want one", n)
	}
	c.await("the savepoint to go", func() bool {
		_, err := c.api().DisposeSavepoint(c.t.Context(), &wire.DisposeSavepointRequest{Job: string(id), Savepoint: s})
		return err == nil || c.record(id).Savepoint(dataflow.CheckpointID(s)) == nil
	})
}

// beginSavepoint begins a canonical one, under whichever leader.
func (c *cluster) beginSavepoint(id dataflow.JobID, how, key string) uint64 {
	c.t.Helper()
	request := &wire.SavepointRequest{Format: dataflow.Canonical, Key: key}
	var s *wire.Savepoint
	c.await("the savepoint to begin", func() bool {
		if how == "trigger" {
			r, err := c.api().TriggerSavepoint(c.t.Context(), &wire.TriggerSavepointRequest{Job: string(id), Savepoint: request})
			s = r.GetSavepoint()
			return err == nil
		}
		r, err := c.api().StopJob(c.t.Context(), &wire.StopJobRequest{Job: string(id), Savepoint: request, Drain: how == "drain", Cancel: how == "cancel"})
		s = r.GetSavepoint()
		return err == nil
	})
	return s.Id
}
