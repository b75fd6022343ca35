package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/cairnstream/cairn/objectstore"
)

const (
	// fileMode and dirMode are cut by the process's umask, as a user expects of
	// output that other programs read.
	fileMode = 0o666
	dirMode  = 0o777
)

// Options choose how Open behaves.
type Options struct {
	// Create makes the folder, and those above it, when it does not exist.
	// Without it a missing folder is ErrNoBucket, since a mistyped path must not
	// become an empty store.
	Create bool
}

// Bucket is a folder of objects.
type Bucket struct {
	root string // absolute
	sync *syncer

	mu   sync.Mutex
	temp *owner // guarded by mu; nil until the first write and after Close
}

var _ objectstore.Bucket = (*Bucket)(nil)

// Open opens the folder dir. It reads nothing and writes nothing below it.
func Open(dir string, opts Options) (*Bucket, error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", dir, err)
	}
	if opts.Create {
		if err := makeFolders(root); err != nil {
			return nil, fmt.Errorf("open bucket %s: %w", dir, err)
		}
	}
	if err := checkFolder(root); err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", dir, err)
	}
	return &Bucket{root: root, sync: newSyncer(root)}, nil
}

func checkFolder(root string) error {
	info, err := os.Stat(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: the folder does not exist; create it, or correct the path", objectstore.ErrNoBucket)
	case err != nil:
		return fmt.Errorf("%w: %w", objectstore.ErrNoBucket, err)
	case !info.IsDir():
		return fmt.Errorf("%w: it is a file, not a folder", objectstore.ErrNoBucket)
	}
	return nil
}

// Put implements objectstore.Bucket.
func (b *Bucket) Put(ctx context.Context, key string, data []byte, opts objectstore.PutOptions) error {
	write := func(f *os.File) error {
		_, err := f.Write(data)
		return err
	}
	publish := os.Rename
	if opts.IfAbsent {
		publish = func(temp, path string) error { return b.linkNew(temp, path, data) }
	}
	return b.put(ctx, key, write, publish)
}

// PutFile implements objectstore.Bucket.
func (b *Bucket) PutFile(ctx context.Context, key string, r io.ReadSeeker, size int64) error {
	return b.put(ctx, key, func(f *os.File) error { return copyAll(ctx, f, r, size) }, os.Rename)
}

// put writes a temp file, gives it its name by publish and makes that durable.
func (b *Bucket) put(ctx context.Context, key string, write func(*os.File) error, publish func(temp, path string) error) error {
	path, err := b.path(ctx, key)
	if err != nil {
		return err
	}
	temp, err := b.writeTemp(write)
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	if err := b.publish(path, func() error { return publish(temp, path) }); err != nil {
		return fmt.Errorf("put %s: %w", key, errors.Join(err, removeFile(temp)))
	}
	return nil
}

// publish runs the step that makes a name appear, in a folder that exists, and
// makes the name durable.
func (b *Bucket) publish(path string, step func() error) error {
	dir := filepath.Dir(path)
	if err := b.sync.ensure(dir); err != nil {
		return err
	}
	err := step()
	if errors.Is(err, fs.ErrNotExist) && missing(dir) {
		// Somebody tidied up empty folders.
		b.sync.forget(dir)
		if err := b.sync.ensure(dir); err != nil {
			return err
		}
		err = step()
	}
	if err != nil {
		return err
	}
	return b.sync.sync(dir)
}

// linkNew names temp path unless the name is taken: by the same bytes is fine,
// and then they are made durable, since their writer may not have come so far.
func (b *Bucket) linkNew(temp, path string, data []byte) error {
	err := os.Link(temp, path)
	if errors.Is(err, fs.ErrExist) {
		err = confirm(path, data)
	}
	if err != nil {
		return err
	}
	return removeFile(temp)
}

// writeTemp returns the name of a new temp file that is written and durable.
func (b *Bucket) writeTemp(write func(*os.File) error) (string, error) {
	f, err := b.createTemp()
	if err != nil {
		return "", err
	}
	// After a failed fsync the kernel may have dropped the pages: this file
	// is never synced again, a retry begins with a new one.
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return "", errors.Join(err, removeFile(f.Name()))
	}
	return f.Name(), nil
}

// Copy implements objectstore.Bucket. It is a hard link where the file system
// has them, else a copy of the bytes.
func (b *Bucket) Copy(ctx context.Context, dst, src string) error {
	to, err := b.path(ctx, dst)
	if err != nil {
		return err
	}
	from, err := b.path(ctx, src)
	if err != nil {
		return err
	}
	err = b.publish(to, func() error { return b.link(from, to) })
	if noLinks(err) {
		return b.copyBytes(ctx, dst, src)
	}
	if err != nil {
		return fmt.Errorf("copy %s to %s: %w", src, dst, notFound(err))
	}
	return nil
}

// link makes to another name of from, in place of whatever to was.
func (b *Bucket) link(from, to string) error {
	err := os.Link(from, to)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if same, err := sameFile(from, to); err != nil || same {
		return err
	}
	temp, err := b.tempName()
	if err != nil {
		return err
	}
	if err := os.Link(from, temp); err != nil {
		return err
	}
	// A rename between two names of one file does nothing and succeeds, so the
	// temp name is removed in any case.
	return errors.Join(os.Rename(temp, to), removeFile(temp))
}

func (b *Bucket) copyBytes(ctx context.Context, dst, src string) error {
	f, size, err := b.open(ctx, src)
	if err != nil {
		return fmt.Errorf("copy %s to %s: %w", src, dst, err)
	}
	defer f.Close() // only read from
	return b.PutFile(ctx, dst, f, size)
}

// Delete implements objectstore.Bucket. A delete that a crash undoes leaves
// garbage, which is found again; so it is not synced.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	path, err := b.path(ctx, key)
	if err != nil {
		return err
	}
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return nil // os.Remove would take an empty folder
	}
	if err := removeFile(path); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}

// URL implements objectstore.Bucket.
func (b *Bucket) URL() string {
	return (&url.URL{Scheme: "file", Path: b.root}).String()
}

// Close removes the Bucket's lock.
func (b *Bucket) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.temp == nil {
		return nil
	}
	temp := b.temp
	b.temp = nil
	return temp.close()
}

// path is where key lies, after the checks that every method makes.
func (b *Bucket) path(ctx context.Context, key string) (string, error) {
	if err := objectstore.CheckKey(key); err != nil {
		return "", err
	}
	return filepath.Join(b.root, filepath.FromSlash(key)), ctx.Err()
}

// removeFile removes path; that it is gone already is fine.
func removeFile(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	return err
}

func missing(dir string) bool {
	_, err := os.Stat(dir)
	return errors.Is(err, fs.ErrNotExist)
}

// notFound says ErrNotFound where the file system says that there is no file.
func notFound(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return objectstore.ErrNotFound
	}
	return err
}

// noLinks tells whether the file system has no hard links, or no more for this
// file.
func noLinks(err error) bool {
	return errors.Is(err, syscall.EPERM) || errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EMLINK)
}
