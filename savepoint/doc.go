// Package savepoint writes a completed checkpoint as a canonical savepoint, and opens one
// to restore from: a folder of Parquet files and a metadata object that any tool can read,
// that depends on no backend, and that may be moved as a whole.
//
//	written, err := savepoint.Write(ctx, savepoint.WriteConfig{
//		Bucket: bucket, Metadata: m, To: other, Folder: "backups/2024/"})
//	m, err := savepoint.Open(ctx, other, "backups/2024/")
//	engine.Restore{Processes: m.Processes, Bucket: other, Prefix: "backups/2024/", ...}
//
// It is written beside the job: each part of the checkpoint is restored into a scratch store, in
// memory or on local disk as its size demands, read in order of key groups, and written as
// files of some mebibytes. Memory is bounded, see WriteConfig.MemoryBytes.
//
//	write.go    the folder, and _metadata last
//	keyed.go    one part of an operator's keyed state into files
//	scan.go     a scratch store's entries, by key groups
//	items.go    operator state into files
//	names.go    files' names
//	open.go     reading it
//	rowfile/    one file
//
// The folder, its columns, and what a crash leaves are described in
// docs/formats/savepoint.md.
package savepoint
