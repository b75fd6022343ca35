// Package changelog makes a process's state durable: it takes the changes of
// all its stores as they happen, packs them into few objects, and gives each
// checkpoint a handle from which the state can be read back.
//
// An engine uses it like this, once per attempt and process:
//
//	u, err := changelog.New(changelog.Config{Bucket: b, Prefix: prefix, Log: slog})
//	go u.Run(ctx)                                      // in the attempt's errgroup
//
//	log, err := u.Log("2/0/airports", lo, hi)          // per subtask and operator
//	store, err := memory.Open(memory.Config{GroupLo: lo, GroupHi: hi, Log: log})
//	inherited, err := changelog.Restore(ctx, b, handles, lo, hi, store, progress)
//	log.Inherit(inherited)                             // before the first change
//
//	store.EndBatch()                                   // after every batch, on the subtask's goroutine
//	cut := store.Cut(id)                               // at the barrier, likewise
//
//	seal, err := u.Seal(ctx, id, map[*changelog.Log]state.Cut{log: cut, ...})
//	seal.Keyed[log]                                    // for snapshot.Operator.Keyed
//	seal.Objects, seal.Released, seal.Bytes, seal.Puts // for snapshot.Process
//	u.Completed(id)                                    // when Raft has completed the checkpoint
//
// A Seal that fails loses nothing: the next one covers everything up to its own
// cuts. Changes after the last cut are dropped with the attempt.
//
// The bytes, the invariants and what a crash leaves at each step are described
// in docs/formats/changelog.md.
package changelog
