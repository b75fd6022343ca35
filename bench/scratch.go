package bench

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	scratchPrefix = "cairn-bench-"
	scratchLock   = "lock"
)

// scratch is the temporary folder of a run. It may hold gigabytes, and a run that is
// killed leaves it: the next one removes it.
//
// Invariant: the folder's owner holds a lock on the file "lock" in it, which ends
// with the process. A folder without that file is nobody's business.
type scratch struct {
	dir  string
	lock *os.File
}

// newScratch makes a folder in parent and removes those of runs that are dead.
func newScratch(parent string) (*scratch, error) {
	if err := removeDeadScratch(parent); err != nil {
		return nil, fmt.Errorf("remove what killed runs left in %s: %w", parent, err)
	}
	for {
		s, err := tryScratch(parent)
		if s != nil || err != nil {
			return s, err
		}
	}
}

// tryScratch returns nil if another run took the new folder for a dead one's in the
// instant before it was locked.
func tryScratch(parent string) (*scratch, error) {
	dir, err := os.MkdirTemp(parent, scratchPrefix)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, scratchLock)
	lock, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if lockFile(lock) != nil {
		return nil, lock.Close() // it is being removed
	}
	if _, err := os.Stat(path); err != nil {
		return nil, lock.Close() // it was removed
	}
	return &scratch{dir, lock}, nil
}

// remove removes the folder, and with the lock the right to it last.
func (s *scratch) remove() error { return errors.Join(os.RemoveAll(s.dir), s.lock.Close()) }

// removeDeadScratch removes the folders whose lock is free. What another user owns stays.
func removeDeadScratch(parent string) error {
	locks, err := filepath.Glob(filepath.Join(parent, scratchPrefix+"*", scratchLock))
	if err != nil {
		return err
	}
	for _, path := range locks {
		lock, err := os.OpenFile(path, os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			continue
		}
		if err != nil {
			return err
		}
		if lockFile(lock) == nil {
			err = os.RemoveAll(filepath.Dir(path))
		}
		if err = errors.Join(err, lock.Close()); err != nil {
			return err
		}
	}
	return nil
}
