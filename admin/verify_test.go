package admin

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/inspect/inspecttest"
)

// storedJob writes three checkpoints of a small job to memory, the last with full
// images behind it, and finds them there.
func storedJob(t *testing.T) *stored {
	t.Helper()
	b := mem.New()
	store := checkpointstore.New(b, "c1")
	keys, err := codec.Key[string]()
	if err != nil {
		t.Fatal(err)
	}
	p := inspecttest.Start(t, inspecttest.Config{
		Bucket: b, Prefix: checkpointstore.RunPrefix("c1", "job", 1, "p"), UID: "count", KeySchema: keys.Schema(), KeyGroups: 8, Parallelism: 2, Images: true,
	})
	var values []*state.Value[int64]
	for _, s := range p.Stores() {
		v, err := state.NewValue[int64](s, "n")
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	for id := range dataflow.CheckpointID(3) {
		for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
			if err := values[p.SetKey(keys.Append(nil, &key))].Set(int64(id)); err != nil {
				t.Fatal(err)
			}
		}
		part := p.Checkpoint(id + 1)
		if id == 2 {
			part = p.Imaged(id + 1)
		}
		m := &checkpointstore.Metadata{
			Job: "job", Attempt: 1, Checkpoint: id + 1, BegunAt: time.UnixMilli(0), Graph: json.RawMessage(`{}`), KeyGroups: 8, Processes: []snapshot.Process{part},
		}
		if _, err := store.Write(t.Context(), m, 1); err != nil {
			t.Fatal(err)
		}
	}
	found, err := store.Find(t.Context(), "job")
	if err != nil {
		t.Fatal(err)
	}
	again := func(ctx context.Context) ([]checkpointstore.Found, error) { return found, ctx.Err() }
	return &stored{bucket: b, store: store, job: "job", found: found, again: again}
}

// objectsOf names a checkpoint's objects, its metadata object first.
func objectsOf(t *testing.T, s *stored, f checkpointstore.Found) []string {
	t.Helper()
	m, err := s.store.ReadFound(t.Context(), f.Key)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{f.Key}
	for _, p := range m.Processes {
		for _, run := range p.Objects {
			for n := run.Lo; n <= run.Hi; n++ {
				names = append(names, checkpointstore.ObjectKey(run, n))
			}
		}
	}
	return names
}

// TestVerifyFindsEveryFlippedByte of every object of every checkpoint, names the
// object, and blames exactly the checkpoints that have it.
func TestVerifyFindsEveryFlippedByte(t *testing.T) {
	s := storedJob(t)
	users := map[string][]dataflow.CheckpointID{}
	for _, f := range s.newestFirst() {
		for _, name := range objectsOf(t, s, f) {
			users[name] = append(users[name], f.Checkpoint)
		}
		if v := verifyOne(t, s, f); !v.Restorable || v.Entries != 6 || len(v.Problems) > 0 {
			t.Fatalf("whole, but %+v", v)
		}
	}
	for name, ids := range users {
		data, err := s.bucket.Get(t.Context(), name, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		f := s.found[ids[0]-1]
		for i := range data {
			damaged := slices.Clone(data)
			damaged[i] ^= 1 << (i % 8)
			write(t, s, name, damaged)
			v := verifyOne(t, s, f)
			if v.Restorable || len(v.Problems) == 0 {
				t.Fatalf("byte %d of %s: nothing found", i, name)
			}
			for _, p := range v.Problems {
				if p.Object != name || !slices.Equal(p.NeededBy, ids) {
					t.Fatalf("byte %d of %s, needed by %v: found %+v", i, name, ids, p)
				}
			}
		}
		write(t, s, name, data)
	}
}

func verifyOne(t *testing.T, s *stored, f checkpointstore.Found) verdict {
	t.Helper()
	v, err := s.verify(t.Context(), f, &progress{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func write(t *testing.T, s *stored, name string, data []byte) {
	t.Helper()
	if err := s.bucket.Put(t.Context(), name, data, objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestDroppedCheckpointIsNotDamaged: a running job drops its oldest checkpoints
// while they are read, and then objects are missing that nobody needs.
func TestDroppedCheckpointIsNotDamaged(t *testing.T) {
	s := storedJob(t)
	f := s.found[0]
	if err := s.bucket.Delete(t.Context(), f.Key); err != nil {
		t.Fatal(err)
	}
	if v := verifyOne(t, s, f); v.Restorable || v.Dropped || len(v.Problems) != 1 || !slices.Equal(v.Problems[0].NeededBy, []dataflow.CheckpointID{1}) {
		t.Errorf("its metadata is lost, but %+v", v)
	}
	s.again = func(ctx context.Context) ([]checkpointstore.Found, error) { return s.store.Find(ctx, s.job) }
	if v := verifyOne(t, s, f); v.Restorable || !v.Dropped {
		t.Errorf("it was dropped, but %+v", v)
	}
	work := func(ctx context.Context, s *stored, _ []string) error {
		_, err := s.open(ctx, 1)
		return err
	}
	err := new(tree).withStored(t.Context(), s, nil, nil, work)
	if ExitCode(err) != ExitNotFound || !strings.Contains(err.Error(), "checkpoint 1 of job job was dropped while it was read") {
		t.Errorf("reading it: %v", err)
	}
}

// TestWayOut: the newest checkpoint that is whole is offered, or the newest that may be.
func TestWayOut(t *testing.T) {
	s := &stored{job: "j", found: []checkpointstore.Found{{Checkpoint: 7}, {Checkpoint: 8}, {Checkpoint: 9}}}
	bad := func(id dataflow.CheckpointID, needed ...dataflow.CheckpointID) verdict {
		return verdict{Checkpoint: id, Problems: []problemView{{Object: "o", NeededBy: needed}}}
	}
	for _, c := range []struct {
		verdicts []verdict
		want     string
	}{
		{[]verdict{bad(9, 9)}, "8 needs nothing of what is damaged, `cairn checkpoint verify j 8` tells whether it is whole"},
		{[]verdict{bad(9, 9, 8)}, "7 needs nothing of what is damaged"},
		{[]verdict{bad(9, 9, 8, 7)}, "no other checkpoint is left that could be whole"},
		{[]verdict{bad(9, 9), bad(8, 8), {Checkpoint: 7, Restorable: true}}, "7 is the newest that is"},
		{[]verdict{bad(8, 8)}, "9 needs nothing of what is damaged"},
	} {
		if got := s.wayOut(c.verdicts); !strings.HasPrefix(got, c.want) {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
