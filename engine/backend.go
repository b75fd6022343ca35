package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/state/changelog"
	"github.com/cairnstream/cairn/state/lsm"
	"github.com/cairnstream/cairn/state/memory"
)

// backend opens the stores of a process's share of an attempt, and closes
// those that nobody else has.
type backend struct {
	kind   string
	dir    string // of lsm's databases
	temp   bool   // dir goes with the attempt
	shared *lsm.Shared
	bytes  int64 // memory for each store
	stores []*keyedStore
}

// cacheShare is the part of StateOptions.MemoryBytes that goes to the cache of
// blocks, which all stores share. The others have a share each of the rest: an
// entry there is found without Pebble, and several times faster.
const cacheShare = 4

// storeBytesMin is the least that a store of lsm works with: a process with very
// many of them takes more than was asked for.
const storeBytesMin = 4 << 20

// newBackend prepares the backend for a number of stores. localDir may be empty.
func newBackend(o dataflow.StateOptions, localDir string, stores int) (*backend, error) {
	b := &backend{kind: o.Backend}
	switch o.Backend {
	case dataflow.BackendMemory, "":
		b.kind = dataflow.BackendMemory
		return b, nil
	case dataflow.BackendLSM:
	default:
		return nil, fmt.Errorf("state backend %q is unknown: choose %q or %q", o.Backend, dataflow.BackendMemory, dataflow.BackendLSM)
	}
	if stores == 0 {
		return b, nil
	}
	cache := o.MemoryBytes / cacheShare
	b.bytes = max((o.MemoryBytes-cache)/int64(stores), storeBytesMin)
	if err := b.makeDir(localDir); err != nil {
		return nil, fmt.Errorf("folder for state: %w", err)
	}
	b.shared = lsm.NewShared(cache)
	return b, nil
}

// makeDir makes the databases' folder and removes what an attempt that was killed
// has left there, but for the files that a restore may want.
func (b *backend) makeDir(localDir string) (err error) {
	if localDir == "" {
		b.temp = true
		b.dir, err = os.MkdirTemp("", "cairn-state-*")
		return err
	}
	b.dir = filepath.Join(localDir, "lsm")
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return err
	}
	left, err := os.ReadDir(b.dir)
	for _, f := range left {
		if f.Name() != "files" {
			err = errors.Join(err, os.RemoveAll(filepath.Join(b.dir, f.Name())))
		}
	}
	return err
}

// open opens a store for key groups lo to hi. name tells it from the others here.
func (b *backend) open(name string, lo, hi int, log *changelog.Log) (s *keyedStore, err error) {
	s = &keyedStore{backend: b.kind}
	recording := recordingLog{log, s}
	if b.kind == dataflow.BackendLSM {
		s.loader, err = lsm.Open(lsm.Config{
			GroupLo: lo, GroupHi: hi, Log: recording, Dir: filepath.Join(b.dir, name), MemoryBytes: b.bytes, Shared: b.shared,
		})
	} else {
		s.loader, err = memory.Open(memory.Config{GroupLo: lo, GroupHi: hi, Log: recording})
	}
	if err != nil {
		return nil, err
	}
	s.Store = s.loader
	b.stores = append(b.stores, s)
	return s, nil
}

// close closes the stores that are still open, and what they share.
func (b *backend) close() error {
	var errs []error
	for _, s := range b.stores {
		errs = append(errs, s.Close())
	}
	if b.shared != nil {
		b.shared.Close()
		b.shared = nil
	}
	if b.temp {
		errs = append(errs, os.RemoveAll(b.dir))
	}
	return errors.Join(errs...)
}
