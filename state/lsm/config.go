package lsm

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/cairnstream/cairn/state"
)

// Config is what a Store needs.
type Config struct {
	// GroupLo and GroupHi are the first and the last key group that the store
	// holds.
	GroupLo, GroupHi int
	// Log takes the changes; nil keeps them in the store only.
	Log state.Log
	// Dir is the store's own folder. Open empties it, Close removes it. Its parent
	// is shared by the stores of one process and nobody else: copies of image files
	// stay there, in files/, for a later attempt on this machine.
	Dir string
	// MemoryBytes bounds the memory that this store takes: cache, its index, and
	// Pebble's memtables. Default DefaultMemoryBytes.
	MemoryBytes int64
	// Shared is what the stores of a process share. Default: a Shared of its own
	// with a quarter of MemoryBytes.
	Shared *Shared

	fileBytes int64 // the size of files, for tests
}

const (
	// DefaultMemoryBytes of one store.
	DefaultMemoryBytes = 64 << 20
	// memoryMin is below what Pebble takes for itself.
	memoryMin = 4 << 20
)

func (c Config) validate() error {
	var errs []error
	if c.GroupLo < 0 || c.GroupHi < c.GroupLo || c.GroupHi >= 1<<16 {
		errs = append(errs, fmt.Errorf("key groups %d to %d: use 0 to %d", c.GroupLo, c.GroupHi, 1<<16-1))
	}
	if c.Dir == "" {
		errs = append(errs, errors.New("no folder given: set Dir"))
	}
	if c.MemoryBytes != 0 && c.MemoryBytes < memoryMin {
		errs = append(errs, fmt.Errorf("%d bytes of memory: use at least %d for a store", c.MemoryBytes, memoryMin))
	}
	return errors.Join(errs...)
}

// memtable is the size of one memtable: together they take about a fifth of the
// store's memory.
func (c Config) memtable() int {
	return int(min(max(c.MemoryBytes/16, memtableMin), memtableMax))
}

// cacheBytes is what is left for the tables.
func (c Config) cacheBytes() int64 { return c.MemoryBytes - memtables*int64(c.memtable()) }

// openFiles is how many files the stores of a process keep open at once.
const openFiles = 1000

// Shared is what the stores of one process have in common: blocks of files in
// memory, open files, and knowledge of the copies in files/. Its methods are safe
// for use by several stores.
type Shared struct {
	blocks *pebble.Cache
	files  *pebble.FileCache

	mu     sync.Mutex
	copies map[string]map[string]int // by folder: name to how many images name it
}

// NewShared makes what the stores of a process share. blockBytes bounds the memory
// for blocks of files.
func NewShared(blockBytes int64) *Shared {
	return &Shared{
		blocks: pebble.NewCache(blockBytes),
		files:  pebble.NewFileCache(4, openFiles),
		copies: map[string]map[string]int{},
	}
}

// Close frees the memory once the last store is closed too.
func (s *Shared) Close() {
	s.files.Unref()
	s.blocks.Unref()
}
