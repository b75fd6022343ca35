package ledger

import (
	"path"
	"slices"
	"strings"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
)

// Origin is what a job starts from instead of the beginning: its attempts restore
// it until the job has a checkpoint of its own. Docs: design 0012.
//
// By reference, which is within this cluster's catalogs, the parent's record is held
// as "job:<child>" from the entry that submits the job on, and the child's records
// may name the parent's objects. The hold ends with the entry after which no record
// of the child names one and the child has a record of its own, or has ended. Any
// other origin is copied: the child's records name none of its objects.
type Origin struct {
	// Job is the parent; empty for what belongs to no job of this cluster.
	Job dataflow.JobID `cbor:"1,keyasint,omitempty"`
	// Checkpoint is the parent's, or what the metadata object says.
	Checkpoint dataflow.CheckpointID `cbor:"2,keyasint"`
	Store      string                `cbor:"3,keyasint,omitempty"` // URL of the bucket; empty: the cluster's own
	Object     catalog.Object        `cbor:"4,keyasint"`           // the metadata object
	// Claim makes the child the owner: what the origin is goes when the child
	// needs it no more.
	Claim            bool `cbor:"5,keyasint,omitempty"`
	AllowNonRestored bool `cbor:"6,keyasint,omitempty"` // state that the program does not have is dropped
	Fork             bool `cbor:"7,keyasint,omitempty"` // it came by "job fork", for people
	// Copy: the child's checkpoints name no object of the origin.
	Copy bool `cbor:"8,keyasint,omitempty"`
	// Own is what the names of the child's own objects begin with.
	Own  string `cbor:"9,keyasint"`
	Path string `cbor:"10,keyasint,omitempty"` // as the caller gave it, for people
	// OwnTransactions: what the origin lists as prepared, the child commits.
	OwnTransactions bool `cbor:"11,keyasint,omitempty"`
	// Savepoint is the format, if the origin is one; see dataflow.Canonical.
	Savepoint string `cbor:"12,keyasint,omitempty"`

	// Released: nothing of the origin is needed any more.
	Released bool `cbor:"13,keyasint,omitempty"`
	// Release is what of a claimed origin is still to be deleted: the key of its
	// metadata object, or of its folder, which ends in '/'. Empty: nothing.
	Release string `cbor:"14,keyasint,omitempty"`
}

// ByReference tells whether the child's records may name the parent's objects.
func (o *Origin) ByReference() bool { return o != nil && o.Job != "" && !o.Copy }

// names tells whether the origin is the checkpoint or savepoint of that job.
func (o *Origin) names(job dataflow.JobID, id dataflow.CheckpointID) bool {
	return o != nil && o.Job == job && o.Checkpoint == id
}

// due is what is to be deleted of a claimed origin that is needed no more and that
// no catalog deletes by itself.
func (o *Origin) due() string {
	switch {
	case !o.Claim || o.Savepoint == "":
		return ""
	case o.Savepoint == dataflow.Canonical:
		return path.Dir(o.Object.Key) + "/"
	}
	return o.Object.Key
}

// Restoring tells whether the job's attempts begin at its origin: it has no
// checkpoint of its own yet.
func (j *Job) Restoring() bool {
	return j.Origin != nil && !j.Status.Terminal() && j.Catalog.Newest() == nil
}

// needsOrigin tells whether anything of the origin may still be read.
func (j *Job) needsOrigin() bool { return j.Restoring() || j.Catalog.RefersToForeign() }

// jobHold begins the name of a child's hold on its parent's record.
const jobHold = "job:"

func holdOfJob(id dataflow.JobID) string { return jobHold + string(id) }

// HoldingJobs are the jobs that started from the record and still need it, sorted.
func HoldingJobs(r *catalog.Record) []dataflow.JobID {
	var jobs []dataflow.JobID
	for who := range r.Holds {
		if id, ok := strings.CutPrefix(who, jobHold); ok {
			jobs = append(jobs, dataflow.JobID(id))
		}
	}
	slices.Sort(jobs)
	return jobs
}

// savepointStands tells whether the job has a savepoint to start from. One that stopped it stays,
// also when its folder can't be written.
func (j *Job) savepointStands() bool {
	return slices.ContainsFunc(j.Savepoints, func(s Savepoint) bool {
		return s.Status == SavepointCompleted || s.Status == SavepointWriting && s.Stop
	})
}

// neededByPath are the jobs that start from this object, which is no job's of this cluster, and
// still need it or are yet to delete it, sorted. The store does not count: one is spelled in
// several ways, and a copy elsewhere is taken for the same rather than deleted under a reader.
func (s *State) neededByPath(o catalog.Object) []dataflow.JobID {
	var jobs []dataflow.JobID
	for _, j := range s.Jobs {
		if f := j.Origin; f != nil && f.Job == "" && f.Object == o && (!f.Released || f.Release != "") {
			jobs = append(jobs, j.ID)
		}
	}
	slices.Sort(jobs)
	return jobs
}

// NeededBy are the jobs that started from this checkpoint or savepoint and still
// need it, sorted: it can't be deleted before they let go.
func (s *State) NeededBy(job dataflow.JobID, id dataflow.CheckpointID) []dataflow.JobID {
	var jobs []dataflow.JobID
	for _, j := range s.Jobs {
		if j.Origin.names(job, id) && !j.Origin.Released {
			jobs = append(jobs, j.ID)
		}
	}
	slices.Sort(jobs)
	return jobs
}
