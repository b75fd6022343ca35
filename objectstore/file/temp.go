package file

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/cairnstream/cairn/objectstore"
)

const lockSuffix = ".lock"

// owner is the right to have temp files of one name. It lives as long as its
// lock: when the process dies, the kernel frees it.
type owner struct {
	dir  string   // the folder of temp files
	name string   // process id and nonce
	lock *os.File // dir/name.lock, locked
	next atomic.Int64
}

// newOwner makes an owner in dir and removes what dead ones left there.
func newOwner(dir string) (*owner, error) {
	if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := removeDead(dir); err != nil {
		return nil, fmt.Errorf("clean %s: %w", dir, err)
	}
	for {
		o, err := tryOwner(dir)
		if o != nil || err != nil {
			return o, err
		}
	}
}

// tryOwner returns nil if another process took the new lock file for a dead
// one's in the instant before it was locked, and removed it.
func tryOwner(dir string) (*owner, error) {
	var nonce [8]byte
	rand.Read(nonce[:]) // never fails: crypto/rand ends the process instead
	o := &owner{dir: dir, name: fmt.Sprintf("%d.%s", os.Getpid(), hex.EncodeToString(nonce[:]))}
	lock, err := os.OpenFile(o.lockPath(), os.O_CREATE|os.O_EXCL|os.O_RDWR, fileMode)
	if err != nil {
		return nil, err
	}
	if err := lockFile(lock, true); err != nil {
		return nil, errors.Join(err, lock.Close(), removeFile(o.lockPath()))
	}
	there, err := stillNamed(lock)
	if err != nil || !there {
		return nil, errors.Join(err, lock.Close())
	}
	o.lock = lock
	return o, nil
}

func (o *owner) lockPath() string { return filepath.Join(o.dir, o.name+lockSuffix) }

// temp is a name that nobody else uses.
func (o *owner) temp() string {
	return filepath.Join(o.dir, fmt.Sprintf("%s-%d", o.name, o.next.Add(1)))
}

// close gives up the name, the lock last.
func (o *owner) close() error { return removeOwner(o.dir, o.name, o.lock) }

// removeDead removes the files of owners whose lock is free.
func removeDead(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, isLock := strings.CutSuffix(e.Name(), lockSuffix)
		if !isLock {
			continue
		}
		if err := removeIfDead(dir, name); err != nil {
			return err
		}
	}
	return nil
}

func removeIfDead(dir, name string) error {
	lock, err := os.OpenFile(filepath.Join(dir, name+lockSuffix), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil // somebody else removed it, or it is another user's
	}
	if err != nil {
		return err
	}
	if err := lockFile(lock, false); err != nil {
		return lock.Close() // alive
	}
	return removeOwner(dir, name, lock)
}

// removeOwner removes the files of an owner whose lock we hold, then the lock:
// in this order, a crash in between leaves a lock by which the rest is found.
func removeOwner(dir, name string, lock *os.File) error {
	left, err := filepath.Glob(filepath.Join(globQuote(dir), name+"-*"))
	for _, path := range left {
		err = errors.Join(err, removeFile(path))
	}
	if err == nil {
		err = removeFile(filepath.Join(dir, name+lockSuffix))
	}
	return errors.Join(err, lock.Close())
}

// globQuote takes a path for Glob literally.
func globQuote(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// stillNamed tells whether f is what its name leads to.
func stillNamed(f *os.File) (bool, error) {
	named, err := os.Stat(f.Name())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	opened, err := f.Stat()
	return err == nil && os.SameFile(named, opened), err
}

// createTemp makes a new temp file.
func (b *Bucket) createTemp() (*os.File, error) {
	name, err := b.tempName()
	if err != nil {
		return nil, err
	}
	return os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
}

// tempName is a fresh name for a temp file. The first one makes the owner.
func (b *Bucket) tempName() (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.temp == nil {
		o, err := newOwner(filepath.Join(b.root, objectstore.Reserved))
		if err != nil {
			return "", err
		}
		b.temp = o
	}
	return b.temp.temp(), nil
}
