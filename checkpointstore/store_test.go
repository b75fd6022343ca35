package checkpointstore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/faulty"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/snapshot"
)

func setup(t *testing.T) (*Store, *faulty.Bucket) {
	t.Helper()
	b := faulty.New(mem.New(), 1)
	return New(b, "c1"), b
}

func names(t *testing.T, b objectstore.Bucket) []string {
	t.Helper()
	var keys []string
	err := b.List(t.Context(), "", func(i objectstore.Info) error {
		keys = append(keys, i.Key)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestWriteAndRead(t *testing.T) {
	s, b := setup(t)
	m := example()
	o, err := s.Write(t.Context(), m, 7)
	if err != nil {
		t.Fatal(err)
	}
	want := "c1/jobs/flights-abc123/metadata/000000000041-t7-" + o.SHA256[:16]
	if got := names(t, b); !slices.Equal(got, []string{want}) || o.Key != want {
		t.Errorf("wrote %q as %q, want %q", o.Key, got, want)
	}
	if got, err := s.Read(t.Context(), o); err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("read %+v, %v", got, err)
	}
}

func TestWriteIsIdempotent(t *testing.T) {
	s, b := setup(t)
	b.Add(faulty.Rule{Ops: faulty.Puts, Fault: faulty.LoseReply, Times: 1})
	m := example()
	if _, err := s.Write(t.Context(), m, 7); !errors.Is(err, faulty.ErrInjected) {
		t.Fatal(err)
	}
	first, err := s.Write(t.Context(), m, 7)
	if err != nil {
		t.Fatal(err)
	}
	// The order in which acknowledgements came changes nothing.
	m.Processes = append([]snapshot.Process{{Process: "p2"}}, m.Processes...)
	one, err := s.Write(t.Context(), m, 7)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(m.Processes)
	other, err := s.Write(t.Context(), m, 7)
	if err != nil || one != other || one == first {
		t.Errorf("%+v and %+v, %v", one, other, err)
	}
	// Another leader has a name of its own.
	if later, err := s.Write(t.Context(), m, 8); err != nil || later.Key == one.Key {
		t.Errorf("%+v, %v", later, err)
	}
}

func TestReadVerifies(t *testing.T) {
	s, b := setup(t)
	o, err := s.Write(t.Context(), example(), 7)
	if err != nil {
		t.Fatal(err)
	}
	for what, fault := range map[string]faulty.Fault{"a flipped bit": faulty.Flip, "a lost byte": faulty.Truncate} {
		rule := b.Add(faulty.Rule{Ops: faulty.Gets, Fault: fault})
		if _, err := s.Read(t.Context(), o); !errors.Is(err, objectstore.ErrCorrupt) || !strings.Contains(err.Error(), o.Key) {
			t.Errorf("%s: %v", what, err)
		}
		rule.Lift()
	}
	longer := o
	longer.Size++
	if _, err := s.Read(t.Context(), longer); !errors.Is(err, objectstore.ErrCorrupt) {
		t.Errorf("shorter than its record: %v", err)
	}
	o.Key += "x"
	if _, err := s.Read(t.Context(), o); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("missing: %v", err)
	}
}

func TestArtifact(t *testing.T) {
	s, b := setup(t)
	program := bytes.Repeat([]byte("program"), 10_000)
	sum, _, err := objectstore.SHA256(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	counted := objectstore.Count(b)
	s.bucket = counted
	for i := range 2 {
		o, existed, err := s.PutArtifact(t.Context(), sum, bytes.NewReader(program))
		want := catalog.Object{Key: "c1/artifacts/" + sum, Size: int64(len(program)), SHA256: sum}
		if err != nil || o != want || existed != (i == 1) {
			t.Fatalf("put %d: %+v, existed %v, %v", i, o, existed, err)
		}
	}
	if n := counted.Counts().Puts; n != 1 {
		t.Errorf("sent %d times", n)
	}
	if ok, err := s.HasArtifact(t.Context(), sum); !ok || err != nil {
		t.Errorf("has: %v, %v", ok, err)
	}
	path := filepath.Join(t.TempDir(), "job")
	if err := s.FetchArtifact(t.Context(), sum, path); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, program) {
		t.Errorf("fetched %d bytes, %v", len(got), err)
	}
}

// TestArtifactHeals damages an artifact in the bucket without changing its
// size: it is refused when it is fetched, and whole again once it is put again.
func TestArtifactHeals(t *testing.T) {
	s, b := setup(t)
	sum, _, err := objectstore.SHA256(strings.NewReader("program"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "job")
	if err := b.Put(t.Context(), ArtifactKey("c1", sum), []byte("pr0gram"), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.FetchArtifact(t.Context(), sum, path); !errors.Is(err, objectstore.ErrCorrupt) {
		t.Errorf("fetch of a damaged artifact: %v", err)
	}
	if ok, err := s.HasArtifact(t.Context(), sum); ok || err != nil {
		t.Errorf("has a damaged artifact: %v, %v", ok, err)
	}
	if _, existed, err := s.PutArtifact(t.Context(), sum, strings.NewReader("program")); existed || err != nil {
		t.Errorf("put: existed %v, %v", existed, err)
	}
	if err := s.FetchArtifact(t.Context(), sum, path); err != nil {
		t.Error(err)
	}
}

func TestArtifactWithAnotherHash(t *testing.T) {
	s, b := setup(t)
	wrong := strings.Repeat("0", 64)
	_, _, err := s.PutArtifact(t.Context(), wrong, strings.NewReader("program"))
	if !errors.Is(err, objectstore.ErrCorrupt) || !strings.Contains(err.Error(), "announced was "+wrong) {
		t.Errorf("put: %v", err)
	}
	if left := names(t, b); len(left) != 0 {
		t.Errorf("stored %q", left)
	}
	for _, bad := range []string{"", "xyz", strings.Repeat("A", 64), "../../etc/passwd"} {
		if _, _, err := s.PutArtifact(t.Context(), bad, strings.NewReader("")); err == nil {
			t.Errorf("%q is taken for a hash", bad)
		}
		if err := s.FetchArtifact(t.Context(), bad, filepath.Join(t.TempDir(), "x")); err == nil {
			t.Errorf("%q is taken for a hash", bad)
		}
	}
	if ok, err := s.HasArtifact(t.Context(), wrong); ok || err != nil {
		t.Errorf("has: %v, %v", ok, err)
	}
}

func TestDamagedArtifactIsNotKept(t *testing.T) {
	s, b := setup(t)
	sum, _, err := objectstore.SHA256(strings.NewReader("program"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.PutArtifact(t.Context(), sum, strings.NewReader("program")); err != nil {
		t.Fatal(err)
	}
	b.Add(faulty.Rule{Ops: faulty.Gets, Fault: faulty.Flip})
	dir := t.TempDir()
	if err := s.FetchArtifact(t.Context(), sum, filepath.Join(dir, "job")); !errors.Is(err, objectstore.ErrCorrupt) {
		t.Errorf("fetch: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}

func TestCollect(t *testing.T) {
	s, b := setup(t)
	run := func(process string, lo, hi uint64) snapshot.Run {
		return snapshot.Run{Prefix: RunPrefix("c1", "j", 1, "p"+"-"+"x") + process, Lo: lo, Hi: hi}
	}
	a, c := run("a/", 1, 30), run("c/", 5, 6)
	for _, r := range []snapshot.Run{a, c} {
		for n := r.Lo; n <= r.Hi+1; n++ { // one more than garbage
			if err := b.Put(t.Context(), ObjectKey(r, n), nil, objectstore.PutOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	object := catalog.Object{Key: "c1/jobs/j/metadata/1"}
	if err := b.Put(t.Context(), object.Key, nil, objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	rule := b.Add(faulty.Rule{Ops: []faulty.Op{faulty.Delete}, Prefix: ObjectKey(a, 17)})
	runs, objects, err := s.Collect(t.Context(), []snapshot.Run{a, c}, []catalog.Object{object})
	if !errors.Is(err, faulty.ErrInjected) || !reflect.DeepEqual(runs, []snapshot.Run{c}) || !reflect.DeepEqual(objects, []catalog.Object{object}) {
		t.Errorf("with one failure: %v, %v, %v", runs, objects, err)
	}
	rule.Lift()
	runs, objects, err = s.Collect(t.Context(), []snapshot.Run{a}, nil)
	if err != nil || !reflect.DeepEqual(runs, []snapshot.Run{a}) || len(objects) != 0 {
		t.Errorf("again: %v, %v, %v", runs, objects, err)
	}
	want := []string{ObjectKey(a, 31), ObjectKey(c, 7)}
	if left := names(t, b); fmt.Sprint(left) != fmt.Sprint(want) {
		t.Errorf("left %q, want %q", left, want)
	}
}
