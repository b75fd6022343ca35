// Package local runs a job in one process, without a cluster: what `go run` of
// a job's program does.
//
// It is a controller of one: package coordinator decides when a checkpoint
// starts and what completes it, package checkpointstore keeps it, and package
// engine runs the subtasks. What Raft is in a cluster, the file "latest" in the
// job's folder is here: it is replaced as a whole, by rename, and only what it
// names is complete.
//
//	<dir>/latest      the ledger: job, attempt, last checkpoint id, catalog
//	<dir>/lock        held by the process that runs the job
//	<dir>/bucket/     state, metadata objects
//
// What a crash leaves: before the rename, objects that no catalog names, which
// the next start deletes; after it, sink commits that the next start repeats.
// An interrupted job goes on from its newest checkpoint; a finished one starts
// over, as another job.
package local
