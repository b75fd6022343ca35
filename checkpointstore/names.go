package checkpointstore

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

// The names of what a cluster keeps in its bucket. All begin with the cluster,
// so that objects of another incarnation of it can never be taken for its own.
//
//	<cluster>/artifacts/<sha256>
//	<cluster>/jobs/<job>/metadata/<checkpoint>-t<term>-<first 16 of sha256>
//	<cluster>/jobs/<job>/<attempt>/<process>/<number>.<try>
//	<cluster>/savepoints/<job>/<checkpoint>-<try>/         a canonical savepoint's folder

// shaInName is how much of a SHA-256 is in a metadata object's name: enough
// that two contents never meet in one name by accident.
const shaInName = 16

// JobPrefix begins the names of all objects that a job writes but for savepoints.
func JobPrefix(cluster string, job dataflow.JobID) string {
	return fmt.Sprintf("%s/jobs/%s/", cluster, job)
}

// MetadataPrefix begins the names of all metadata objects of a job.
func MetadataPrefix(cluster string, job dataflow.JobID) string {
	return fmt.Sprintf("%s/jobs/%s/metadata/", cluster, job)
}

// MetadataKey names the metadata object with this content (sha256 of the whole
// object, hexadecimal). Term and hash are in it, so two leaders never write
// different bytes to one name.
func MetadataKey(cluster string, job dataflow.JobID, checkpoint dataflow.CheckpointID, term dataflow.Term, sha256 string) string {
	return fmt.Sprintf("%s%012d-t%d-%.*s", MetadataPrefix(cluster, job), checkpoint, term, shaInName, sha256)
}

// MetadataID is the checkpoint of the metadata object with this name; false if
// it is no such name.
func MetadataID(key string) (dataflow.CheckpointID, bool) {
	id, _, ok := strings.Cut(path.Base(key), "-t")
	n, err := strconv.ParseUint(id, 10, 64)
	return dataflow.CheckpointID(n), ok && err == nil
}

// SavepointMetadata is the name of a canonical savepoint's metadata object in its
// folder. It is written last: a folder without it is none.
const SavepointMetadata = "_metadata"

// SavepointFolder names a folder for one try to write a canonical savepoint in the
// cluster's own bucket.
func SavepointFolder(cluster string, job dataflow.JobID, checkpoint dataflow.CheckpointID, try string) string {
	return SavepointTries(cluster, job, checkpoint) + try + "/"
}

// SavepointTries begins the names of all SavepointFolders of one savepoint.
func SavepointTries(cluster string, job dataflow.JobID, checkpoint dataflow.CheckpointID) string {
	return fmt.Sprintf("%s/savepoints/%s/%012d-", cluster, job, checkpoint)
}

// ArtifactKey names a job's executable.
func ArtifactKey(cluster, sha256 string) string {
	return fmt.Sprintf("%s/artifacts/%s", cluster, sha256)
}

// RunPrefix is the snapshot.Run prefix of the objects that one task process
// writes in one attempt.
func RunPrefix(cluster string, job dataflow.JobID, attempt dataflow.Attempt, process dataflow.Incarnation) string {
	return fmt.Sprintf("%s/jobs/%s/%d/%s/", cluster, job, attempt, process)
}

// ObjectKey names the object of run with number n, first try.
func ObjectKey(run snapshot.Run, n uint64) string {
	return fmt.Sprintf("%s%012d.0", run.Prefix, n)
}

// InRun tells whether key names an object of run.
func InRun(run snapshot.Run, key string) bool {
	number, ok := strings.CutPrefix(key, run.Prefix)
	if !ok {
		return false
	}
	number, _, _ = strings.Cut(number, ".")
	n, err := strconv.ParseUint(number, 10, 64)
	return err == nil && run.Lo <= n && n <= run.Hi
}
