package catalog_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
)

func TestAnotherJobsObjectsAreDroppedAndNeverMarked(t *testing.T) {
	c := catalog.NewWithin("own/")
	c, _ = complete(t, c, 1, 1, runs("own/a/", 1, 2, "parent/", 1, 9), runs("parent/", 20, 21, "own/a/", 7, 7))
	if want := runs("own/a/", 7, 7); !reflect.DeepEqual(c.Garbage().Runs, want) {
		t.Fatalf("released: marked %v, want %v", c.Garbage().Runs, want)
	}
	if !c.RefersToForeign() {
		t.Fatal("the record refers to the parent's objects")
	}
	c, change := complete(t, c, 2, 1, runs("own/a/", 2, 3, "parent/", 5, 6), nil)
	if want := runs("own/a/", 1, 1); !reflect.DeepEqual(change.Marked.Runs, want) {
		t.Fatalf("marked %v, want %v", change.Marked.Runs, want)
	}
	if !c.RefersToForeign() || !c.Refers("parent/", 5) || c.Refers("parent/", 1) {
		t.Fatal("the newest record alone counts")
	}
	c, change = complete(t, c, 3, 1, runs("own/a/", 3, 4), nil)
	if want := runs("own/a/", 2, 2); !reflect.DeepEqual(change.Marked.Runs, want) || c.RefersToForeign() {
		t.Fatalf("marked %v, want %v; foreign %v", change.Marked.Runs, want, c.RefersToForeign())
	}
	// Dropped is not marked: the parent may be asked for its objects again.
	if _, _, err := c.Complete(catalog.Record{ID: 4, Metadata: metadata(4), Objects: runs("parent/", 1, 1)}, nil, 1); err != nil {
		t.Fatal(err)
	}
}

func TestOwnPrefixIsEncoded(t *testing.T) {
	c := catalog.NewWithin("own/")
	c, _ = complete(t, c, 1, 1, runs("own/", 1, 2, "parent/", 1, 9), nil)
	again := catalog.New()
	if err := cbor.Unmarshal(encode(t, c), again); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encode(t, c), encode(t, again)) {
		t.Fatalf("got %+v, want %+v", again, c)
	}
	if _, change := complete(t, again, 2, 1, nil, nil); !reflect.DeepEqual(change.Marked.Runs, runs("own/", 1, 2)) {
		t.Fatalf("marked %v", change.Marked.Runs)
	}
	marked, err := cbor.Marshal(map[int]any{1: []string{"parent/"}, 3: []int{0, 1, 1}, 30: "own/"})
	if err != nil {
		t.Fatal(err)
	}
	if err := cbor.Unmarshal(marked, catalog.New()); !errors.Is(err, catalog.ErrInvalid) {
		t.Fatalf("another job's object is marked: got %v", err)
	}
}

func TestRecordCovers(t *testing.T) {
	c, _ := complete(t, catalog.New(), 1, 1, runs("p/", 3, 5, "p/", 8, 9), nil)
	for _, k := range []struct {
		lo, hi int
		want   bool
	}{{3, 5, true}, {4, 4, true}, {2, 3, false}, {5, 8, false}, {8, 9, true}, {9, 10, false}, {0, 3, false}} {
		if got := c.Record(1).Covers(runs("p/", k.lo, k.hi)); got != k.want {
			t.Errorf("%d..%d: %v", k.lo, k.hi, got)
		}
	}
	if c.Record(1).Covers(runs("q/", 3, 3)) || !c.Record(1).Covers(nil) {
		t.Error("another writer, or nothing")
	}
}

func TestRewindKeepsWhatOthersHold(t *testing.T) {
	c, _ := complete(t, catalog.New(), 1, 9, runs("p/", 1, 1), nil)
	c, _ = complete(t, c, 2, 9, runs("p/", 2, 2), nil)
	c, _ = complete(t, c, 3, 9, runs("p/", 3, 3), nil)
	c, err := c.Hold(2, "job:child")
	if err != nil {
		t.Fatal(err)
	}
	c, change, err := c.Rewind(1)
	if want := []dataflow.CheckpointID{3}; err != nil || !reflect.DeepEqual(change.Dropped, want) {
		t.Fatalf("dropped %v %v, want %v", change.Dropped, err, want)
	}
	if c.Newest().ID != 1 || c.Record(2) == nil {
		t.Fatal("the job goes on from 1, and 2 is there for the child")
	}
	if c, _ = complete(t, c, 4, 1, runs("p/", 4, 4), nil); c.Record(1) != nil || c.Record(2) == nil {
		t.Fatal("retention counts what the job can go on from")
	}
	if _, change = c.Unhold(2, "job:child", 9); !reflect.DeepEqual(change.Dropped, []dataflow.CheckpointID{2}) {
		t.Fatalf("dropped %v when nobody needed it any more", change.Dropped)
	}
}
