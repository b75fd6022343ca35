// Package changelog makes a process's state durable: it takes the changes of
// all its stores as they happen, packs them into few objects, and gives each
// checkpoint a handle from which the state can be read back.
//
// An engine uses it like this, once per attempt and process:
//
//	u, err := changelog.New(changelog.Config{Bucket: b, Prefix: prefix, LocalDir: dir, Log: slog})
//	go u.Run(ctx)                                      // in the attempt's errgroup
//
//	log, err := u.Log("2/0/airports", lo, hi)          // per subtask and operator
//	store, err := memory.Open(memory.Config{GroupLo: lo, GroupHi: hi, Log: log})
//	restored, err := changelog.RestoreAll(ctx, changelog.RestoreConfig{Bucket: b, Local: copies}, targets)
//	log.Inherit(restored.Inherited[i])                 // before the first change
//	u.InheritSums(process.Objects, process.Sums)       // for each process of the checkpoint
//
//	store.EndBatch()                                   // after every batch, on the subtask's goroutine
//	cut := store.Cut(id)                               // at the barrier, likewise
//
//	seal, err := u.Seal(ctx, id, map[*changelog.Log]state.Cut{log: cut, ...})
//	seal.Keyed[log]                                    // for snapshot.Operator.Keyed
//	seal.Objects, seal.Sums, seal.Released, ...        // for snapshot.Process
//	u.Completed(id)                                    // when Raft has completed the checkpoint
//
// A Seal that fails loses nothing: the next one covers everything up to its own
// cuts. Changes after the last cut are dropped with the attempt.
//
// What happens where:
//
//	subtask     Append keeps the block: no copy, no compression, no I/O      log.go, block.go
//	Run         packs, decides what is sent, sent again, spooled             run.go, pack.go
//	workers     encode, compress, upload; hedge a slow upload                upload.go, hedge.go
//	            write to local disk and read back from it                    spool.go, local.go
//	            write images, beside the log and after it                    image.go
//	            and only when it pays                                        policy.go
//	Seal        waits for what its cuts need, and names it                   seal.go, handle.go
//	restore     plans few large reads, loads image and log by key group      plan.go, restorer.go
//	            changes in batches, into memory that is used again           entries.go, spare.go
//	verify      reads and checks every byte of a checkpoint                  verify.go
//
// The bytes, the invariants and what a crash leaves at each step are described
// in docs/formats/changelog.md.
package changelog
