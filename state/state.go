// Package state is keyed state, operator state and timers, by key group: the
// contract between the engine and the backends.
//
// A Store holds the keyed state of one operator in one subtask, as bytes; the
// typed handles (Value, Map, Timers) sit on top of it. Every change goes
// through the changelog as it happens, deduplicated by key per batch, so that a
// barrier finds nothing left to write.
package state

import (
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

// Handle numbers a named state within a Store.
type Handle uint16

// Store is the keyed state of one operator in one subtask. One goroutine uses
// it. An entry is found by (state, key, sub-key): a value state has an empty
// sub-key, a map state uses the user's key, timers and windows their own.
type Store interface {
	// Register names a state. The same name always gets the same handle, also
	// after a restore; another schema than the stored one is an error that
	// names both.
	Register(name, kind, schema string) (Handle, error)
	// SetKey chooses the key that the following calls are about. group is
	// dataflow.KeyGroup of its hash. The store may keep key until the next SetKey.
	SetKey(group int, key []byte)
	// Key returns what SetKey set.
	Key() (group int, key []byte)
	// Get returns the entry's value; the slice is valid until the next change.
	Get(h Handle, sub []byte) (value []byte, ok bool)
	Put(h Handle, sub, value []byte)
	Delete(h Handle, sub []byte)
	// Scan calls f for the current key's entries of a state, in ascending order of
	// sub-key, until it returns false. f must not change the store.
	Scan(h Handle, f func(sub, value []byte) bool)
	// ScanAll calls f for all entries of a state, in no particular order.
	ScanAll(h Handle, f func(group int, key, sub, value []byte) bool)
	// EndBatch appends the batch's changes, one per changed entry, to the changelog.
	EndBatch()
	// Cut marks the position of a barrier; the changelog makes everything up
	// to it durable. It does no I/O. Callers have called EndBatch.
	Cut(id dataflow.CheckpointID) Cut
	// Size is the number of live entries and their bytes.
	Size() (entries, bytes int64)
	Close() error
}

// Cut is a store's position at a barrier.
type Cut struct {
	Position uint64
	Entries  int64
	Bytes    int64
}

// Sealed is what the changelog gives back for a cut once it is durable.
type Sealed = snapshot.Keyed
