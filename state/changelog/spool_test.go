package changelog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/objectstore"
)

// outage sets up an uploader whose store takes nothing until up is called.
func outage(t *testing.T, change func(*Config)) (b *spy, u *Uploader, dir string, up func()) {
	t.Helper()
	b, dir = newSpy(), t.TempDir()
	b.onPut(func(string) error { return errors.New("no route to host") })
	u = setup(t, b, func(c *Config) {
		c.PackBytes, c.WaitingBytes, c.Compression, c.LocalDir = 1000, 10_000, CompressNone, dir
		if change != nil {
			change(c)
		}
	})
	return b, u, dir, func() { b.onPut(nil) }
}

// localFiles lists the local copies.
func localFiles(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, LocalFolder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range found {
		found[i] = filepath.Base(found[i])
	}
	return found
}

func TestChangesWaitOnDiskWhileTheStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, u, dir, up := outage(t, func(c *Config) { c.SpoolOnly = true })
		l := newLog(t, u, "a")
		for i := range 200 { // 20 times what may be in memory
			write(l, strings.Repeat("v", 1000), fmt.Sprint(i))
			synctest.Wait()
		}
		if _, err := u.Seal(t.Context(), 1, cutAt(l, 200)); !errors.Is(err, ErrStoreUnavailable) {
			t.Errorf("seal: %v", err)
		}
		memory := inside(u, func() int64 { return u.memory })
		if s := u.Stats(); s.Waiting < 200_000 || s.Spooled < 180_000 || memory > 10_000 {
			t.Errorf("%d bytes wait, %d on disk and %d in memory", s.Waiting, s.Spooled, memory)
		}
		time.Sleep(20 * time.Second) // virtual time
		if bytes, age := l.Lag(); bytes < 200_000 || age < 20*time.Second || u.Stats().Oldest < age {
			t.Errorf("lag of %d bytes, %v", bytes, age)
		}
		up()
		time.Sleep(retryMax * 5 / 4)
		synctest.Wait()
		s := seal(t, u, 2, cutAt(l, 200))
		equal(t, "restored", len(restored(t, b, 0, groups-1, s.Keyed[l])), 200)
		equal(t, "waiting", inside(u, func() []int64 { return []int64{u.waiting, u.spooled, u.memory, l.waiting} }), make([]int64, 4))
		equal(t, "files", localFiles(t, dir), []string{})
	})
}

func TestStoresBlockWhenTheSpoolIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, u, _, up := outage(t, func(c *Config) { c.SpoolBytes = 20_000 })
		l := newLog(t, u, "a")
		var written atomic.Int64
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range 200 {
				write(l, strings.Repeat("v", 1000), fmt.Sprint(i))
				written.Add(1)
			}
		}()
		time.Sleep(time.Minute) // virtual time
		if n := written.Load(); n < 20 || n > 35 || u.Stats().Spooled > 20_000 {
			t.Errorf("%d written, %d bytes on disk", n, u.Stats().Spooled)
		}
		up()
		<-done
		s := seal(t, u, 1, cutAt(l, 200))
		equal(t, "restored", len(restored(t, b, 0, groups-1, s.Keyed[l])), 200)
	})
}

func TestFullDiskIsNoHarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, u, dir, up := outage(t, nil)
		if err := os.WriteFile(filepath.Join(dir, LocalFolder), nil, 0o600); err != nil { // in the folder's place
			t.Fatal(err)
		}
		l := newLog(t, u, "a")
		var written atomic.Int64
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range 30 {
				write(l, strings.Repeat("v", 1000), fmt.Sprint(i))
				written.Add(1)
			}
		}()
		time.Sleep(time.Minute) // virtual time
		if n := written.Load(); n < 9 || n > 12 {
			t.Errorf("%d written", n)
		}
		up()
		<-done
		s := seal(t, u, 1, cutAt(l, 30))
		equal(t, "restored", len(restored(t, b, 0, groups-1, s.Keyed[l])), 30)
	})
}

func TestLostSpoolEndsTheAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, dir := newSpy(), t.TempDir()
		b.onPut(func(string) error { return errors.New("down") })
		u, err := New(Config{Bucket: b, Prefix: "p/1/", LocalDir: dir, PackBytes: 100, WaitingBytes: 2000, Compression: CompressNone})
		if err != nil {
			t.Fatal(err)
		}
		l := newLog(t, u, "a")
		for i := range 5 {
			write(l, strings.Repeat("v", 300), fmt.Sprint(i))
		}
		ended := make(chan error, 1)
		go func() { ended <- u.Run(t.Context()) }()
		synctest.Wait()
		if u.Stats().Spooled == 0 {
			t.Fatal("nothing is on disk")
		}
		for _, name := range localFiles(t, dir) {
			if err := os.Truncate(filepath.Join(dir, LocalFolder, name), 10); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(retryMax) // virtual time
		if err := <-ended; !errors.Is(err, errLost) || !strings.Contains(err.Error(), firstObject) {
			t.Errorf("run: %v", err)
		}
	})
}

func TestLocalCopiesFollowTheHandles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, dir := newSpy(), t.TempDir()
		local := OpenLocal(filepath.Join(dir, LocalFolder))
		for _, key := range []string{"p/0/000000000001.0", "p/0/000000000002.0", "p/1/000000000009.0"} {
			if err := local.Put(key, []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		u := setup(t, b, func(c *Config) { c.LocalDir = dir })
		l := newLog(t, u, "a")
		inherited := segmentOf("p/0/000000000001.0")
		l.Inherit(inherited)
		write(l, "1", "a")
		s := seal(t, u, 1, cutAt(l, 1))
		synctest.Wait()
		equal(t, "after the first checkpoint", localFiles(t, dir),
			[]string{"p%2F0%2F000000000001.0", "p%2F1%2F000000000001.0", "p%2F1%2F000000000009.0"})
		ref := s.Keyed[l].Segments[1].Ref
		if data, ok := local.Read(ref, nil); !ok || ref.Verify(data) != nil {
			t.Error("no copy of what was uploaded")
		}
		image(l, "image", "a")
		synctest.Wait()
		seal(t, u, 2, cutAt(l, 1))
		u.Completed(2)
		seal(t, u, 3, cutAt(l, 1))
		u.Completed(3)
		synctest.Wait()
		equal(t, "after an image", localFiles(t, dir), []string{"p%2F1%2F000000000002.0", "p%2F1%2F000000000009.0"})
	})
}

func TestLocal(t *testing.T) {
	dir := t.TempDir()
	l := OpenLocal(filepath.Join(dir, LocalFolder))
	data := []byte("0123456789")
	if err := l.Put("a/b", data); err != nil {
		t.Fatal(err)
	}
	ref := objectstore.Ref{Key: "a/b", Offset: 2, Length: 3, CRC32C: objectstore.CRC32C(data[2:5])}
	got, ok := OpenLocal(filepath.Join(dir, LocalFolder)).Read(ref, nil)
	equal(t, "read", string(got), "234")
	equal(t, "found", ok, true)
	for what, bad := range map[string]objectstore.Ref{
		"another object": {Key: "a/c", Length: 3},
		"another sum":    {Key: "a/b", Offset: 3, Length: 3, CRC32C: ref.CRC32C},
		"too long":       {Key: "a/b", Offset: 8, Length: 3},
	} {
		if _, ok := l.Read(bad, nil); ok {
			t.Errorf("%s was read", what)
		}
	}
	l.Keep(func(key string) bool { return key == "a/b" })
	equal(t, "kept", len(localFiles(t, dir)), 1)
	l.Delete("a/b")
	equal(t, "left", len(localFiles(t, dir)), 0)
	none := OpenLocal("")
	if err := none.Put("a", data); !errors.Is(err, errNoLocal) {
		t.Errorf("put without a folder: %v", err)
	}
	if _, ok := none.Read(ref, nil); ok {
		t.Error("read without a folder")
	}
}
