package savepoint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/file"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/savepoint"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state/changelog"
)

// TestRoundTrip: random changes to states of every kind, on each backend, with and without
// images, are the same after a savepoint, at any parallelism and on any backend, restored directly
// and by way of copies. The seed is rapid's.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		backends := rapid.SampledFrom([]string{"memory", "lsm"})
		images := rapid.Bool().Draw(r, "images")
		w := start(t, backends.Draw(r, "from"), rapid.IntRange(1, 5).Draw(r, "parallelism"), images)
		for range rapid.IntRange(1, 3).Draw(r, "batches") {
			for range rapid.IntRange(0, 80).Draw(r, "changes") {
				key := fmt.Sprint("key", rapid.IntRange(0, 20).Draw(r, "key"))
				w.change(key, rapid.IntRange(0, 7).Draw(r, "what"), rapid.Int64Range(-3, 1000).Draw(r, "n")+3)
			}
			w.p.Checkpoint(1)
		}
		m := w.checkpoint(false)
		want := entries(t, changelog.CopyConfig{Bucket: w.bucket}, m, m.Processes[0].Subtasks[0].Operators[0].Keyed.Backend, 1, false)
		to, written := w.write(m, rapid.SampledFrom([]int64{0, 4 << 10, 64 << 10}).Draw(r, "memory"))
		opened := must[*checkpointstore.Metadata](t)(savepoint.Open(t.Context(), to, "points/1"))
		if written.Rows != opened.Folder.Rows || int64(len(want)) > written.Rows {
			r.Fatalf("%d rows written, %d in the metadata, of %d entries", written.Rows, opened.Folder.Rows, len(want))
		}
		backend, parallelism := backends.Draw(r, "to"), rapid.IntRange(1, 6).Draw(r, "new parallelism")
		from := changelog.CopyConfig{Bucket: to, Prefix: "points/1/"}
		got := entries(t, from, opened, backend, parallelism, rapid.Bool().Draw(r, "copied"))
		if !slices.Equal(got, want) {
			r.Fatalf("restored on %s at %d:\n%s\nwant\n%s", backend, parallelism, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// filled is an operator with a few thousand entries, and its checkpoint.
func filled(t testing.TB, backend string, imaged bool) (*world, *checkpointstore.Metadata) {
	t.Helper()
	w := start(t, backend, 4, imaged)
	for i := range 6000 {
		w.change(fmt.Sprint("key", i%900), i, int64(i))
	}
	for round := 1; imaged && round <= 3; round++ { // until an image is worth it
		w.p.Checkpoint(dataflow.CheckpointID(round))
		for i := range 100 {
			w.change(fmt.Sprint("key", i), 0, int64(i))
		}
	}
	return w, w.checkpoint(imaged)
}

// TestImagesAreRead: those of memory are records and entries, those of lsm are files.
func TestImagesAreRead(t *testing.T) {
	for _, backend := range []string{"memory", "lsm"} {
		t.Run(backend, func(t *testing.T) {
			w, m := filled(t, backend, true)
			want := entries(t, changelog.CopyConfig{Bucket: w.bucket}, m, backend, 2, false)
			to, written := w.write(m, 0)
			opened := must[*checkpointstore.Metadata](t)(savepoint.Open(t.Context(), to, "points/1/_metadata"))
			for _, other := range []string{"memory", "lsm"} {
				if got := entries(t, changelog.CopyConfig{Bucket: to, Prefix: "points/1/"}, opened, other, 3, true); !slices.Equal(got, want) {
					t.Errorf("restored on %s: %d entries, want %d", other, len(got), len(want))
				}
			}
			check(t, savepoint.Verify(t.Context(), to, "points/1/"))
			if written.Files != len(opened.Folder.Files) || written.Bytes <= opened.Folder.Bytes || written.Rows == 0 {
				t.Errorf("written %+v", written)
			}
		})
	}
}

// TestFilesOfABackendAreRead: a state that is larger than a store's memory has an image of
// the backend's own files, and moves to the other backend all the same.
func TestFilesOfABackendAreRead(t *testing.T) {
	w := start(t, "lsm", 1, true)
	for round := range 14 { // each has a segment: more than an image is worth
		for i := range 6000 >> min(round, 7) {
			at := w.set(fmt.Sprint("key", i))
			check(t, w.totals[at].Set(total{Sum: int64(i), Name: strings.Repeat("x", 1<<10), Parts: make([]float64, round%3)}))
		}
		w.p.Checkpoint(dataflow.CheckpointID(round + 1))
	}
	m := w.checkpoint(true)
	k := m.Processes[0].Subtasks[0].Operators[0].Keyed
	if !slices.ContainsFunc(k.Segments, func(s snapshot.Segment) bool { return s.Kind == snapshot.SegmentFile }) {
		t.Fatal("the image has no files")
	}
	want := entries(t, changelog.CopyConfig{Bucket: w.bucket}, m, "lsm", 1, false)
	to, _ := w.write(m, 8<<20)
	opened := must[*checkpointstore.Metadata](t)(savepoint.Open(t.Context(), to, "points/1/"))
	if got := entries(t, changelog.CopyConfig{Bucket: to, Prefix: "points/1/"}, opened, "memory", 3, true); !slices.Equal(got, want) || len(got) != 6000 {
		t.Errorf("restored %d entries, want %d", len(got), len(want))
	}
	// A copy of the files themselves, for a native restore from elsewhere.
	if got := entries(t, changelog.CopyConfig{Bucket: w.bucket}, m, "lsm", 2, true); !slices.Equal(got, want) {
		t.Errorf("copied natively: %d entries, want %d", len(got), len(want))
	}
}

// TestLargeStateIsReadFromDisk: with little memory the parts go through a store on disk
// and become many files, each of few key groups, in their order.
func TestLargeStateIsReadFromDisk(t *testing.T) {
	w, m := filled(t, "memory", false)
	want := entries(t, changelog.CopyConfig{Bucket: w.bucket}, m, "memory", 1, false)
	to, written := w.write(m, 16<<10)
	opened := must[*checkpointstore.Metadata](t)(savepoint.Open(t.Context(), to, "points/1/"))
	if written.Files < 100 {
		t.Errorf("%d files", written.Files)
	}
	if got := entries(t, changelog.CopyConfig{Bucket: to, Prefix: "points/1/"}, opened, "memory", 7, false); !slices.Equal(got, want) {
		t.Errorf("restored %d entries, want %d", len(got), len(want))
	}
	for _, s := range opened.Processes[0].Subtasks {
		last := map[string]int{}
		for _, g := range s.Operators[0].Keyed.Segments {
			if g.GroupLo < last[g.Name] {
				t.Errorf("%s: key group %d comes after %d", g.Ref.Key, g.GroupLo, last[g.Name])
			}
			last[g.Name] = g.GroupHi
		}
	}
}

// TestSavepointSaysWhatTheCheckpointSaid: all but what is about the cluster's objects.
func TestSavepointSaysWhatTheCheckpointSaid(t *testing.T) {
	w, m := filled(t, "lsm", false)
	to, written := w.write(m, 0)
	opened := must[*checkpointstore.Metadata](t)(savepoint.Open(t.Context(), to, "points/1/"))
	if opened.Format != checkpointstore.FormatFolder || opened.Job != m.Job || opened.Checkpoint != m.Checkpoint || opened.KeyGroups != groups {
		t.Errorf("opened %+v", opened)
	}
	if p := opened.Processes[0]; p.Objects != nil || p.Sums != nil || p.Released != nil {
		t.Errorf("it names objects of the cluster: %+v", p.Objects)
	}
	for i, s := range opened.Processes[0].Subtasks {
		got, want := s.Operators[0], m.Processes[0].Subtasks[i].Operators[0]
		if !reflect.DeepEqual(got.Lists, want.Lists) || !reflect.DeepEqual(got.Unions, want.Unions) || !reflect.DeepEqual(got.Broadcast, want.Broadcast) ||
			!reflect.DeepEqual(got.Transactions, want.Transactions) || !reflect.DeepEqual(got.Schemas, want.Schemas) {
			t.Errorf("subtask %d: %+v, want %+v", i, got, want)
		}
		k := got.Keyed
		if k.Backend != "" || k.KeySchema != want.Keyed.KeySchema || !reflect.DeepEqual(k.States, want.Keyed.States) || k.Entries != want.Keyed.Entries {
			t.Errorf("subtask %d: %+v, want %+v", i, k, want.Keyed)
		}
		if want.Keyed.Segments[0].Kind == snapshot.SegmentParquet {
			t.Error("the checkpoint's own metadata was changed")
		}
	}
	data := must[[]byte](t)(to.Get(t.Context(), written.Metadata.Key, 0, -1))
	if int64(len(data)) != written.Metadata.Size || written.Metadata.Key != "points/1/_metadata" {
		t.Errorf("metadata object %+v of %d bytes", written.Metadata, len(data))
	}
}

// TestFolderMayBeMoved: copied by a person to a folder of a disk, under another name.
func TestFolderMayBeMoved(t *testing.T) {
	w, m := filled(t, "memory", false)
	want := entries(t, changelog.CopyConfig{Bucket: w.bucket}, m, "memory", 1, false)
	from, _ := w.write(m, 0)
	disk, err := file.Open(t.TempDir(), file.Options{})
	check(t, err)
	check(t, from.List(t.Context(), "", func(i objectstore.Info) error {
		data, err := from.Get(t.Context(), i.Key, 0, -1)
		if err != nil {
			return err
		}
		return disk.Put(t.Context(), "elsewhere/"+strings.TrimPrefix(i.Key, "points/1/"), data, objectstore.PutOptions{})
	}))
	opened := must[*checkpointstore.Metadata](t)(savepoint.Open(t.Context(), disk, "elsewhere"))
	check(t, savepoint.Verify(t.Context(), disk, "elsewhere"))
	if got := entries(t, changelog.CopyConfig{Bucket: disk, Prefix: "elsewhere/"}, opened, "lsm", 7, true); !slices.Equal(got, want) {
		t.Errorf("restored %d entries, want %d", len(got), len(want))
	}
}

// TestAnotherReaderSumsTheTotals reads the typed columns as any Parquet reader would.
func TestAnotherReaderSumsTheTotals(t *testing.T) {
	w, m := filled(t, "memory", false)
	to, _ := w.write(m, 64<<10)
	opened := must[*checkpointstore.Metadata](t)(savepoint.Open(t.Context(), to, "points/1/"))
	type row struct {
		Key   string `parquet:"key"`
		Value struct {
			Sum  int64
			Name string
		} `parquet:"value"`
		Group int32 `parquet:"key_group"`
	}
	got, last := map[string]int64{}, int32(0)
	for _, f := range opened.Folder.Files {
		if f.State != "total" {
			continue
		}
		data := must[[]byte](t)(to.Get(t.Context(), "points/1/"+f.Name, 0, -1))
		for _, r := range must[[]row](t)(parquet.Read[row](bytes.NewReader(data), int64(len(data)))) {
			got[r.Key] += r.Value.Sum
			if r.Value.Name != r.Key || int(r.Group) < f.GroupLo || int(r.Group) > f.GroupHi {
				t.Errorf("row %+v in file %+v", r, f)
			}
			last = r.Group
		}
	}
	if !reflect.DeepEqual(got, w.sums) || len(got) == 0 || last == 0 {
		t.Errorf("%d totals, want %d", len(got), len(w.sums))
	}
}

// TestMissingAndDamagedFilesAreNamed: with the operator and the state, at a restore and by Verify.
func TestMissingAndDamagedFilesAreNamed(t *testing.T) {
	w, m := filled(t, "memory", false)
	to, _ := w.write(m, 0)
	opened := must[*checkpointstore.Metadata](t)(savepoint.Open(t.Context(), to, "points/1/"))
	for _, f := range opened.Folder.Files {
		key := "points/1/" + f.Name
		whole := must[[]byte](t)(to.Get(t.Context(), key, 0, -1))
		damage := func(want error) {
			t.Helper()
			err := savepoint.Verify(t.Context(), to, "points/1/")
			if !errors.Is(err, want) || !strings.Contains(err.Error(), fmt.Sprintf("operator %q: %s %q", f.Operator, f.Kind, f.State)) || !strings.Contains(err.Error(), key) {
				t.Errorf("%s: %v, want %v", f.Name, err, want)
			}
			if strings.Contains(f.Kind, " list") || f.Kind == "broadcast state" {
				return // a restore has it from the metadata
			}
			u := must[*changelog.Uploader](t)(changelog.New(changelog.Config{Bucket: mem.New(), Prefix: "own/"}))
			var k []snapshot.Keyed
			for _, s := range opened.Processes[0].Subtasks {
				k = append(k, *s.Operators[0].Keyed)
			}
			_, err = u.Copy(t.Context(), changelog.CopyConfig{Bucket: to, Prefix: "points/1/"}, []changelog.Target{
				{Name: `operator "Totals by word"`, Handles: k, GroupHi: groups - 1},
			})
			if want == objectstore.ErrNotFound && (!errors.Is(err, want) || !strings.Contains(err.Error(), fmt.Sprintf(`operator "Totals by word": key groups %d to %d: state %q`, f.GroupLo, f.GroupHi, f.State))) {
				t.Errorf("%s: copy: %v, want %v", f.Name, err, want)
			}
		}
		bad := bytes.Clone(whole)
		bad[len(bad)/2] ^= 1
		check(t, to.Delete(t.Context(), key))
		damage(objectstore.ErrNotFound)
		check(t, to.Put(t.Context(), key, bad, objectstore.PutOptions{}))
		damage(objectstore.ErrCorrupt)
		check(t, to.Delete(t.Context(), key))
		check(t, to.Put(t.Context(), key, whole, objectstore.PutOptions{}))
	}
}

// failing fails every Put but the first few.
type failing struct {
	objectstore.Bucket
	left atomic.Int64
}

func (f *failing) Put(ctx context.Context, key string, data []byte, o objectstore.PutOptions) error {
	if f.left.Add(-1) < 0 {
		return fmt.Errorf("put %s: no room", key)
	}
	return f.Bucket.Put(ctx, key, data, o)
}

// TestBrokenWriteLeavesNoSavepoint: whichever upload fails, there is no metadata object, the scratch
// folders are gone, and the error says what was written.
func TestBrokenWriteLeavesNoSavepoint(t *testing.T) {
	w, m := filled(t, "lsm", false)
	_, written := w.write(m, 0)
	for n := range written.Files + 1 {
		to, temp := mem.New(), t.TempDir()
		bad := &failing{Bucket: to}
		bad.left.Store(int64(n))
		_, err := savepoint.Write(t.Context(), savepoint.WriteConfig{
			Bucket: w.bucket, Metadata: m, To: bad, Folder: "f/", TempDir: temp,
		})
		if err == nil || !strings.Contains(err.Error(), "no room") || !strings.Contains(err.Error(), "checkpoint 7 to f/") {
			t.Errorf("after %d files: %v", n, err)
		}
		if _, err := savepoint.Open(t.Context(), to, "f/"); !errors.Is(err, objectstore.ErrNotFound) {
			t.Errorf("after %d files: open: %v", n, err)
		}
		if left := must[[]os.DirEntry](t)(os.ReadDir(temp)); len(left) > 0 {
			t.Errorf("after %d files: left %v", n, left)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	w, m := filled(t, "memory", false)
	flight := *m
	flight.Format = 2
	canonical := *m
	canonical.Folder = &checkpointstore.Folder{}
	for _, test := range []struct {
		m      *checkpointstore.Metadata
		folder string
		want   string
	}{
		{&flight, "f/", "records in flight"},
		{&canonical, "f/", "canonical savepoint already"},
		{m, "f", "does not end in '/'"},
	} {
		_, err := savepoint.Write(t.Context(), savepoint.WriteConfig{Bucket: w.bucket, Metadata: test.m, To: mem.New(), Folder: test.folder})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %q", err, test.want)
		}
	}
	data := must[[]byte](t)(checkpointstore.Encode(m))
	check(t, w.bucket.Put(t.Context(), "x/_metadata", data, objectstore.PutOptions{}))
	if _, err := savepoint.Open(t.Context(), w.bucket, "x"); !errors.Is(err, savepoint.ErrNotCanonical) {
		t.Errorf("a checkpoint opened as a savepoint: %v", err)
	}
}

// TestProgressEndsWithAll: bytes of live state.
func TestProgressEndsWithAll(t *testing.T) {
	w, m := filled(t, "memory", false)
	var done, total int64
	_, err := savepoint.Write(t.Context(), savepoint.WriteConfig{
		Bucket: w.bucket, Metadata: m, To: mem.New(), MemoryBytes: 64 << 10,
		Progress: func(d, n int64) {
			if d < done {
				t.Errorf("%d after %d", d, done)
			}
			done, total = d, n
		},
	})
	check(t, err)
	if total == 0 || done > total || done < total/2 {
		t.Errorf("told of %d of %d", done, total)
	}
}

func TestPrefix(t *testing.T) {
	for folder, want := range map[string]string{
		"": "", "/": "", "_metadata": "", "a": "a/", "a/": "a/", "a/b/_metadata": "a/b/", "my_metadata": "my_metadata/",
	} {
		if got := savepoint.Prefix(folder); got != want {
			t.Errorf("%q: %q, want %q", folder, got, want)
		}
	}
}
