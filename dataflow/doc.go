// Package dataflow is the job as data: operators, edges, partitioning, key
// groups, and the identifiers that every part of Cairn speaks.
//
// It knows nothing of the rest. A Graph is what a job's program prints, what
// the control plane replicates and what a worker's process builds its subtasks
// from; Validate finds every problem of a graph at once, Fingerprint tells two
// graphs apart, and Plan cuts a graph into the vertices (chains of operators)
// that run as subtasks.
package dataflow
