package changelog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// LoadRecords implements Loader.
func (m table) LoadRecords(r state.Records, group int, data []byte) error {
	for ; len(data) > 0; data = data[r.Size():] {
		e := state.Entry{Handle: r.Handle, Group: group, Key: data[:r.KeySize], Value: data[r.KeySize+r.SubSize : r.Size()]}
		if err := m.Load(e); err != nil {
			return err
		}
	}
	return nil
}

// strict is a Loader that checks how it is called.
type strict struct {
	t       *testing.T
	alone   sync.Mutex // held by all but LoadRecords
	loading atomic.Int64
	groups  [groups]sync.Mutex
	records atomic.Int64
}

func (s *strict) only(f func()) {
	if !s.alone.TryLock() || s.loading.Load() > 0 {
		s.t.Error("called at once with another call")
		return
	}
	defer s.alone.Unlock()
	f()
}

func (s *strict) Register(d state.Definition) (h state.Handle, err error) {
	s.only(func() { h, err = table{}.Register(d) })
	return h, err
}

func (s *strict) Load(state.Entry) error {
	s.only(func() {})
	return nil
}

func (s *strict) LoadRecords(_ state.Records, group int, data []byte) error {
	s.loading.Add(1)
	defer s.loading.Add(-1)
	if !s.groups[group].TryLock() {
		s.t.Errorf("group %d is loaded twice at once", group)
		return nil
	}
	defer s.groups[group].Unlock()
	s.records.Add(int64(len(data)))
	return nil
}

// rows is a block of records of one byte each.
func rows(group int, keys string) state.Block {
	r := state.Records{KeySize: 1}
	data := r.AppendRun(r.AppendHeader(nil), group, len(keys))
	return state.Block{GroupLo: group, GroupHi: group, Entries: len(keys), Format: state.RecordBlock, Data: append(data, keys...)}
}

// TestRestoreKeepsToTheLoadersContract restores an image of many parts, in which
// groups come several times, and changes.
func TestRestoreKeepsToTheLoadersContract(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSpy()
		u := setup(t, b, nil)
		l := newLog(t, u, "a")
		var blocks []state.Block
		for i := range 200 {
			blocks = append(blocks, rows(i%groups, strings.Repeat("k", 50<<10)))
		}
		l.Image(&picture{blocks: blocks})
		synctest.Wait()
		write(l, "v", "a", "b")
		k := seal(t, u, 1, cutAt(l, 2)).Keyed[l]
		into := &strict{t: t}
		if _, err := Restore(t.Context(), b, []snapshot.Keyed{k}, 0, groups-1, into, nil); err != nil {
			t.Fatal(err)
		}
		equal(t, "bytes of records", into.records.Load(), 200*50<<10)
	})
}

func TestRestoreReadsAnObjectOnceForAllStores(t *testing.T) {
	b := newSpy()
	u := setup(t, b, nil)
	one, two := newLog(t, u, "one"), newLog(t, u, "two")
	cuts := map[*Log]state.Cut{}
	var s *Seal
	for i := range 5 {
		write(one, "1", fmt.Sprint(i))
		write(two, "2", fmt.Sprint(i))
		cuts[one], cuts[two] = state.Cut{Position: uint64(i + 1)}, state.Cut{Position: uint64(i + 1)}
		s = seal(t, u, 1, cuts)
	}
	first, second := table{}, table{}
	done, err := RestoreAll(t.Context(), RestoreConfig{Bucket: b}, []Target{
		{Handles: []snapshot.Keyed{s.Keyed[one]}, GroupHi: groups - 1, Into: first},
		{Handles: []snapshot.Keyed{s.Keyed[two]}, GroupHi: groups - 1, Into: second},
	})
	if err != nil || len(first) != 5 || len(second) != 5 || first["3"] != "1" || second["3"] != "2" {
		t.Fatalf("restored %v and %v, error %v", first, second, err)
	}
	if len(b.gets) != 5 || done.Reads != 5 || done.Entries != 10 {
		t.Errorf("reads %v; %+v", b.gets, done)
	}
	equal(t, "inherited", done.Inherited, [][]snapshot.Segment{s.Keyed[one].Segments, s.Keyed[two].Segments})
}

func TestRestoreReadsLocalCopiesFirst(t *testing.T) {
	b := newSpy()
	dir := t.TempDir()
	u := setup(t, b, func(c *Config) { c.LocalDir = dir })
	l := newLog(t, u, "a")
	for i := range 4 {
		write(l, strings.Repeat("v", 100), fmt.Sprint(i))
		seal(t, u, 1, cutAt(l, uint64(i+1)))
	}
	k := seal(t, u, 2, cutAt(l, 4)).Keyed[l]
	local := OpenLocal(filepath.Join(dir, LocalFolder))
	restore := func(wantReads int) Progress {
		t.Helper()
		b.gets = nil
		into := table{}
		done, err := RestoreAll(t.Context(), RestoreConfig{Bucket: b, Local: local},
			[]Target{{Handles: []snapshot.Keyed{k}, GroupHi: groups - 1, Into: into}})
		if err != nil || len(into) != 4 || len(b.gets) != wantReads {
			t.Fatalf("restored %d entries with %d reads, error %v; want 4 with %d", len(into), len(b.gets), err, wantReads)
		}
		return done.Progress
	}
	if p := restore(0); p.Remote != 0 || p.Local != p.Total || p.Done != p.Total {
		t.Errorf("all is here: %+v", p)
	}
	files, err := filepath.Glob(filepath.Join(dir, LocalFolder, "*"))
	if err != nil || len(files) != 4 {
		t.Fatalf("files %v, error %v", files, err)
	}
	data, err := os.ReadFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	at := k.Segments[1].Ref.Offset
	for _, torn := range [][]byte{nil, data[:at+1], append(append(bytes.Clone(data[:at]), data[at]^1), data[at+1:]...)} {
		if err := os.WriteFile(files[1], torn, 0o600); err != nil {
			t.Fatal(err)
		}
		if p := restore(1); p.Remote != k.Segments[1].Ref.Length || p.Done != p.Total {
			t.Errorf("one of four is torn: %+v", p)
		}
	}
}

// evolving is a Loader of one state that takes note of the schema it has.
type evolving struct {
	table
	schemas []string
}

func (e *evolving) Register(d state.Definition) (state.Handle, error) {
	e.schemas = append(e.schemas, d.Schema)
	return 5, nil
}

// TestRestoreBringsOldSegmentsToTheNewestSchema: two subtasks had entries from
// before and from after a change of schema; now one store takes both.
func TestRestoreBringsOldSegmentsToTheNewestSchema(t *testing.T) {
	b := newSpy()
	u := setup(t, b, nil)
	cuts := map[*Log]state.Cut{}
	var logs []*Log
	for i, keys := range []string{"ab", "cd"} {
		l, err := u.Log(keys, i*groups/2, (i+1)*groups/2-1)
		if err != nil {
			t.Fatal(err)
		}
		logs = append(logs, l)
		cuts[l] = state.Cut{Position: 2}
		appendOne := func(key byte, value string) {
			e := state.Entry{Group: i * groups / 2, Key: []byte{key}, Value: []byte(value)}
			l.Append(state.AppendEntry(nil, e), 1)
		}
		l.Define(0, state.Definition{Name: "s", Kind: "value", Schema: "fixed {A:uint8}"})
		appendOne(keys[0], "x")
		seal(t, u, 1, map[*Log]state.Cut{l: {Position: 1}})
		l.Define(0, state.Definition{Name: "s", Kind: "value", Schema: "fixed {A:uint8,B:uint8}"})
		appendOne(keys[1], "yz")
	}
	s := seal(t, u, 2, cuts)
	into := &evolving{table: table{}}
	_, err := Restore(t.Context(), b, []snapshot.Keyed{s.Keyed[logs[0]], s.Keyed[logs[1]]}, 0, groups-1, into, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, schema := range into.schemas {
		equal(t, "schema", schema, "fixed {A:uint8,B:uint8}")
	}
	equal(t, "state", into.table, table{"a": "x\x00", "b": "yz", "c": "x\x00", "d": "yz"})
}

func TestRestoreNamesTheOperatorAndTheObject(t *testing.T) {
	b, handles := oneObject(t)
	_, err := RestoreAll(t.Context(), RestoreConfig{Bucket: &altered{b, firstObject, nil}},
		[]Target{{Name: "operator \"x\"", Handles: handles, GroupHi: groups - 1, Into: table{}}})
	var damage *ObjectError
	if !errors.As(err, &damage) || damage.Key != firstObject || !errors.Is(err, objectstore.ErrNotFound) {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{"operator \"x\"", "key groups", firstObject} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not name %s", err, want)
		}
	}
}
