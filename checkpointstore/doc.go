// Package checkpointstore is the bucket's side of checkpoints: the metadata
// object of a completed checkpoint, job artifacts under their SHA-256, and the
// deletion of what the catalog calls garbage. The pure value that decides what
// exists, what it refers to and what is garbage is in checkpointstore/catalog;
// nothing here decides anything.
//
// The order of effects is the one of docs/formats/metadata.md: all bytes that a
// metadata object refers to are durable before it is written; it is durable
// before the Raft entry that completes the checkpoint is proposed; an object is
// deleted only after the entry that marks it garbage is committed.
package checkpointstore
