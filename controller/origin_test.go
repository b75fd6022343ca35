package controller

import (
	"errors"
	"path"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/claim"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/wire"
)

// start submits the cluster's graph from an origin.
func (c *cluster) startFrom(o *wire.Origin, key string) (dataflow.JobID, error) {
	r, err := c.api().SubmitJob(c.t.Context(), &wire.SubmitJobRequest{
		ArtifactSha256: c.sha, Platform: "linux/amd64", Key: key, Origin: o, Options: []byte(`{"checkpoint_interval":1000000000}`),
	})
	return dataflow.JobID(r.GetJob()), err
}

func (c *cluster) child(o *wire.Origin) dataflow.JobID {
	c.t.Helper()
	id, err := c.startFrom(o, freshKey())
	if err != nil {
		c.t.Fatal(err)
	}
	return id
}

func (c *cluster) refusedFrom(o *wire.Origin, code codes.Code, words ...string) {
	c.t.Helper()
	_, err := c.startFrom(o, freshKey())
	if status.Code(err) != code {
		c.t.Fatalf("%v: got %v, want %v", o, err, code)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			c.t.Errorf("%v: %q does not say %q", o, err, w)
		}
	}
}

// deployedFrom is the restore point that the job's latest attempt was deployed with.
func (c *cluster) deployedFrom(id dataflow.JobID) (point *wire.RestorePoint, checkpoint uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range c.orders {
		if d := o.m.GetDeploy(); d.GetJob() == string(id) {
			point, checkpoint = d.Restore, d.RestoreCheckpoint
		}
	}
	return point, checkpoint
}

// TestForkRunsBesideItsParent: the child restores the parent's checkpoint, whose record is
// there for as long as the child names its objects, and has a count of its own.
func TestForkRunsBesideItsParent(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.startAgents(2, 4)
		parent := c.running(func(o *dataflow.Options) { o.Retained = 1 })
		c.awaitCompleted(parent, 3)
		for _, a := range c.agents {
			a.set(func() { a.writer = namesParent(c, a, parent) })
		}
		from := c.record(parent).Catalog.Newest()
		r, err := c.api().ForkJob(t.Context(), &wire.ForkJobRequest{Job: string(parent), Checkpoint: uint64(from.ID), Name: "copy", Key: "k"})
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.api().ForkJob(t.Context(), &wire.ForkJobRequest{Job: string(parent), Checkpoint: uint64(from.ID), Name: "copy", Key: "k"})
		if err != nil || again.Job != r.Job {
			t.Fatalf("repeated: %v, %v, want %s", again, err, r.Job)
		}
		child := dataflow.JobID(r.Job)
		c.awaitCompleted(child, 2)
		point, checkpoint := c.deployedFrom(child)
		if point.GetKey() != from.Metadata.Key || point.Copy || point.OwnTransactions || point.Store != "" || checkpoint != 0 {
			t.Fatalf("deployed from %v, checkpoint %d", point, checkpoint)
		}
		if got := c.record(child); got.Catalog.Newest().ID > 3 || got.Name != "copy" {
			t.Fatalf("%s counts from %d", got.Name, got.Catalog.Newest().ID)
		}
		c.awaitCompleted(parent, 6)
		if c.record(parent).Catalog.Record(from.ID) == nil {
			t.Fatal("the parent dropped what the child's checkpoints name")
		}
		v, err := c.api().GetJob(t.Context(), &wire.GetJobRequest{Job: string(child)})
		if err != nil || !strings.Contains(v.Origin, "of "+string(parent)+", forked (some of its objects") {
			t.Errorf("told as %q, %v", v.GetOrigin(), err)
		}
		for _, a := range c.agents {
			a.set(func() { a.writer = nil })
		}
		c.await("the child to let go", func() bool { return c.record(child).Origin.Released })
		if c.record(parent).Catalog.Record(from.ID) != nil {
			t.Fatal("the parent keeps it for nobody")
		}
	})
}

// namesParent makes parts of children that name the parent's first object too.
func namesParent(c *cluster, a *agent, parent dataflow.JobID) func(*fakeProcess, *wire.Trigger) snapshot.Process {
	named := c.record(parent).Catalog.Newest().Objects
	return func(p *fakeProcess, t *wire.Trigger) snapshot.Process {
		part := a.part(p, t)
		if t.Job != string(parent) {
			part.Objects = append(part.Objects, named...)
		}
		return part
	}
}

// TestStartFromACancelledJob: by job, by job and checkpoint, and by the metadata object's URL.
func TestStartFromACancelledJob(t *testing.T) {
	bucket := mem.Open(t.Name())
	inBubbleOn(t, bucket, func(t *testing.T, c *cluster) {
		_, l := c.leader()
		if err := claim.Claim(t.Context(), bucket, claim.Fingerprint{Cluster: l.cluster()}, claim.Options{}); err != nil {
			t.Fatal(err)
		}
		c.startAgents(2, 4)
		parent := c.running()
		c.awaitCompleted(parent, 4)
		cancelled := c.cancelled(parent)
		newest := cancelled.Catalog.Newest()
		for _, o := range []*wire.Origin{
			{Job: string(parent)},
			{Job: string(parent), Checkpoint: uint64(newest.ID)},
			{Path: "mem://" + t.Name() + "/" + newest.Metadata.Key},
		} {
			child := c.child(o)
			c.awaitCompleted(child, 1)
			record := c.record(child)
			if record.Origin.Job != parent || record.Origin.Checkpoint != newest.ID || record.Origin.Copy || !record.Origin.Released {
				t.Fatalf("%v: %+v", o, record.Origin)
			}
			c.cancelled(child)
		}
		c.refusedFrom(&wire.Origin{Job: string(parent), Checkpoint: 77}, codes.NotFound, "no checkpoint 77; it has")
		c.refusedFrom(&wire.Origin{Job: "nobody"}, codes.NotFound, "job nobody")
		c.refusedFrom(&wire.Origin{}, codes.InvalidArgument, "name a job, or the path")
		c.refusedFrom(&wire.Origin{Path: "checkpoints/7"}, codes.InvalidArgument, "want JOB, JOB/CHECKPOINT, or the URL")
		dropped := checkpointstore.MetadataKey(l.cluster(), parent, 1, 1, strings.Repeat("a", 64))
		c.refusedFrom(&wire.Origin{Path: "mem://" + t.Name() + "/" + dropped}, codes.NotFound, "it is not there")
		last := c.child(&wire.Origin{Job: string(parent), Claim: true})
		c.awaitCompleted(last, 1)
		if c.record(parent).Catalog.Record(newest.ID) != nil {
			t.Fatal("the claimed checkpoint went with the hold")
		}
	})
}

// TestClaimOfWhatIsNotOnesOwn: a running job's checkpoint and another cluster's.
func TestClaimOfWhatIsNotOnesOwn(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.startAgents(2, 4)
		parent := c.running()
		c.awaitCompleted(parent, 1)
		c.refusedFrom(&wire.Origin{Job: string(parent), Claim: true}, codes.FailedPrecondition, "cancel it first, or leave out --claim")

		other := mem.Open(t.Name())
		store := checkpointstore.New(other, "elsewhere")
		object, err := store.Write(t.Context(), &checkpointstore.Metadata{
			Job: "theirs", Attempt: 1, Checkpoint: 9, Graph: []byte("{}"), KeyGroups: 16,
		}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := claim.Claim(t.Context(), other, claim.Fingerprint{Cluster: "elsewhere"}, claim.Options{}); err != nil {
			t.Fatal(err)
		}
		at := "mem://" + t.Name() + "/" + object.Key
		c.refusedFrom(&wire.Origin{Path: at, Claim: true}, codes.FailedPrecondition, "belongs to cluster elsewhere", `"released": true`)
		child := c.child(&wire.Origin{Path: at})
		c.awaitCompleted(child, 1)
		point, _ := c.deployedFrom(child)
		if !point.GetCopy() || point.OwnTransactions || point.Store != "mem://"+t.Name() || point.Key != object.Key {
			t.Fatalf("deployed from %v", point)
		}
		if r := c.record(child); r.Origin.Job != "" || !r.Origin.Released {
			t.Fatalf("%+v", r.Origin)
		}
	})
}

// TestLeaderDiesAtEachStepOfAClaim: a canonical savepoint that nobody's catalog has is
// restored, claimed, and deleted after the first completion, whichever leader does it.
func TestLeaderDiesAtEachStepOfAClaim(t *testing.T) {
	for _, step := range stepsOf(t) {
		t.Run(step, func(t *testing.T) { claimAndDieAt(t, step) })
	}
}

func claimAndDieAt(t *testing.T, step string) {
	striking(t, step, func(t *testing.T, c *cluster, s *strike) {
		c.storing(c.startAgents(2, 4))
		c.announceAll()
		other, folder := mem.Open("claimed"), "backups/seven"
		c.putFolder(other, folder)
		s.arm(c)
		child := c.submitted(&wire.Origin{Path: "mem://claimed/" + folder, Claim: true})
		s.await(c)
		c.awaitCompleted(child, 2)
		c.await("the folder to be let go", func() bool {
			o := c.record(child).Origin
			return o.Released && o.Release == ""
		})
		if _, err := other.Get(t.Context(), path.Join(folder, checkpointstore.SavepointMetadata), 0, -1); !errors.Is(err, objectstore.ErrNotFound) {
			t.Errorf("the claimed folder is still there: %v", err)
		}
		if jobs := c.jobs(); !slices.Equal(jobs, []dataflow.JobID{child}) {
			t.Errorf("jobs %v, want %s alone", jobs, child)
		}
	})
}

// submitted is a job that was submitted from an origin, under whichever leader.
func (c *cluster) submitted(o *wire.Origin) (child dataflow.JobID) {
	c.t.Helper()
	key := freshKey()
	c.await("the submit to be taken", func() (ok bool) {
		var err error
		child, err = c.startFrom(o, key)
		return err == nil
	})
	return child
}

// putFolder writes a canonical savepoint of a cluster that is gone.
func (c *cluster) putFolder(b objectstore.Bucket, folder string) {
	c.t.Helper()
	data := c.folderMetadata("theirs", 7)
	if err := b.Put(c.t.Context(), path.Join(folder, checkpointstore.SavepointMetadata), data, objectstore.PutOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) jobs() []dataflow.JobID {
	_, l := c.leader()
	var ids []dataflow.JobID
	for _, r := range l.records() {
		ids = append(ids, r.ID)
	}
	return ids
}

func (c *cluster) cancelled(id dataflow.JobID) *ledger.Job {
	c.t.Helper()
	if _, err := c.api().CancelJob(c.t.Context(), &wire.CancelJobRequest{Job: string(id)}); err != nil {
		c.t.Fatal(err)
	}
	return c.awaitStatus(id, ledger.Cancelled)
}
