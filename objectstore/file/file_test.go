package file

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/storetest"
)

func open(t *testing.T, dir string) *Bucket {
	t.Helper()
	b, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) objectstore.Bucket { return open(t, t.TempDir()) })
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "no", "such")
	if _, err := Open(missing, Options{}); !errors.Is(err, objectstore.ErrNoBucket) {
		t.Errorf("a missing folder: %v", err)
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("Open made the folder")
	}
	b, err := Open(missing, Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	if want := "file://" + missing; b.URL() != want {
		t.Errorf("URL %s, want %s", b.URL(), want)
	}
	if _, err := Open(missing, Options{Create: true}); err != nil {
		t.Errorf("create what is there: %v", err)
	}
	plain := filepath.Join(dir, "plain")
	write(t, plain)
	if _, err := Open(plain, Options{Create: true}); !errors.Is(err, objectstore.ErrNoBucket) {
		t.Errorf("a file: %v", err)
	}
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, b *Bucket, key string) {
	t.Helper()
	if err := b.Put(t.Context(), key, []byte("x"), objectstore.PutOptions{}); err != nil {
		t.Error(err)
	}
}

func temps(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, objectstore.Reserved))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// What a killed process leaves is its lock file, unlocked, and temp files.
func TestLeftoversOfTheDeadOnly(t *testing.T) {
	dir := t.TempDir()
	living := open(t, dir)
	unfinished, err := living.createTemp() // a write in the middle
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"1.dead.lock", "1.dead-1", "1.dead-2"} {
		write(t, filepath.Join(dir, objectstore.Reserved, name))
	}
	put(t, open(t, dir), "k")
	for _, name := range temps(t, dir) {
		if strings.HasPrefix(name, "1.dead") {
			t.Errorf("%s is left", name)
		}
	}
	if _, err := os.Stat(unfinished.Name()); err != nil {
		t.Errorf("a living writer lost its file: %v", err)
	}
	if err := unfinished.Close(); err != nil {
		t.Fatal(err)
	}
	put(t, living, "k2") // and it goes on
}

func TestCloseLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	b, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	put(t, b, "k")
	if err := errors.Join(b.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
	if left := temps(t, dir); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}

func TestFailedWritesLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	put(t, b, "k")
	own := len(temps(t, dir)) // the lock
	if err := b.PutFile(t.Context(), "k2", strings.NewReader("short"), 99); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("short file: %v", err)
	}
	if err := b.Put(t.Context(), "k", []byte("other"), objectstore.PutOptions{IfAbsent: true}); !errors.Is(err, objectstore.ErrExists) {
		t.Errorf("a taken name: %v", err)
	}
	if err := b.Put(t.Context(), "k/below", nil, objectstore.PutOptions{}); err == nil {
		t.Error("an object became a folder")
	}
	if left := temps(t, dir); len(left) != own {
		t.Errorf("left: %q", left)
	}
}

func TestFolderFsyncs(t *testing.T) {
	b := open(t, t.TempDir())
	put(t, b, "a/b/first")
	if n := b.sync.fsyncs.Load(); n != 3 { // the root for a, a for b, b for the object
		t.Errorf("first put in a new folder: %d folder fsyncs, want 3", n)
	}
	put(t, b, "a/b/second")
	if n := b.sync.fsyncs.Load(); n != 4 {
		t.Errorf("second put: %d folder fsyncs in all, want 4", n)
	}
}

// Writers who come while a folder is being synced share the next fsync.
func TestWritersShareFolderFsyncs(t *testing.T) {
	f := new(folder)
	_, lead := f.join()
	if !lead {
		t.Fatal("nobody leads the first round")
	}
	f.begin() // it runs
	second, lead := f.join()
	third, alsoLead := f.join()
	if lead || alsoLead || second != third {
		t.Error("those who come during a round do not share the next one")
	}
	f.end()
	if len(second.lead) != 1 {
		t.Error("nobody is told to run the next round")
	}
	f.begin()
	if late, _ := f.join(); late == second {
		t.Error("a writer joined a round that has begun")
	}
}

func TestManyWritersOfOneFolder(t *testing.T) {
	b := open(t, t.TempDir())
	const writers, each = 16, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				put(t, b, fmt.Sprintf("d/%d-%d", w, i))
			}
		})
	}
	wg.Wait()
	t.Logf("%d puts, %d folder fsyncs", writers*each, b.sync.fsyncs.Load())
	if n := b.sync.fsyncs.Load(); n > writers*each+2 {
		t.Errorf("%d folder fsyncs for %d puts", n, writers*each)
	}
}

func TestFoldersTidiedUpFromOutside(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	put(t, b, "a/b/k")
	if err := os.RemoveAll(filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	put(t, b, "a/b/k2")
	if _, err := b.Get(t.Context(), "a/b/k2", 0, -1); err != nil {
		t.Error(err)
	}
}

func TestForeignFilesAreNotListed(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	put(t, b, "k")
	write(t, filepath.Join(dir, "not a key"))
	if err := os.Symlink(filepath.Join(dir, "k"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := b.List(t.Context(), "", func(objectstore.Info) error { n++; return nil }); err != nil || n != 1 {
		t.Errorf("%d objects, %v", n, err)
	}
}

func TestCopyWithoutHardLinks(t *testing.T) {
	b := open(t, t.TempDir())
	put(t, b, "src")
	if err := b.copyBytes(t.Context(), "dst", "src"); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Get(t.Context(), "dst", 0, -1); err != nil || string(got) != "x" {
		t.Errorf("copied %q, %v", got, err)
	}
}

func BenchmarkPut(b *testing.B) {
	bucket, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 64<<10)
	for i := 0; b.Loop(); i++ {
		if err := bucket.Put(b.Context(), fmt.Sprintf("jobs/j/1/p/%012d.0", i), data, objectstore.PutOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	if err := bucket.Close(); err != nil {
		b.Fatal(err)
	}
}
