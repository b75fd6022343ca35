// Package state is keyed state, operator state and timers, by key group: the
// contract between the engine and the backends.
//
// A Store holds the keyed state of one operator in one subtask, as bytes; the
// typed handles (Value, Map, Timers) sit on top of it. Every change goes
// through the changelog as it happens, deduplicated by key per batch, so that a
// barrier finds nothing left to write.
package state

import (
	"errors"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

var (
	// ErrCorrupt is returned when stored bytes do not decode: they are damaged, or
	// another program wrote them.
	ErrCorrupt = errors.New("state corrupt")
	// ErrIncompatible is returned when a state is registered as something that
	// its stored entries can not become. The message names the field.
	ErrIncompatible = errors.New("state incompatible")
)

// Handle numbers a named state within a Store.
type Handle uint16

// Variable is the size of sub-keys or values that have no fixed size.
const Variable = -1

// Definition says what the entries of a named state are. Name, Kind and Schema
// are stored with the entries; the sizes are not.
type Definition struct {
	// Name is the author's word for the state, unique within its store.
	Name string
	// Kind is what sort of state it is: "value", "map", "list", "timers", ...
	Kind string
	// Schema describes the entries' bytes; see Schema.
	Schema string
	// SubSize and ValueSize are the sizes of all its sub-keys and all its values
	// in bytes, or Variable. A backend may store fixed sizes better.
	SubSize, ValueSize int
	// Lineage is Schema with the former names of renamed fields, for Migration; empty
	// is Schema. TTL is how long entries live after their last use; 0 is for ever.
	// Stamp is the time of that use, in Unix milliseconds, for entries of a time when
	// the state had no TTL. None of the three is stored with the entries.
	Lineage string
	TTL     time.Duration
	Stamp   int64
}

// Store is the keyed state of one operator in one subtask. One goroutine uses
// it. An entry is found by (state, key, sub-key): a value state has an empty
// sub-key, a map state uses the user's key, timers and windows their own.
//
// An error of any method but Register is the end of the attempt: the disk failed,
// or what is on it is damaged. It is kept: EndBatch returns the first one
// again, so that who has no use for an error may leave it to that. The memory
// backend has none.
type Store interface {
	// Register names a state. The same name always gets the same handle, also
	// after a restore. If the stored schema is another one, all entries are
	// converted and count as changed; ErrIncompatible if they can't be.
	Register(d Definition) (Handle, error)
	// SetKey chooses the key that the following calls are about. group is
	// dataflow.KeyGroup of its hash. The store may keep key until the next SetKey.
	SetKey(group int, key []byte)
	// Key returns what SetKey set.
	Key() (group int, key []byte)
	// Get returns the entry's value; the slice is valid until the next call.
	Get(h Handle, sub []byte) (value []byte, ok bool, err error)
	// Put sets the entry's value. value may be what Get returned.
	Put(h Handle, sub, value []byte) error
	// Update is Get and Put in one, for values that change in place: it returns
	// the entry's value, resized to size bytes (new ones are zero), for the caller
	// to overwrite before the next call. existed tells whether there was one.
	Update(h Handle, sub []byte, size int) (value []byte, existed bool, err error)
	// Delete removes an entry, if there is one.
	Delete(h Handle, sub []byte) error
	// Scan calls f for the current key's entries of a state, in ascending order of
	// sub-key, until it returns false. f must not use the store; its slices are
	// valid until it returns.
	Scan(h Handle, f func(sub, value []byte) bool) error
	// ScanAll calls f for all entries of a state, in no particular order, under
	// the rules of Scan.
	ScanAll(h Handle, f func(group int, key, sub, value []byte) bool) error
	// Sweep deletes those of the state's next entries for which expired says so.
	// It looks at about limit of them, in no particular order, going on where the
	// call before stopped, so that calling it for ever visits all for ever.
	// The current key is undefined afterwards.
	Sweep(h Handle, limit int, expired func(value []byte) bool) error
	// EndBatch appends the batch's changes, one per changed entry, to the changelog.
	EndBatch() error
	// Cut marks the position of a barrier; the changelog makes everything up
	// to it durable. It does no I/O. Callers have called EndBatch.
	Cut(id dataflow.CheckpointID) Cut
	// Size is the number of live entries and their bytes, without waiting: see Counter.
	Size() (entries, bytes int64)
	Close() error
}

// Prefetcher is a Store in which a miss is dear. Callers who know the entries
// of a whole batch tell it of them first; using others stays allowed.
type Prefetcher interface {
	Store
	// Ahead reports whether it pays to call Prefetch now. A small state has no misses.
	Ahead() bool
	// Prefetch reads what it does not have at hand of the entries, all together. The
	// current key is undefined afterwards.
	Prefetch(wanted []Wanted) error
}

// Counter is a store whose Size, for a while after a restore, is an estimate.
type Counter interface {
	// Count waits until what a restore has loaded is counted, which takes as long as
	// reading all of it. From then on Size is exact.
	Count() error
}

// Wanted is an entry that is about to be used.
type Wanted struct {
	Handle Handle
	Group  int
	Key    []byte
	Sub    []byte
}

// Cut is a store's position at a barrier.
type Cut struct {
	Position uint64
	Entries  int64
	Bytes    int64
	// Estimated says that Entries and Bytes are not exact: what a restore has loaded
	// is still being counted.
	Estimated bool
}

// Sealed is what the changelog gives back for a cut once it is durable.
type Sealed = snapshot.Keyed
