package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// syncer makes names in folders durable. Writers that come while a folder is
// being synced wait for the next round together: n concurrent writers cost two
// fsyncs of the folder, not n.
type syncer struct {
	root string

	mu      sync.Mutex
	folders map[string]*folder // guarded by mu; by path

	fsyncs atomic.Int64 // of folders, for tests
}

// folder is what the syncer knows of one folder.
type folder struct {
	mu      sync.Mutex
	durable bool   // the folder's own name, and those above, are durable; guarded by mu
	next    *round // the round that has not begun; nil if nobody waits; guarded by mu
	busy    bool   // somebody runs a round, or is about to; guarded by mu
}

// round is one fsync and those who wait for it.
type round struct {
	done chan struct{}
	lead chan struct{} // holds one token: who takes it runs the round
	err  error         // set before done is closed
}

func newSyncer(root string) *syncer {
	return &syncer{root: root, folders: map[string]*folder{}}
}

// ensure makes dir exist and its name durable, and those of the folders above
// it up to the root. It costs one fsync for each folder, the first time only:
// folders are never removed. It syncs also what it finds, since another
// process may just have made it.
func (s *syncer) ensure(dir string) error {
	if dir == s.root {
		return nil
	}
	f := s.folder(dir)
	f.mu.Lock()
	durable := f.durable
	f.mu.Unlock()
	if durable {
		return nil
	}
	parent := filepath.Dir(dir)
	if err := s.ensure(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := s.sync(parent); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.durable = true
	return nil
}

// sync returns when an fsync of dir that began after the call has ended.
func (s *syncer) sync(dir string) error {
	f := s.folder(dir)
	mine, lead := f.join()
	if !lead {
		select {
		case <-mine.done:
			return mine.err
		case <-mine.lead:
		}
	}
	f.begin()
	mine.err = s.fsync(dir)
	close(mine.done)
	f.end()
	return mine.err
}

// join enters the round that has not begun; lead is true if the caller has to
// run it now. Else it waits for its end, or for the word to run it.
func (f *folder) join() (mine *round, lead bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == nil {
		f.next = &round{done: make(chan struct{}), lead: make(chan struct{}, 1)}
	}
	lead = !f.busy
	f.busy = true
	return f.next, lead
}

// begin closes the round to newcomers.
func (f *folder) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = nil
}

// end gives the next round, if somebody waits for it, to one of its members.
func (f *folder) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == nil {
		f.busy = false
		return
	}
	f.next.lead <- struct{}{}
}

// forget drops what is known of dir and the folders above it, after somebody
// outside has removed one.
func (s *syncer) forget(dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; len(dir) > len(s.root); dir = filepath.Dir(dir) {
		if f := s.folders[dir]; f != nil {
			f.mu.Lock()
			f.durable = false
			f.mu.Unlock()
		}
	}
}

func (s *syncer) folder(dir string) *folder {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.folders[dir]
	if f == nil {
		f = new(folder)
		s.folders[dir] = f
	}
	return f
}

func (s *syncer) fsync(dir string) error {
	s.fsyncs.Add(1)
	return syncFolder(dir)
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// makeFolders makes root and what is missing above it, durably.
func makeFolders(root string) error {
	if _, err := os.Stat(root); err == nil {
		return nil
	}
	parent := filepath.Dir(root)
	if parent != root {
		if err := makeFolders(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(root, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(parent)
}
