package checkpointstore

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
)

// put writes data under key.
func put(t *testing.T, s *Store, key string, data []byte) {
	t.Helper()
	if err := s.Bucket().Put(t.Context(), key, data, objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

// write writes the example as checkpoint id under term, and returns its name.
func write(t *testing.T, s *Store, id dataflow.CheckpointID, term dataflow.Term) string {
	t.Helper()
	m := example()
	m.Checkpoint = id
	o, err := s.Write(t.Context(), m, term)
	if err != nil {
		t.Fatal(err)
	}
	return o.Key
}

func TestFind(t *testing.T) {
	s, _ := setup(t)
	job := example().Job
	if found, err := s.Find(t.Context(), job); err != nil || len(found) > 0 {
		t.Errorf("in an empty bucket: %v, %v", found, err)
	}
	write(t, s, 41, 9)
	late := write(t, s, 41, 10) // the leader of term 9 died before its Raft entry
	old := write(t, s, 9, 2)
	put(t, s, MetadataPrefix("c1", job)+"what-is-this", []byte("x"))
	put(t, s, MetadataPrefix("c1", job+"x")+"000000000050-t1-0123456789abcdef", []byte("another job's"))

	found, err := s.Find(t.Context(), job)
	var got []string
	for _, f := range found {
		got = append(got, f.Key)
		if f.Size == 0 {
			t.Errorf("%s has no size", f.Key)
		}
	}
	if err != nil || !slices.Equal(got, []string{old, late}) {
		t.Errorf("found %q, %v, want %q and %q", got, err, old, late)
	}
	if m, err := s.ReadFound(t.Context(), late); err != nil || m.Checkpoint != 41 {
		t.Errorf("read %+v, %v", m, err)
	}
}

// TestFlippedMetadataIsFound: there is no byte of a metadata object that may
// change unseen, though nobody tells its hash.
func TestFlippedMetadataIsFound(t *testing.T) {
	s, _ := setup(t)
	key := write(t, s, 41, 7)
	data, err := s.Bucket().Get(t.Context(), key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		damaged := slices.Clone(data)
		damaged[i] ^= 1 << (i % 8)
		put(t, s, key, damaged)
		if _, err := s.ReadFound(t.Context(), key); !errors.Is(err, objectstore.ErrCorrupt) || !strings.Contains(err.Error(), key) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
	if _, err := s.ReadFound(t.Context(), key+"0"); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("missing: %v", err)
	}
}

func TestJobs(t *testing.T) {
	s, _ := setup(t)
	for _, key := range []string{"c1/jobs/b/metadata/x", "c1/jobs/a/1/p/000000000001.0", "c1/jobs/a/metadata/y", "c1/artifacts/z", "c2/jobs/other/metadata/x"} {
		put(t, s, key, []byte("x"))
	}
	if jobs, err := s.Jobs(t.Context()); err != nil || !slices.Equal(jobs, []dataflow.JobID{"a", "b"}) {
		t.Errorf("jobs %q, %v", jobs, err)
	}
}
