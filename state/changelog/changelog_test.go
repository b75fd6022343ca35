package changelog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

func TestMain(m *testing.M) {
	// The shared coder is of no bubble of synctest's.
	appendCompressed(nil, make([]byte, 100), compressZstd)
	zstdDecoder()
	goleak.VerifyTestMain(m)
}

// spy is a bucket that records what is done to it and can fail or hold Puts.
type spy struct {
	objectstore.Bucket
	put func(key string) error // before each Put; may block

	mu   sync.Mutex
	sent map[string][][]byte // by key, what each Put was given
	gets []string
}

func newSpy() *spy { return &spy{Bucket: mem.New(), sent: map[string][][]byte{}} }

func (s *spy) Put(ctx context.Context, key string, data []byte, opts objectstore.PutOptions) error {
	s.mu.Lock()
	s.sent[key] = append(s.sent[key], bytes.Clone(data))
	put := s.put
	s.mu.Unlock()
	if put != nil {
		if err := put(key); err != nil {
			return err
		}
	}
	return s.Bucket.Put(ctx, key, data, opts)
}

func (s *spy) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	s.mu.Lock()
	s.gets = append(s.gets, fmt.Sprintf("%s %d+%d", key, offset, length))
	s.mu.Unlock()
	return s.Bucket.Get(ctx, key, offset, length)
}

func (s *spy) onPut(f func(key string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put = f
}

func (s *spy) puts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, tries := range s.sent {
		n += len(tries)
	}
	return n
}

func setup(t *testing.T, b objectstore.Bucket, change func(*Config)) *Uploader {
	t.Helper()
	cfg := Config{Bucket: b, Prefix: "p/1/"}
	if change != nil {
		change(&cfg)
	}
	u, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- u.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("run: %v", err)
		}
	})
	return u
}

const groups = 8

// inside returns what f reads of an uploader's own.
func inside[T any](u *Uploader, f func() T) T {
	u.mu.Lock()
	defer u.mu.Unlock()
	return f()
}

func newLog(t *testing.T, u *Uploader, name string) *Log {
	t.Helper()
	l, err := u.Log(name, 0, groups-1)
	if err != nil {
		t.Fatal(err)
	}
	l.Define(0, state.Definition{Name: "s", Kind: "value", Schema: "bytes"})
	return l
}

// write appends one entry for each of the keys.
func write(l *Log, value string, keys ...string) {
	var b []byte
	for _, k := range keys {
		b = state.AppendEntry(b, state.Entry{Group: int(k[0]) % groups, Key: []byte(k), Value: []byte(value)})
	}
	l.Append(b, len(keys))
}

func seal(t *testing.T, u *Uploader, id dataflow.CheckpointID, cuts map[*Log]state.Cut) *Seal {
	t.Helper()
	s, err := u.Seal(t.Context(), id, cuts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func cutAt(l *Log, position uint64) map[*Log]state.Cut {
	return map[*Log]state.Cut{l: {Position: position}}
}

// table is a Loader.
type table map[string]string

func (m table) Register(d state.Definition) (state.Handle, error) {
	name := d.Name
	if name != "s" {
		return 0, fmt.Errorf("state %q: unknown", name)
	}
	return 5, nil // another number than the log's
}

func (m table) Load(e state.Entry) error {
	if e.Handle != 5 {
		return fmt.Errorf("handle %d", e.Handle)
	}
	if m[string(e.Key)] = string(e.Value); e.Deleted {
		delete(m, string(e.Key))
	}
	return nil
}

// restored reads handles back as key=value, in order.
func restored(t *testing.T, b objectstore.Bucket, lo, hi int, handles ...snapshot.Keyed) []string {
	t.Helper()
	m := table{}
	if _, err := Restore(t.Context(), b, handles, lo, hi, m, nil); err != nil {
		t.Fatal(err)
	}
	var out []string
	for k, v := range m {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return out
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

func TestNothingChangedIsNoUpload(t *testing.T) {
	b := newSpy()
	u := setup(t, b, nil)
	l := newLog(t, u, "a")
	s := seal(t, u, 1, cutAt(l, 0))
	equal(t, "puts", b.puts(), 0)
	equal(t, "handle", s.Keyed[l], snapshot.Keyed{GroupHi: groups - 1, States: []snapshot.State{{Name: "s", Kind: "value", Schema: "bytes"}}})
	equal(t, "state", restored(t, b, 0, groups-1, s.Keyed[l]), []string{})
}

func TestOneUploadForAllLogsOfACheckpoint(t *testing.T) {
	b := newSpy()
	u := setup(t, b, nil)
	cuts := map[*Log]state.Cut{}
	for i := range 20 {
		l := newLog(t, u, fmt.Sprint(i))
		write(l, "v", "a", "b")
		cuts[l] = state.Cut{Position: 2, Entries: 2, Bytes: 9}
	}
	s := seal(t, u, 1, cuts)
	equal(t, "objects", s.Objects, []snapshot.Run{{Prefix: "p/1/", Lo: 1, Hi: 1}})
	equal(t, "puts", []int64{s.Puts, int64(b.puts())}, []int64{1, 1})
	for l, k := range s.Keyed {
		equal(t, l.name, restored(t, b, 0, groups-1, k), []string{"a=v", "b=v"})
		equal(t, "entries", []int64{k.Entries, k.Bytes}, []int64{2, 9})
	}
	s = seal(t, u, 2, cuts)
	equal(t, "puts since", s.Puts, 0)
}

func TestCutInsideASegment(t *testing.T) {
	b := newSpy()
	u := setup(t, b, nil)
	l := newLog(t, u, "a")
	write(l, "1", "a", "b", "c")
	write(l, "2", "a", "b", "c") // behind the barrier, same upload
	k := seal(t, u, 1, cutAt(l, 4)).Keyed[l]
	equal(t, "state", restored(t, b, 0, groups-1, k), []string{"a=2", "b=1", "c=1"})
	k = seal(t, u, 2, cutAt(l, 6)).Keyed[l]
	equal(t, "state", restored(t, b, 0, groups-1, k), []string{"a=2", "b=2", "c=2"})
	equal(t, "puts", b.puts(), 1)
	if _, err := u.Seal(t.Context(), 3, cutAt(l, 7)); err == nil || !strings.Contains(err.Error(), `"a": cut at 7`) {
		t.Errorf("a cut beyond the log: %v", err)
	}
}

func TestBusyLogUploadsAheadOfTheBarrier(t *testing.T) {
	b := newSpy()
	arrived := make(chan string, 100)
	b.onPut(func(key string) error { arrived <- key; return nil })
	u := setup(t, b, func(c *Config) { c.PackBytes = 1000 })
	l := newLog(t, u, "a")
	write(l, strings.Repeat("v", 2000), "a")
	equal(t, "first object", <-arrived, "p/1/000000000001.0")
	write(l, strings.Repeat("v", 9000), "a")
	equal(t, "second object", <-arrived, "p/1/000000000002.0")
}

func TestWaitingChangesAreUploadedAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSpy()
		u := setup(t, b, nil)
		write(newLog(t, u, "a"), "v", "a")
		time.Sleep(DefaultPackAge - time.Millisecond) // virtual time
		synctest.Wait()
		equal(t, "early puts", b.puts(), 0)
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		equal(t, "puts", b.puts(), 1)
		equal(t, "waiting", u.Stats().Waiting, 0)
	})
}

func TestFailedCheckpointLosesNothing(t *testing.T) {
	b := newSpy()
	reset := errors.New("connection reset")
	b.onPut(func(string) error { return reset })
	u := setup(t, b, nil)
	l := newLog(t, u, "a")
	write(l, "1", "a", "b")
	for id := range dataflow.CheckpointID(2) {
		_, err := u.Seal(t.Context(), id+1, cutAt(l, 2))
		if !errors.Is(err, reset) || !strings.Contains(err.Error(), fmt.Sprintf("seal checkpoint %d: upload p/1/000000000001.0", id+1)) {
			t.Fatalf("seal: %v", err)
		}
	}
	write(l, "2", "b", "c")
	b.onPut(nil)
	s := seal(t, u, 3, cutAt(l, 4))
	equal(t, "state", restored(t, b, 0, groups-1, s.Keyed[l]), []string{"a=1", "b=2", "c=2"})
	tries := b.sent["p/1/000000000001.0"]
	for _, try := range tries {
		if !bytes.Equal(try, tries[0]) {
			t.Error("a retry sent other bytes")
		}
	}
	if len(tries) < 3 {
		t.Errorf("%d tries", len(tries))
	}
	if n := u.Stats().Failed; n < 2 {
		t.Errorf("%d failures counted", n)
	}
}

func TestUploadIsRetriedWithoutACheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSpy()
		b.onPut(func(string) error { return errors.New("down") })
		u := setup(t, b, func(c *Config) { c.PackBytes = 1 })
		write(newLog(t, u, "a"), "1", "a")
		time.Sleep(time.Minute) // virtual time
		if n := b.puts(); n < 10 || n > 30 {
			t.Errorf("%d tries in a minute", n)
		}
		b.onPut(nil)
		time.Sleep(retryMax * 5 / 4)
		synctest.Wait()
		equal(t, "waiting", u.Stats().Waiting, 0)
	})
}

func TestStalledBucketBoundsMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSpy()
		release := make(chan struct{})
		b.onPut(func(string) error { <-release; return nil })
		u := setup(t, b, func(c *Config) { c.PackBytes, c.WaitingBytes, c.Compression = 1000, 10_000, CompressNone })
		l := newLog(t, u, "a")
		written := 0
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 100 {
				write(l, strings.Repeat("v", 990), "a")
				written++
			}
		}()
		synctest.Wait()
		// A pack that is encoded takes what its object will: a few bytes more than
		// its changes. Whether that is one change's worth hangs on who is first.
		if memory := inside(u, func() int64 { return u.memory }); memory < 10_000 || memory > 11_500 {
			t.Errorf("%d bytes in memory", memory)
		}
		if written != 10 && written != 11 {
			t.Errorf("%d changes written while stalled", written)
		}
		close(release)
		<-done
		s := seal(t, u, 1, cutAt(l, 100))
		equal(t, "restored", len(restored(t, b, 0, groups-1, s.Keyed[l])), 1)
		equal(t, "waiting", u.Stats().Waiting, 0)
	})
}

func TestEndOfRunReleasesWriters(t *testing.T) {
	b := newSpy()
	u, err := New(Config{Bucket: b, Prefix: "p/1/", WaitingBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	l := newLog(t, u, "a")
	write(l, "1", "a")
	done := make(chan struct{})
	go func() {
		defer close(done)
		write(l, "2", "a")
		write(l, "3", "a")
	}()
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("attempt is over")
	cancel(gone)
	if err := u.Run(ctx); !errors.Is(err, gone) {
		t.Errorf("run: %v", err)
	}
	<-done
	if _, err := u.Seal(t.Context(), 1, cutAt(l, 1)); !errors.Is(err, ErrStopped) {
		t.Errorf("seal after the end: %v", err)
	}
}

func TestSealHeedsItsContext(t *testing.T) {
	b := newSpy()
	release := make(chan struct{})
	b.onPut(func(string) error { <-release; return nil })
	u := setup(t, b, nil)
	l := newLog(t, u, "a")
	write(l, "1", "a")
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := u.Seal(ctx, 1, cutAt(l, 1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("seal: %v", err)
	}
	close(release)
	s := seal(t, u, 2, cutAt(l, 1))
	equal(t, "state", restored(t, b, 0, groups-1, s.Keyed[l]), []string{"a=1"})
}

func TestAttemptsInherit(t *testing.T) {
	b := newSpy()
	u := setup(t, b, nil)
	l := newLog(t, u, "a")
	write(l, "1", "a", "b", "c")
	first := seal(t, u, 1, cutAt(l, 3)).Keyed[l]
	write(l, "lost", "a") // not in a checkpoint
	u2 := setup(t, b, func(c *Config) { c.Prefix = "p/2/" })
	l2 := newLog(t, u2, "a")
	inherited, err := Restore(t.Context(), b, []snapshot.Keyed{first}, 0, groups-1, table{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l2.Inherit(inherited)
	s := seal(t, u2, 2, cutAt(l2, 0))
	equal(t, "objects before a change", s.Objects, []snapshot.Run{{Prefix: "p/1/", Lo: 1, Hi: 1}})
	write(l2, "2", "b")
	s = seal(t, u2, 3, cutAt(l2, 1))
	equal(t, "objects", s.Objects, []snapshot.Run{{Prefix: "p/1/", Lo: 1, Hi: 1}, {Prefix: "p/2/", Lo: 1, Hi: 1}})
	equal(t, "state", restored(t, b, 0, groups-1, s.Keyed[l2]), []string{"a=1", "b=2", "c=1"})
}

func TestRestoreTellsProgress(t *testing.T) {
	b := newSpy()
	u := setup(t, b, nil)
	l := newLog(t, u, "a")
	for i := range 5 {
		write(l, "v", fmt.Sprint(i))
		seal(t, u, dataflow.CheckpointID(i+1), cutAt(l, uint64(i+1)))
	}
	k := seal(t, u, 6, cutAt(l, 5)).Keyed[l]
	var seen [][2]int64
	_, err := Restore(t.Context(), b, []snapshot.Keyed{k}, 0, groups-1, table{},
		func(done, total int64) { seen = append(seen, [2]int64{done, total}) })
	var total int64
	for _, s := range k.Segments {
		total += s.Ref.Length
	}
	if err != nil || len(seen) != 6 || seen[0] != [2]int64{0, total} || seen[5] != [2]int64{total, total} {
		t.Errorf("progress %v of %d, error %v", seen, total, err)
	}
}

func TestSecondLogOfANameIsRefused(t *testing.T) {
	u := setup(t, newSpy(), nil)
	newLog(t, u, "a")
	if _, err := u.Log("a", 0, 1); err == nil {
		t.Error("two logs of one name")
	}
	if _, err := New(Config{Bucket: newSpy(), Prefix: "p"}); err == nil {
		t.Error("a prefix without a slash")
	}
}
