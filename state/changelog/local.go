package changelog

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"github.com/cairnstream/cairn/objectstore"
)

// Local is a machine's copies of objects: a folder of files named after the
// objects' keys. A copy is only as good as its checksum says; there is no
// fsync, so after a crash any may be torn.
//
// A Local without a folder keeps nothing. All methods may be called at once, also
// of several Locals of the same folder.
type Local struct {
	dir string // empty: keeps nothing

	mu     sync.Mutex
	broken error // of the first write that failed: no more are tried
}

// LocalFolder is where an uploader has its Local, below Config.LocalDir.
const LocalFolder = "objects"

// errNoLocal is returned when there is no folder for copies.
var errNoLocal = errors.New("no folder for local copies")

// OpenLocal returns the copies in the folder dir, which comes into being with the
// first. An empty dir is a Local that keeps nothing.
func OpenLocal(dir string) *Local { return &Local{dir: dir} }

func (l *Local) path(key string) string { return filepath.Join(l.dir, url.PathEscape(key)) }

// usable reports whether writes are worth trying.
func (l *Local) usable() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dir != "" && l.broken == nil
}

// Put keeps a copy of an object. After a first error, of a full disk for example,
// it returns that error for ever.
func (l *Local) Put(key string, data []byte) error {
	if l.dir == "" {
		return errNoLocal
	}
	l.mu.Lock()
	err := l.broken
	l.mu.Unlock()
	if err != nil {
		return err
	}
	if err = l.write(key, data); err == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = fmt.Errorf("local copy of %s: %w", key, err)
	return l.broken
}

func (l *Local) write(key string, data []byte) error {
	path := l.path(key)
	err := os.WriteFile(path, data, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(l.dir, 0o700); err == nil {
			err = os.WriteFile(path, data, 0o600)
		}
	}
	if err != nil {
		_ = os.Remove(path) // what there is of it takes room only
	}
	return err
}

// Read returns the bytes that ref names, in buf's memory if they fit. ok is false if they are not
// here, or not as ref has them.
func (l *Local) Read(ref objectstore.Ref, buf []byte) (data []byte, ok bool) {
	if l == nil || l.dir == "" || ref.Length < 0 {
		return nil, false
	}
	f, err := os.Open(l.path(ref.Key))
	if err != nil {
		return nil, false
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() < ref.Offset+ref.Length {
		return nil, false
	}
	if int64(cap(buf)) < ref.Length {
		buf = make([]byte, ref.Length)
	}
	data = buf[:ref.Length]
	if _, err := f.ReadAt(data, ref.Offset); err != nil || ref.Verify(data) != nil {
		return nil, false
	}
	return data, true
}

// Keep removes the copies of all objects but those that named says.
func (l *Local) Keep(named func(key string) bool) {
	if l.dir == "" {
		return
	}
	files, err := os.ReadDir(l.dir)
	if err != nil {
		return // there are none
	}
	for _, f := range files {
		if key, err := url.PathUnescape(f.Name()); err != nil || !named(key) {
			_ = os.Remove(filepath.Join(l.dir, f.Name())) // tried again next time
		}
	}
}

// Delete removes the copy of an object, if there is one.
func (l *Local) Delete(key string) {
	if l.dir != "" {
		_ = os.Remove(l.path(key)) // at worst it stays until Keep
	}
}

// rename gives a copy another object's name: of one with the same content.
func (l *Local) rename(from, to string) {
	if err := os.Rename(l.path(from), l.path(to)); err != nil {
		l.Delete(from)
	}
}
