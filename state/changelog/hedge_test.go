package changelog

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
)

// slowStore takes a while for each Put, and much longer for some.
type slowStore struct {
	*spy
	mu    sync.Mutex
	stall map[string]time.Duration
}

func (s *slowStore) Put(ctx context.Context, key string, data []byte, opts objectstore.PutOptions) error {
	s.mu.Lock()
	wait := max(s.stall[key], 30*time.Millisecond)
	s.mu.Unlock()
	time.Sleep(wait) // virtual time
	return s.spy.Put(ctx, key, data, opts)
}

// checkpoints makes n of them, each of one upload, and returns how long each took.
func checkpoints(t *testing.T, u *Uploader, l *Log, from, n int) (took []time.Duration, last *Seal) {
	t.Helper()
	for i := from; i < from+n; i++ {
		write(l, fmt.Sprint(i), "a")
		began := time.Now()
		last = seal(t, u, dataflow.CheckpointID(i), cutAt(l, uint64(i)))
		took = append(took, time.Since(began))
	}
	return took, last
}

func TestStalledUploadIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slowStore{spy: newSpy(), stall: map[string]time.Duration{"p/1/000000000031.0": time.Minute}}
		dir := t.TempDir()
		u := setup(t, b, func(c *Config) { c.LocalDir = dir })
		l := newLog(t, u, "a")
		checkpoints(t, u, l, 1, 30)
		took, s := checkpoints(t, u, l, 31, 1)
		equal(t, "took", took, []time.Duration{90 * time.Millisecond}) // noticed after 60
		equal(t, "hedged", u.Stats().Hedged, 1)
		equal(t, "objects", s.Objects, []snapshot.Run{{Prefix: "p/1/", Lo: 1, Hi: 30}, {Prefix: "p/1/", Lo: 32, Hi: 32}})
		equal(t, "not released while it is sent", s.Released, []snapshot.Run{})
		equal(t, "state", restored(t, b, 0, groups-1, s.Keyed[l]), []string{"a=31"})
		if _, ok := OpenLocal(filepath.Join(dir, LocalFolder)).Read(s.Keyed[l].Segments[30].Ref, nil); !ok {
			t.Error("no local copy under the winner's name")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		_, s = checkpoints(t, u, l, 32, 1)
		equal(t, "released", s.Released, []snapshot.Run{{Prefix: "p/1/", Lo: 31, Hi: 31}})
		u.Completed(32)
		synctest.Wait()
		equal(t, "local copies", len(localFiles(t, dir)), 32)
	})
}

func TestHedgesHaveABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slowStore{spy: newSpy(), stall: map[string]time.Duration{}}
		u := setup(t, b, nil)
		l := newLog(t, u, "a")
		checkpoints(t, u, l, 1, 40)
		b.mu.Lock()
		for n := uint64(41); n < 1000; n++ {
			b.stall[objectKey("p/1/", n)] = time.Second
		}
		b.mu.Unlock()
		checkpoints(t, u, l, 41, 40)
		if n := u.Stats().Hedged; n < 1 || n > 6 {
			t.Errorf("%d of 80 uploads were sent again", n)
		}
	})
}

func TestNoHedgeWithoutExperience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slowStore{spy: newSpy(), stall: map[string]time.Duration{"p/1/000000000005.0": time.Minute}}
		u := setup(t, b, nil)
		l := newLog(t, u, "a")
		took, _ := checkpoints(t, u, l, 1, 5)
		equal(t, "took", took[4], time.Minute)
		equal(t, "hedged", u.Stats().Hedged, 0)
	})
}

// TestHedgeBesideTheLocalCopy: an upload is sent again while its local copy is still
// being written, as on a disk that is slow too. The race detector is the judge.
func TestHedgeBesideTheLocalCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		u := setup(t, newSpy(), func(c *Config) { c.LocalDir = dir })
		for range 100 {
			p := &pack{}
			u.mu.Lock()
			u.beginLocked(p)
			u.mu.Unlock()
			var copying sync.WaitGroup
			copying.Go(func() { u.copyTo(p, []byte("changes")) })
			u.mu.Lock()
			hedge := u.addTryLocked(p)
			u.mu.Unlock()
			copying.Wait()
			if p.first == hedge || !p.local {
				t.Fatalf("the copy is not under the first of %d tries", len(p.tries))
			}
		}
	})
}
