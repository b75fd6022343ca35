package changelog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// scratch is a FileLoader, and a Scratch, that takes everything. Its files are
// entries too.
type scratch struct {
	table
	dir string
}

func newScratch(dir string) *scratch { return &scratch{table{}, dir} }

func (s *scratch) Size() (entries, bytes int64) { return int64(len(s.table)), 0 }
func (s *scratch) Close() error                 { return nil }

// LoadFiles implements FileLoader.
func (s *scratch) LoadFiles(ctx context.Context, files []snapshot.Segment, lo, hi int,
	fetch func(ctx context.Context, s snapshot.Segment, path string) error) error {
	for _, f := range files {
		path := filepath.Join(s.dir, filepath.Base(f.Name))
		if err := fetch(ctx, f, path); err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		s.table[f.Name] = string(data)
	}
	return nil
}

// everything makes a checkpoint that has every kind of segment, compressed and
// not: changes, and images in entries, records and files.
func everything(t *testing.T, b objectstore.Bucket) snapshot.Process {
	t.Helper()
	p := snapshot.Process{Process: "p"}
	synctest.Test(t, func(t *testing.T) {
		u := setup(t, b, nil)
		cuts := map[*Log]state.Cut{}
		add := func(name string, entries int64, changes uint64) *Log {
			l := newLog(t, u, name)
			cuts[l] = state.Cut{Position: changes, Entries: entries}
			return l
		}
		changes := add("changes", 3, 4)
		write(changes, strings.Repeat("compressible", 30), "a", "b", "c")
		write(changes, "again", "a")
		write(add("short", 1, 1), "x", "d")

		record := state.Records{KeySize: 1, ValueSize: 40}
		rows := record.AppendRun(record.AppendHeader(nil), 2, 2)
		rows = append(append(append(rows, 'e'), bytes.Repeat([]byte{7}, 40)...), 'f')
		rows = append(rows, bytes.Repeat([]byte{8}, 40)...)
		pictures := map[*Log][]state.Block{
			add("entries", 2, 1): {entryBlock(strings.Repeat("v", 200), "g", "h")},
			add("records", 2, 1): {{GroupLo: 2, GroupHi: 2, Entries: 2, Format: state.RecordBlock, Data: rows}},
			add("files", 3, 1): {
				{GroupLo: 0, GroupHi: 3, Format: state.FileBlock, Name: "db/1.sst", Data: []byte("file of many bytes")},
				{GroupLo: 0, GroupHi: groups - 1, Format: state.FileBlock, Name: "db/rest", Data: bytes.Repeat([]byte("r"), 300)},
			},
		}
		for l, blocks := range pictures {
			l.Image(&picture{blocks: blocks})
			synctest.Wait()
			key := "z"
			if l.name != "files" {
				key = map[string]string{"entries": "g", "records": "e"}[l.name]
			}
			write(l, "changed", key)
		}
		s := seal(t, u, 1, cuts)
		p.Objects, p.Sums = s.Objects, s.Sums
		for l, k := range s.Keyed {
			if l.name == "files" {
				k.Backend = "lsm"
			}
			p.Subtasks = append(p.Subtasks, snapshot.Subtask{
				Operators: []snapshot.Operator{{UID: dataflow.UID(l.name), Keyed: &k}},
			})
		}
	})
	return p
}

func verify(t *testing.T, b objectstore.Bucket, dir string, p snapshot.Process) *Report {
	t.Helper()
	r, err := Verify(t.Context(), VerifyConfig{
		Bucket: b, Processes: []snapshot.Process{p},
		Open: func(dataflow.UID, snapshot.Keyed) (Scratch, error) { return newScratch(dir), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// restoreOf restores one operator of the checkpoint.
func restoreOf(t *testing.T, b objectstore.Bucket, dir string, k snapshot.Keyed) (table, error) {
	t.Helper()
	into := newScratch(dir)
	_, err := Restore(t.Context(), b, []snapshot.Keyed{k}, 0, groups-1, into, nil)
	return into.table, err
}

// altered is a bucket in which one object has other bytes; nil if it is gone.
type altered struct {
	objectstore.Bucket
	key  string
	data []byte
}

// Get implements objectstore.Bucket.
func (a *altered) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	switch {
	case key != a.key:
		return a.Bucket.Get(ctx, key, offset, length)
	case a.data == nil:
		return nil, fmt.Errorf("get %s: %w", key, objectstore.ErrNotFound)
	}
	n, err := objectstore.CheckRange(key, offset, length, int64(len(a.data)))
	if err != nil {
		return nil, err
	}
	return bytes.Clone(a.data[offset : offset+n]), nil
}

// objectsOf returns the checkpoint's objects.
func objectsOf(t *testing.T, b objectstore.Bucket, p snapshot.Process) map[string][]byte {
	t.Helper()
	objects := map[string][]byte{}
	for _, r := range p.Objects {
		for n := r.Lo; n <= r.Hi; n++ {
			data, err := b.Get(t.Context(), objectKey(r.Prefix, n), 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			objects[objectKey(r.Prefix, n)] = data
		}
	}
	return objects
}

func TestVerifyOfAWholeCheckpoint(t *testing.T) {
	b := newSpy()
	p, dir := everything(t, b), t.TempDir()
	r := verify(t, b, dir, p)
	for _, x := range r.Problems {
		t.Errorf("%s: operator %q: %v", x.Object, x.UID, x.Err)
	}
	objects := objectsOf(t, b, p)
	var size int64
	contents := map[content]bool{}
	compressed := map[bool]bool{}
	for key, data := range objects {
		size += int64(len(data))
		index, err := ReadIndex(key, data)
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range index {
			flags := data[in.Segment.Ref.Offset]
			contents[content(flags>>contentShift)], compressed[flags&compressionMask != 0] = true, true
		}
	}
	if r.Objects != len(objects) || r.Bytes != size || r.Entries == 0 || len(contents) != 4 || len(compressed) != 2 {
		t.Errorf("report %+v; %d objects of %d bytes with contents %v, compressed %v", r, len(objects), size, contents, compressed)
	}
}

// TestAnyFlippedByteIsFound flips every byte of every object of a checkpoint that
// has every kind of segment.
func TestAnyFlippedByteIsFound(t *testing.T) {
	b := newSpy()
	p, dir := everything(t, b), t.TempDir()
	rnd := rand.New(rand.NewPCG(1, 2))
	want := map[dataflow.UID]table{}
	for _, s := range p.Subtasks {
		got, err := restoreOf(t, b, dir, *s.Operators[0].Keyed)
		if err != nil {
			t.Fatal(err)
		}
		want[s.Operators[0].UID] = got
	}
	for key, data := range objectsOf(t, b, p) {
		for i := range data {
			bad := &altered{b, key, bytes.Clone(data)}
			bad.data[i] ^= 1 << rnd.IntN(8)
			if r := verify(t, bad, dir, p); r.Restorable() || r.Problems[0].Object != key || !errors.Is(r.Problems[0].Err, objectstore.ErrCorrupt) {
				t.Fatalf("%s: byte %d of %d: problems %v", key, i, len(data), r.Problems)
			}
			for _, s := range p.Subtasks {
				checkRestoreOfFlipped(t, bad, int64(i), dir, *s.Operators[0].Keyed, want[s.Operators[0].UID])
			}
		}
	}
}

// checkRestoreOfFlipped restores a handle with a byte of one object flipped: it
// finds that if it reads the byte, and else gives what it always does.
func checkRestoreOfFlipped(t *testing.T, bad *altered, at int64, dir string, k snapshot.Keyed, want table) {
	t.Helper()
	reads := false
	for _, s := range k.Segments {
		reads = reads || s.Ref.Key == bad.key && s.Ref.Offset <= at && at < s.Ref.Offset+s.Ref.Length
	}
	got, err := restoreOf(t, bad, dir, k)
	var damage *ObjectError
	if reads {
		if !errors.As(err, &damage) || damage.Key != bad.key || !errors.Is(err, objectstore.ErrCorrupt) {
			t.Fatalf("%s: byte %d: restore: %v", bad.key, at, err)
		}
		return
	}
	if err != nil || !maps.Equal(got, want) {
		t.Fatalf("%s: byte %d, which it does not need: restore gives %v, %v", bad.key, at, got, err)
	}
}

func TestVerifyFindsObjectsOfOtherSizesAndNone(t *testing.T) {
	b := newSpy()
	p, dir := everything(t, b), t.TempDir()
	for key, data := range objectsOf(t, b, p) {
		for _, c := range []struct {
			what string
			data []byte
			is   error
		}{
			{"missing", nil, objectstore.ErrNotFound},
			{"empty", []byte{}, objectstore.ErrCorrupt},
			{"cut short", data[:len(data)-1], objectstore.ErrCorrupt},
			{"longer", append(bytes.Clone(data), 0), objectstore.ErrCorrupt},
		} {
			r := verify(t, &altered{b, key, c.data}, dir, p)
			if r.Restorable() || r.Problems[0].Object != key || !errors.Is(r.Problems[0].Err, c.is) {
				t.Errorf("%s is %s: problems %v", key, c.what, r.Problems)
			}
		}
	}
}

// TestVerifyLetsAnEstimateBe: a checkpoint that came before its store had counted
// what it restored is whole, though its number of entries is not right.
func TestVerifyLetsAnEstimateBe(t *testing.T) {
	b := newSpy()
	p, dir := everything(t, b), t.TempDir()
	for _, s := range p.Subtasks {
		k := s.Operators[0].Keyed
		k.Entries, k.Estimated = k.Entries+2, true
	}
	if r := verify(t, b, dir, p); !r.Restorable() {
		t.Errorf("not restorable: %v", r.Problems)
	}
}

func TestVerifyHoldsMetadataAgainstObjects(t *testing.T) {
	b := newSpy()
	p, dir := everything(t, b), t.TempDir()
	for what, change := range map[string]func(*snapshot.Process, *snapshot.Keyed){
		"wrong sum":      func(p *snapshot.Process, _ *snapshot.Keyed) { p.Sums[0].CRC32C++ },
		"no sum":         func(p *snapshot.Process, _ *snapshot.Keyed) { p.Sums[0] = snapshot.Sum{} },
		"too few sums":   func(p *snapshot.Process, _ *snapshot.Keyed) { p.Sums = p.Sums[1:] },
		"no object":      func(p *snapshot.Process, _ *snapshot.Keyed) { p.Objects, p.Sums = nil, nil },
		"other segment":  func(_ *snapshot.Process, k *snapshot.Keyed) { k.Segments[0].Ref.Offset++ },
		"more entries":   func(_ *snapshot.Process, k *snapshot.Keyed) { k.Entries++ },
		"other kind":     func(_ *snapshot.Process, k *snapshot.Keyed) { k.Segments[0].Base = true },
		"more positions": func(_ *snapshot.Process, k *snapshot.Keyed) { k.Segments[0].To += 5 },
		"more groups":    func(_ *snapshot.Process, k *snapshot.Keyed) { k.Segments[0].GroupHi += 5 },
	} {
		changed := p
		changed.Sums = append([]snapshot.Sum(nil), p.Sums...)
		changed.Subtasks = nil
		for _, s := range p.Subtasks {
			if o := s.Operators[0]; o.UID == "changes" {
				k := *o.Keyed
				k.Segments = append([]snapshot.Segment(nil), k.Segments...)
				change(&changed, &k)
				o.Keyed = &k
				s.Operators = []snapshot.Operator{o}
			}
			changed.Subtasks = append(changed.Subtasks, s)
		}
		if r := verify(t, b, dir, changed); r.Restorable() {
			t.Errorf("%s: not found", what)
		}
	}
}

func TestRestoreOfFilesNeedsTheirBackend(t *testing.T) {
	b := newSpy()
	for _, s := range everything(t, b).Subtasks {
		if o := s.Operators[0]; o.UID == "files" {
			_, err := Restore(t.Context(), b, []snapshot.Keyed{*o.Keyed}, 0, groups-1, table{}, nil)
			if !errors.Is(err, ErrNeedsFiles) || !strings.Contains(err.Error(), "savepoint") {
				t.Errorf("restore into memory: %v", err)
			}
		}
	}
}
