package changelog

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// inFlightOf are two channels' batches, one of them of a size that compresses.
func inFlightOf(id int) []InFlight {
	return []InFlight{
		{Channel: "0: 0 -> 1", Batches: [][]byte{[]byte(fmt.Sprint("first of ", id)), {}, bytes.Repeat([]byte("again "), 1000)}},
		{Channel: "0: 1 -> 1", Batches: [][]byte{[]byte("x")}},
	}
}

func TestWhatWasInFlightIsReadAgain(t *testing.T) {
	b := mem.New()
	synctest.Test(t, func(t *testing.T) {
		u := setup(t, b, nil)
		u.KeepInFlight(4, inFlightOf(4))
		seal, err := u.Seal(t.Context(), 4, map[*Log]state.Cut{})
		if err != nil {
			t.Fatal(err)
		}
		if len(seal.InFlight) != 2 || len(seal.Objects) != 1 || len(seal.Sums) != 1 || seal.Puts != 1 {
			t.Fatalf("seal %+v: want two channels in one object", seal)
		}
		for i, want := range inFlightOf(4) {
			got, err := ReadInFlight(t.Context(), b, nil, seal.InFlight[i])
			if err != nil || len(got) != len(want.Batches) {
				t.Fatalf("channel %d: %d batches, error %v; want %d", i, len(got), err, len(want.Batches))
			}
			for k := range got {
				if !bytes.Equal(got[k], want.Batches[k]) {
					t.Errorf("channel %d, batch %d: %.20q, want %.20q", i, k, got[k], want.Batches[k])
				}
			}
		}
		verifyInFlight(t, b, seal)
	})
}

// verifyInFlight verifies a checkpoint of the seal, and then one whose object is damaged.
func verifyInFlight(t *testing.T, b objectstore.Bucket, seal *Seal) {
	t.Helper()
	p := snapshot.Process{Process: "p", Objects: seal.Objects, Sums: seal.Sums, Subtasks: []snapshot.Subtask{{
		Operators: []snapshot.Operator{{UID: "sum"}}, InFlight: []snapshot.InFlight{{Ref: seal.InFlight[0]}, {Ref: seal.InFlight[1]}},
	}}}
	check := func() *Report {
		r, err := Verify(t.Context(), VerifyConfig{Bucket: b, Processes: []snapshot.Process{p}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := check(); !r.Restorable() || r.Objects != 1 || r.Segments != 2 {
		t.Errorf("verified: %+v", r)
	}
	p.Subtasks[0].InFlight[1].Ref.Offset++
	if r := check(); r.Restorable() {
		t.Error("a reference to no segment is not found")
	}
	ref := seal.InFlight[0]
	data, err := b.Get(t.Context(), ref.Key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	data[ref.Offset+ref.Length/2] ^= 1
	if err := b.Put(t.Context(), ref.Key, data, objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	var damage *ObjectError
	if _, err := ReadInFlight(t.Context(), b, nil, ref); !errors.As(err, &damage) || !errors.Is(err, objectstore.ErrCorrupt) {
		t.Errorf("a damaged segment: %v", err)
	}
}

// TestWhatWasInFlightIsOfOneCheckpoint seals two checkpoints, and one that does not get
// that far: each names its own, and the objects are released by a later one, never by itself.
func TestWhatWasInFlightIsOfOneCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := setup(t, mem.New(), nil)
		released := map[uint64]dataflow.CheckpointID{}
		named := map[dataflow.CheckpointID][]snapshot.Run{}
		for id := dataflow.CheckpointID(1); id <= 4; id++ {
			if id < 4 {
				u.KeepInFlight(id, inFlightOf(int(id)))
			}
			if id == 2 {
				synctest.Wait()
				continue // it is aborted, and uploaded
			}
			seal, err := u.Seal(t.Context(), id, map[*Log]state.Cut{})
			if err != nil {
				t.Fatal(err)
			}
			named[id] = seal.Objects
			for _, r := range seal.Released {
				for n := r.Lo; n <= r.Hi; n++ {
					if released[n] == 0 {
						released[n] = id
					}
				}
			}
			synctest.Wait()
		}
		for id, want := range map[dataflow.CheckpointID]int{1: 1, 3: 1, 4: 0} {
			if len(named[id]) != want {
				t.Errorf("checkpoint %d names %v, want %d runs", id, named[id], want)
			}
			for _, r := range named[id] {
				if by := released[r.Lo]; by <= id {
					t.Errorf("object %d of checkpoint %d is released by %d", r.Lo, id, by)
				}
			}
		}
		if len(released) != 3 {
			t.Errorf("released: %v, want all three objects, that of the aborted one too", released)
		}
		if s := u.Stats(); s.Waiting != 0 {
			t.Errorf("%d bytes wait at the end", s.Waiting)
		}
	})
}
