package lsm

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// newID returns an identifier that nobody has used for a database.
func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// folder is a store's own folder:
//
//	owner      locked while the store is open
//	db-1/      Pebble
//	image-2/   an image that is being written
//	import-3/  files of another range of key groups, during a restore
type folder struct {
	dir  string
	lock io.Closer

	mu sync.Mutex
	n  int
}

const ownerFile = "owner"

// folders lets the stores of a process open one after the other: one that is not
// locked yet is not one that a crash left.
var folders sync.Mutex

// openFolder makes the folder, empty, and removes those beside it that nobody owns.
func openFolder(dir string) (*folder, error) {
	folders.Lock()
	defer folders.Unlock()
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, err
	}
	if err := removeStale(parent); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lock, err := vfs.Default.Lock(filepath.Join(dir, ownerFile))
	if err != nil {
		return nil, fmt.Errorf("another store uses the folder: %w", err)
	}
	return &folder{dir: dir, lock: lock}, nil
}

// removeStale removes folders of stores that are gone.
func removeStale(parent string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, e := range entries {
		dir := filepath.Join(parent, e.Name())
		owner := filepath.Join(dir, ownerFile)
		if _, err := os.Stat(owner); err != nil {
			continue // not a store's
		}
		lock, err := vfs.Default.Lock(owner)
		if err != nil {
			continue // in use
		}
		if err := errors.Join(lock.Close(), os.RemoveAll(dir)); err != nil {
			return err
		}
	}
	return nil
}

// next is a name in the folder that was not there before.
func (f *folder) next(kind string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	return filepath.Join(f.dir, fmt.Sprintf("%s-%d", kind, f.n))
}

func (f *folder) database() string { return f.next("db") }

// copies is where files stay that an image named.
func (f *folder) copies() string { return filepath.Join(filepath.Dir(f.dir), "files") }

// remove removes the folder. Doing so again does nothing: it may be another's.
func (f *folder) remove() error {
	folders.Lock()
	defer folders.Unlock()
	if f.lock == nil {
		return nil
	}
	err := errors.Join(f.lock.Close(), os.RemoveAll(f.dir))
	f.lock = nil
	return err
}

// copyPath is where the copy of a file of an image is.
func copyPath(dir, name string) string { return filepath.Join(dir, url.PathEscape(name)) }

// keepCopy links the file at path to where a later attempt finds it. It is not
// needed for anything else, so a disk that is full, or does not link, is no error.
func keepCopy(dir, name, path string) {
	if os.MkdirAll(dir, 0o755) != nil {
		return
	}
	to := copyPath(dir, name)
	if same(path, to) {
		return
	}
	_ = os.Remove(to)
	_ = os.Link(path, to)
}

func same(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// takeCopy links the copy of a file to path, if there is one and it is whole: it may
// be torn, or of a database that went another way from the same image.
func takeCopy(dir string, f manifestFile, path string) bool {
	from := copyPath(dir, f.Name)
	size, sum, err := sumOf(from)
	if err != nil || size != f.Size || sum != f.CRC32C {
		return false
	}
	return os.Link(from, path) == nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumOf returns size and CRC32C of a file.
func sumOf(path string) (size int64, sum uint32, err error) {
	in, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	h := crc32.New(castagnoli)
	size, err = io.Copy(h, in)
	return size, h.Sum32(), err
}

// keep counts an image that names the files.
func (s *Shared) keep(dir string, names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.copies[dir] == nil {
		s.copies[dir] = map[string]int{}
	}
	for _, name := range names {
		s.copies[dir][url.PathEscape(name)]++
	}
}

// drop takes back a keep.
func (s *Shared) drop(dir string, names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		name = url.PathEscape(name)
		if s.copies[dir][name]--; s.copies[dir][name] <= 0 {
			delete(s.copies[dir], name)
		}
	}
}

// sweep removes the copies that no image names.
func (s *Shared) sweep(dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // there are none
	}
	for _, e := range entries {
		if s.copies[dir][e.Name()] == 0 {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
