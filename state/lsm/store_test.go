package lsm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// setup opens a store of all groups in a folder of its own, with little memory.
func setup(t testing.TB, log state.Log) *Store {
	t.Helper()
	return openIn(t, filepath.Join(t.TempDir(), "store"), 0, groups-1, log)
}

func openIn(t testing.TB, dir string, lo, hi int, log state.Log) *Store {
	t.Helper()
	s, err := Open(Config{GroupLo: lo, GroupHi: hi, Log: log, Dir: dir, MemoryBytes: memoryMin})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func register(t testing.TB, s *Store, name string) state.Handle {
	t.Helper()
	h, err := s.Register(state.Definition{Name: name, Kind: "value", Schema: "bytes", ValueSize: state.Variable})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func keyBytes(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)*0x9E3779B97F4A7C15) }

// some is n, or half of it in short runs: Pebble checks itself under the race
// detector, and is thirty times slower then.
func some(n int) int {
	if testing.Short() {
		return n / 2
	}
	return n
}

// batchOf is how many values fill and check touch in a batch.
const batchOf = 1000

// fill puts n values of 100 bytes. It asks for a whole batch at once, as an operator
// does; reads one by one are slow where Pebble checks itself, under the race detector.
func fill(t testing.TB, s *Store, h state.Handle, n int) {
	t.Helper()
	for i := range n {
		if i%batchOf == 0 {
			prefetch(t, s, h, i, min(i+batchOf, n), 1)
		}
		k := keyBytes(i)
		s.SetKey(i%groups, k)
		v, _, err := s.Update(h, nil, 100)
		if err != nil {
			t.Fatal(err)
		}
		binary.LittleEndian.PutUint64(v, uint64(i))
		if i%batchOf == batchOf-1 || i == n-1 {
			if err := s.EndBatch(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// check reads every tenth of n values.
func check(t testing.TB, s *Store, h state.Handle, n int) {
	t.Helper()
	for i := 0; i < n; i += 10 {
		if i%batchOf == 0 {
			prefetch(t, s, h, i, min(i+batchOf, n), 10)
		}
		s.SetKey(i%groups, keyBytes(i))
		v, ok, err := s.Get(h, nil)
		if err != nil || !ok || len(v) != 100 || binary.LittleEndian.Uint64(v) != uint64(i) {
			t.Fatalf("value %d: %x, %v, %v", i, v, ok, err)
		}
	}
}

// prefetch asks for every step-th value of from to to.
func prefetch(t testing.TB, s *Store, h state.Handle, from, to, step int) {
	t.Helper()
	var wanted []state.Wanted
	for i := from; i < to; i += step {
		wanted = append(wanted, state.Wanted{Handle: h, Group: i % groups, Key: keyBytes(i)})
	}
	if err := s.Prefetch(wanted); err != nil {
		t.Fatal(err)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	s := setup(t, nil)
	h := register(t, s, "a")
	s.bound = int64(some(int(s.bound)))
	n := some(100_000) // more than ten times what the cache may hold
	for i := range n {
		if i%500 == 0 {
			prefetch(t, s, h, i, i+500, 1)
		}
		s.SetKey(i%groups, keyBytes(i))
		v, _, err := s.Update(h, nil, 100)
		if err != nil {
			t.Fatal(err)
		}
		binary.LittleEndian.PutUint64(v, uint64(i))
		if i%500 == 499 {
			if err := s.EndBatch(); err != nil {
				t.Fatal(err)
			}
			// What is not written back yet can't go, and how much that is depends on the disk:
			// twice the bound is still a tenth of what there is.
			if got := s.footprint(); got > 2*s.bound {
				t.Fatalf("tables take %d bytes after %d entries, the bound is %d", got, i, s.bound)
			}
		}
	}
	if entries, bytes := s.Size(); entries != int64(n) || bytes != int64(n)*108 {
		t.Errorf("size %d entries, %d bytes", entries, bytes)
	}
	if got := s.states[h].table.Len(); got > n/10 {
		t.Errorf("%d of %d entries are in memory", got, n)
	}
	check(t, s, h, n)
}

func TestBadConfig(t *testing.T) {
	for want, c := range map[string]Config{
		"key groups 3 to 2": {GroupLo: 3, GroupHi: 2, Dir: "x"},
		"no folder given":   {},
		"use at least":      {Dir: "x", MemoryBytes: 1},
	} {
		if _, err := Open(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", c, err, want)
		}
	}
}

func TestStaleFoldersAreRemoved(t *testing.T) {
	parent := t.TempDir()
	stale, other := filepath.Join(parent, "stale"), filepath.Join(parent, "other")
	for _, dir := range []string{stale, other, filepath.Join(parent, "files")} {
		if err := os.MkdirAll(filepath.Join(dir, "db-1"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(stale, ownerFile), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	a := openIn(t, filepath.Join(parent, "a"), 0, 0, nil)
	openIn(t, filepath.Join(parent, "b"), 0, 0, nil)
	if _, err := Open(Config{Dir: filepath.Join(parent, "a")}); err == nil {
		t.Error("a folder was opened twice")
	}
	for dir, want := range map[string]bool{stale: false, other: true, a.cfg.Dir: true, filepath.Join(parent, "files"): true} {
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %v", dir, err, want)
		}
	}
}

func TestErrorsAreKept(t *testing.T) {
	s := setup(t, nil)
	h := register(t, s, "a")
	fill(t, s, h, 100)
	boom := errors.New("boom")
	s.writer.fail(boom)
	if err := s.EndBatch(); !errors.Is(err, boom) {
		t.Errorf("end of batch: %v", err)
	}
	if err := s.Prefetch(nil); !errors.Is(err, boom) {
		t.Errorf("prefetch: %v", err)
	}
	if err := s.EndBatch(); !errors.Is(err, boom) {
		t.Errorf("end of the next batch: %v", err)
	}
}

func TestLoadRecords(t *testing.T) {
	s := setup(t, nil)
	h := register(t, s, "a")
	const n = 30_000
	done := make(chan error, groups)
	for group := range groups {
		go func() {
			var run []byte
			for i := group; i < n; i += groups {
				run = append(run, keyBytes(i)...)
				run = append(binary.LittleEndian.AppendUint64(run, uint64(i)), make([]byte, 92)...)
			}
			done <- s.LoadRecords(state.Records{Handle: h, KeySize: 8, ValueSize: 100}, group, run)
		}()
	}
	for range groups {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if entries, _ := s.Size(); entries != n {
		t.Errorf("%d entries, want %d", entries, n)
	}
	check(t, s, h, n)
	if err := s.LoadRecords(state.Records{Handle: h, KeySize: 8}, groups, nil); err == nil {
		t.Error("a run of a group outside of the store was taken")
	}
}

// TestAnotherSchema: entries in memory and on disk are converted, and logged once.
func TestAnotherSchema(t *testing.T) {
	log := newSpy(0, groups-1)
	s := setup(t, log)
	s.bound = 64 << 10
	before, old := encoded(t, struct{ A int64 }{7})
	after, want := encoded(t, struct{ A, B int64 }{A: 7})
	d := state.Definition{Name: "a", Kind: "value", Schema: before, ValueSize: state.Variable}
	h, err := s.Register(d)
	if err != nil {
		t.Fatal(err)
	}
	const n = 5000
	for i := range n {
		s.SetKey(i%groups, keyBytes(i))
		if err := s.Put(h, nil, old); err != nil {
			t.Fatal(err)
		}
		if i%500 == 499 {
			if err := s.EndBatch(); err != nil {
				t.Fatal(err)
			}
		}
	}
	log.own.entries = nil
	d.Schema = after
	if again, err := s.Register(d); err != nil || again != h {
		t.Fatalf("handle %d, %v", again, err)
	}
	if err := s.EndBatch(); err != nil {
		t.Fatal(err)
	}
	if len(log.own.entries) != n || log.defs[h].Schema != d.Schema {
		t.Errorf("%d entries were logged, want %d, of %s", len(log.own.entries), n, log.defs[h].Schema)
	}
	for _, e := range log.own.entries {
		if string(e.Value) != string(want) {
			t.Fatalf("value %x was logged, want %x", e.Value, want)
		}
	}
	if entries, bytes := s.Size(); entries != n || bytes != int64(n*(8+len(want))) {
		t.Errorf("size %d entries, %d bytes", entries, bytes)
	}
	d.Schema = "string"
	if _, err := s.Register(d); !errors.Is(err, state.ErrIncompatible) {
		t.Errorf("a schema that it can't become: %v", err)
	}
}

// encoded returns a value's schema and bytes.
func encoded[T any](t *testing.T, v T) (schema string, data []byte) {
	t.Helper()
	c, err := codec.For[T]()
	if err != nil {
		t.Fatal(err)
	}
	return c.Schema(), c.Append(nil, &v)
}

// TestCloseWhileImageIsUploaded: Close does not wait for the upload.
func TestCloseWhileImageIsUploaded(t *testing.T) {
	s, i := frozen(t)
	reached, closed := make(chan struct{}), make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer i.Close()
		first := true
		// It ends, with an error if there was more to read.
		_ = i.Write(context.Background(), func(state.Block) error {
			if first {
				first = false
				close(reached)
				<-closed
			}
			return nil
		})
	}()
	<-reached
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	close(closed)
	<-done
	if _, err := os.Stat(s.cfg.Dir); err == nil {
		t.Error("the store's folder is still there")
	}
}

func TestImageOfClosedStore(t *testing.T) {
	s, i := frozen(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	if err := i.Write(context.Background(), func(state.Block) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want %v", err, ErrClosed)
	}
	if _, err := os.Stat(s.cfg.Dir); err == nil {
		t.Error("the store's folder is there again")
	}
}

// frozen is a store with entries on disk, and an image of it.
func frozen(t *testing.T) (*Store, state.Image) {
	log := &handOver{images: make(chan state.Image, 1)}
	s := setup(t, log)
	s.bound = 64 << 10
	fill(t, s, register(t, s, "a"), 5000)
	s.Cut(1)
	return s, <-log.images
}

// handOver is a log that wants one image and does not write it.
type handOver struct {
	discard
	images chan state.Image
}

func (l *handOver) WantsImage(int64) bool { return true }
func (l *handOver) Image(i state.Image)   { l.images <- i }

// TestOrderForgetsOnlyWhatIsGone: when so many sub-keys have come and gone that their order is made
// smaller, a scan still finds the few that are left in a table that is nearly empty.
func TestOrderForgetsOnlyWhatIsGone(t *testing.T) {
	s := setup(t, nil)
	h := register(t, s, "a")
	s.SetKey(0, []byte("busy"))
	if err := s.Scan(h, func(_, _ []byte) bool { return true }); err != nil { // begins the order
		t.Fatal(err)
	}
	waits := func(i int) { s.SetKey(groups/2+i, []byte{byte(i)}) }
	const waiting = 3
	for i := range waiting {
		waits(i)
		if err := s.Put(h, []byte("waits"), []byte("long")); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2 * orderMax {
		s.SetKey(0, []byte("busy"))
		sub := binary.BigEndian.AppendUint64(nil, uint64(i))
		if err := s.Put(h, sub, nil); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(h, sub); err != nil {
			t.Fatal(err)
		}
		if i%64 == 0 {
			if err := s.EndBatch(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := s.states[h].order.n; n >= 2*orderMax {
		t.Fatalf("all %d sub-keys are remembered", n)
	}
	for i := range waiting {
		found := 0
		waits(i)
		if err := s.Scan(h, func(_, _ []byte) bool { found++; return true }); err != nil || found != 1 {
			t.Errorf("key %d: a scan finds %d entries, %v; want 1", i, found, err)
		}
	}
}

// TestOrderIsBounded: what is unwritten is written back when there is too much of it
// to remember.
func TestOrderIsBounded(t *testing.T) {
	s := setup(t, nil)
	s.bound = 1 << 30 // nothing else would make it write
	h := register(t, s, "a")
	s.SetKey(1, []byte("k"))
	nothing := func(_, _ []byte) bool { return true }
	if err := s.Scan(h, nothing); err != nil {
		t.Fatal(err)
	}
	for i := range orderMax + 10 {
		s.SetKey(1, []byte("k"))
		if err := s.Put(h, fmt.Appendf(nil, "%06d", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.EndBatch(); err != nil {
		t.Fatal(err)
	}
	if n := s.states[h].order.n; n != 0 {
		t.Errorf("%d unwritten sub-keys are remembered", n)
	}
	n := 0
	s.SetKey(1, []byte("k"))
	if err := s.Scan(h, func(_, _ []byte) bool { n++; return true }); err != nil || n != orderMax+10 {
		t.Errorf("a scan finds %d of %d, %v", n, orderMax+10, err)
	}
}

func cut(t testing.TB, s *Store, log *spy) {
	t.Helper()
	log.want = true
	s.Cut(dataflow.CheckpointID(1))
	log.finish(t)
}

// TestCutBeforeTheCountIsAnEstimate: after a restore whose log overwrites what the
// image has, the number of entries is a guess until they are counted. A cut does
// not wait for that, and says so.
func TestCutBeforeTheCountIsAnEstimate(t *testing.T) {
	s := setup(t, nil)
	h := register(t, s, "a")
	fill(t, s, h, 10)
	s.size.count = &count{ended: make(chan struct{}), entries: 8, bytes: 800, guessedEntries: 10, guessedBytes: 1000}
	if entries, _ := s.Size(); entries != 10 { // it does not wait either: it is asked after each batch
		t.Errorf("counting: %d entries", entries)
	}
	if c := s.Cut(1); !c.Estimated {
		t.Errorf("counting: %+v", c)
	}
	close(s.size.count.ended)
	if c := s.Cut(2); c.Estimated || c.Entries != 8 {
		t.Errorf("counted: %+v, want 8 entries", c)
	}
}
