package catalog_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"pgregory.net/rapid"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

func metadata(id dataflow.CheckpointID) catalog.Object {
	return catalog.Object{Key: fmt.Sprintf("c/jobs/j/metadata/%012d-t1-aa", id), Size: 10, SHA256: "aa"}
}

func runs(spec ...any) []snapshot.Run {
	var out []snapshot.Run
	for i := 0; i < len(spec); i += 3 {
		out = append(out, snapshot.Run{Prefix: spec[i].(string), Lo: uint64(spec[i+1].(int)), Hi: uint64(spec[i+2].(int))})
	}
	return out
}

func complete(t *testing.T, c *catalog.Catalog, id dataflow.CheckpointID, retained int, objects, released []snapshot.Run) (*catalog.Catalog, catalog.Change) {
	t.Helper()
	next, change, err := c.Complete(catalog.Record{ID: id, Metadata: metadata(id), Objects: objects}, released, retained)
	if err != nil {
		t.Fatal(err)
	}
	return next, change
}

func TestRetentionMarksWhatNobodyElseRefersTo(t *testing.T) {
	c, _ := complete(t, catalog.New(), 1, 2, runs("p/", 1, 4), nil)
	c, _ = complete(t, c, 2, 2, runs("p/", 3, 6), nil)
	c, change := complete(t, c, 3, 2, runs("p/", 3, 8, "q/", 1, 1), nil)
	want := catalog.Change{Dropped: []dataflow.CheckpointID{1}, Marked: catalog.Garbage{Runs: runs("p/", 1, 2), Single: []catalog.Object{metadata(1)}}}
	if !reflect.DeepEqual(change, want) {
		t.Fatalf("got %+v, want %+v", change, want)
	}
	if !reflect.DeepEqual(c.Garbage(), want.Marked) {
		t.Fatalf("garbage %+v", c.Garbage())
	}
	if c, _ = c.Forget(want.Marked); !c.Garbage().Empty() {
		t.Fatalf("garbage after forgetting: %+v", c.Garbage())
	}
}

func TestReleasedRunsWaitForTheirLastReference(t *testing.T) {
	c, _ := complete(t, catalog.New(), 1, 2, runs("p/", 2, 4), nil)
	c, change := complete(t, c, 2, 2, runs("p/", 5, 5), runs("p/", 1, 4, "p/", 9, 9))
	if want := runs("p/", 1, 1, "p/", 9, 9); !reflect.DeepEqual(change.Marked.Runs, want) {
		t.Fatalf("marked %v, want %v", change.Marked.Runs, want)
	}
	_, change = complete(t, c, 3, 2, runs("p/", 5, 6), nil)
	if want := runs("p/", 2, 4); !reflect.DeepEqual(change.Marked.Runs, want) {
		t.Fatalf("marked %v, want %v", change.Marked.Runs, want)
	}
}

func TestMarkedIsFinal(t *testing.T) {
	c, _ := complete(t, catalog.New(), 1, 1, runs("p/", 1, 3), nil)
	c, _ = complete(t, c, 2, 1, runs("p/", 3, 4), nil)
	before := encode(t, c)
	_, _, err := c.Complete(catalog.Record{ID: 3, Metadata: metadata(3), Objects: runs("p/", 2, 5)}, nil, 1)
	if !errors.Is(err, catalog.ErrMarked) {
		t.Fatalf("a marked run: got %v", err)
	}
	_, _, err = c.Complete(catalog.Record{ID: 3, Metadata: metadata(1)}, nil, 1)
	if !errors.Is(err, catalog.ErrMarked) {
		t.Fatalf("a marked metadata object: got %v", err)
	}
	if !bytes.Equal(before, encode(t, c)) {
		t.Fatal("a refusal changed the catalog")
	}
}

func TestOwedAndHeldRecordsStay(t *testing.T) {
	c, _, _ := catalog.New().Complete(catalog.Record{ID: 1, Metadata: metadata(1), Objects: runs("p/", 1, 1), Owed: true}, nil, 1)
	c, err := c.Hold(1, "attempt-2")
	if err != nil {
		t.Fatal(err)
	}
	c, change := complete(t, c, 2, 1, runs("p/", 2, 2), nil)
	if len(change.Dropped) > 0 || c.Owed().ID != 1 {
		t.Fatalf("dropped %v", change.Dropped)
	}
	if _, _, err := c.Delete(1, true); !errors.Is(err, catalog.ErrNeeded) {
		t.Fatalf("delete an owed record: got %v", err)
	}
	if c, change = c.Confirm(1, 1); len(change.Dropped) > 0 || c.Owed() != nil {
		t.Fatalf("dropped %v although held", change.Dropped)
	}
	if _, _, err := c.Delete(1, true); !errors.Is(err, catalog.ErrNeeded) {
		t.Fatalf("delete a held record: got %v", err)
	}
	c, change = c.Unhold(1, "attempt-2", 1)
	if !slices.Equal(change.Dropped, []dataflow.CheckpointID{1}) || c.Record(1) != nil {
		t.Fatalf("dropped %v after the last need went", change.Dropped)
	}
}

func TestSavepointsAreKeptByTheirHoldAlone(t *testing.T) {
	c, _ := complete(t, catalog.New(), 1, 1, runs("p/", 1, 1), nil)
	savepoint := catalog.Record{ID: 2, Metadata: metadata(2), Objects: runs("p/", 1, 2), Savepoint: true, Holds: map[string]bool{"savepoint": true}}
	c, _, err := c.Complete(savepoint, nil, 1)
	if err != nil || c.Newest().ID != 1 || c.Last().ID != 2 {
		t.Fatalf("newest %v, last %v (%v)", c.Newest(), c.Last(), err)
	}
	if _, _, err := c.Complete(catalog.Record{ID: 2, Metadata: metadata(9)}, nil, 1); !errors.Is(err, catalog.ErrInvalid) {
		t.Fatalf("an id that a savepoint has: got %v", err)
	}
	c, change := complete(t, c, 3, 1, runs("p/", 3, 3), nil)
	if !slices.Equal(change.Dropped, []dataflow.CheckpointID{1}) || c.Record(2) == nil {
		t.Fatalf("dropped %v", change.Dropped)
	}
	if _, _, err := c.Rewind(2); !errors.Is(err, catalog.ErrUnknown) {
		t.Fatalf("rewind to a savepoint: got %v", err)
	}
	c, change = c.Unhold(2, "savepoint", 1)
	if !slices.Equal(change.Dropped, []dataflow.CheckpointID{2}) || !reflect.DeepEqual(change.Marked.Runs, runs("p/", 1, 2)) {
		t.Fatalf("let go: %+v", change)
	}
	c, _, _ = c.Complete(catalog.Record{ID: 4, Metadata: metadata(4), Objects: runs("p/", 4, 4), Savepoint: true}, nil, 1)
	if c.Record(4) == nil {
		t.Fatal("dropped although the next checkpoint may name its objects")
	}
	if _, _, err := c.Delete(4, true); !errors.Is(err, catalog.ErrNeeded) {
		t.Fatalf("delete it: got %v", err)
	}
	if next, _ := complete(t, c, 5, 1, runs("p/", 4, 5), nil); next.Record(4) != nil || !next.Refers("p/", 4) {
		t.Fatal("the next checkpoint does not take over")
	}
	if _, change = c.LetGo(); !reflect.DeepEqual(change.Marked.Runs, runs("p/", 4, 4)) {
		t.Fatalf("let go: %+v", change)
	}
}

func TestPinnedCheckpointsAreBesides(t *testing.T) {
	c, _ := complete(t, catalog.New(), 1, 2, runs("p/", 1, 1), nil)
	c, err := c.Hold(1, catalog.PinHold)
	if err != nil {
		t.Fatal(err)
	}
	for id := range dataflow.CheckpointID(4) {
		c, _ = complete(t, c, id+2, 2, runs("p/", int(id)+2, int(id)+3), nil)
	}
	if ids := idsOf(c); !slices.Equal(ids, []dataflow.CheckpointID{1, 4, 5}) {
		t.Fatalf("kept %v, want the pinned one and the newest two", ids)
	}
	c, change := c.Unhold(1, catalog.PinHold, 2)
	if !slices.Equal(change.Dropped, []dataflow.CheckpointID{1}) || !reflect.DeepEqual(change.Marked.Runs, runs("p/", 1, 1)) {
		t.Fatalf("unpinned: %+v", change)
	}
	c, err = c.Hold(5, catalog.PinHold)
	if err != nil {
		t.Fatal(err)
	}
	if c, change = c.DeleteAll(); !slices.Equal(change.Dropped, []dataflow.CheckpointID{4}) || !slices.Equal(idsOf(c), []dataflow.CheckpointID{5}) {
		t.Fatalf("deleted %+v, kept %v", change, idsOf(c))
	}
}

func idsOf(c *catalog.Catalog) (ids []dataflow.CheckpointID) {
	for r := range c.All() {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestDelete(t *testing.T) {
	c, _ := complete(t, catalog.New(), 1, 9, runs("p/", 1, 3), nil)
	c, _ = complete(t, c, 2, 9, runs("p/", 2, 5), nil)
	c, _ = complete(t, c, 3, 9, runs("p/", 5, 6), nil)
	if _, _, err := c.Delete(3, true); !errors.Is(err, catalog.ErrNeeded) {
		t.Fatalf("delete the newest: got %v", err)
	}
	if _, _, err := c.Delete(7, true); !errors.Is(err, catalog.ErrUnknown) {
		t.Fatalf("delete an unknown one: got %v", err)
	}
	c, change, err := c.Delete(2, true)
	if want := runs("p/", 4, 4); err != nil || !reflect.DeepEqual(change.Marked.Runs, want) {
		t.Fatalf("marked %v %v, want %v", change.Marked.Runs, err, want)
	}
	if _, _, err := c.Delete(3, false); err != nil {
		t.Fatalf("delete the newest of a job that ended: %v", err)
	}
}

func TestInvalidRecords(t *testing.T) {
	c, _ := complete(t, catalog.New(), 5, 1, nil, nil)
	for name, r := range map[string]catalog.Record{
		"older":       {ID: 4, Metadata: metadata(4)},
		"again":       {ID: 5, Metadata: metadata(5)},
		"no metadata": {ID: 6},
		"no prefix":   {ID: 6, Metadata: metadata(6), Objects: runs("", 1, 1)},
		"number 0":    {ID: 6, Metadata: metadata(6), Objects: runs("p/", 0, 1)},
		"backwards":   {ID: 6, Metadata: metadata(6), Objects: runs("p/", 2, 1)},
	} {
		if _, _, err := c.Complete(r, nil, 1); !errors.Is(err, catalog.ErrInvalid) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func encode(t testing.TB, c *catalog.Catalog) []byte {
	t.Helper()
	data, err := cbor.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestUnmarshalRefusesWhatIsNotCanonical(t *testing.T) {
	for name, v := range map[string]any{
		"unknown field":   map[int]any{9: 1},
		"odd runs":        map[int]any{1: []string{"p/"}, 3: []int{0, 1}},
		"unknown prefix":  map[int]any{1: []string{"p/"}, 3: []int{1, 1, 1}},
		"unsorted prefix": map[int]any{1: []string{"q/", "p/"}},
		"older record":    map[int]any{2: []any{map[int]any{1: 2, 3: metadata(2)}, map[int]any{1: 1, 3: metadata(1)}}},
	} {
		data, err := cbor.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := cbor.Unmarshal(data, catalog.New()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// model is the catalog that names every object.
type model struct {
	records map[dataflow.CheckpointID]*modelRecord
	marked  map[string]bool // objects and metadata keys
}

type modelRecord struct {
	objects   map[string]bool
	owed      bool
	holds     map[string]bool
	savepoint bool
}

func names(rs []snapshot.Run) map[string]bool {
	out := map[string]bool{}
	for _, r := range rs {
		for n := r.Lo; n <= r.Hi; n++ {
			out[fmt.Sprintf("%s%d", r.Prefix, n)] = true
		}
	}
	return out
}

// all names everything in the garbage.
func all(g catalog.Garbage) map[string]bool {
	out := names(g.Runs)
	for _, o := range g.Single {
		out[o.Key] = true
	}
	return out
}

func without(a, b map[string]bool) map[string]bool {
	out := maps.Clone(a)
	maps.DeleteFunc(out, func(name string, _ bool) bool { return b[name] })
	return out
}

func (m *model) refers(name string) bool {
	for _, r := range m.records {
		if r.objects[name] {
			return true
		}
	}
	return false
}

func (m *model) drop(id dataflow.CheckpointID) {
	r := m.records[id]
	delete(m.records, id)
	for name := range r.objects {
		if !m.refers(name) {
			m.marked[name] = true
		}
	}
	m.marked[metadata(id).Key] = true
}

func (m *model) ids() []dataflow.CheckpointID { return slices.Sorted(maps.Keys(m.records)) }

// line are the records that are checkpoints of the job and no savepoints.
func (m *model) line() []dataflow.CheckpointID {
	return slices.DeleteFunc(m.ids(), func(id dataflow.CheckpointID) bool { return m.records[id].savepoint })
}

// counted are the records that retention counts.
func (m *model) counted() []dataflow.CheckpointID {
	return slices.DeleteFunc(m.line(), func(id dataflow.CheckpointID) bool { return m.records[id].holds[catalog.PinHold] })
}

// newest is the newest that is no savepoint, or 0.
func (m *model) newest() (newest dataflow.CheckpointID) {
	for id, r := range m.records {
		if !r.savepoint {
			newest = max(newest, id)
		}
	}
	return newest
}

// letGo drops the savepoints below id that nothing needs.
func (m *model) letGo(below dataflow.CheckpointID) (dropped []dataflow.CheckpointID) {
	for _, id := range m.ids() {
		if r := m.records[id]; id < below && r.savepoint && !r.owed && len(r.holds) == 0 {
			m.drop(id)
			dropped = append(dropped, id)
		}
	}
	return dropped
}

func (m *model) trim(retained int) (dropped []dataflow.CheckpointID) {
	dropped = m.letGo(m.newest())
	for ids := m.counted(); len(ids) > retained; ids = ids[1:] {
		if r := m.records[ids[0]]; !r.owed && len(r.holds) == 0 {
			m.drop(ids[0])
			dropped = append(dropped, ids[0])
		}
	}
	slices.Sort(dropped)
	return dropped
}

// check compares everything that can be asked.
func (m *model) check(t *rapid.T, c *catalog.Catalog) {
	var ids []dataflow.CheckpointID
	for _, r := range c.Records() {
		ids = append(ids, r.ID)
		if mr := m.records[r.ID]; mr == nil || mr.owed != r.Owed || mr.savepoint != r.Savepoint || len(mr.holds) != len(r.Holds) || !maps.Equal(mr.objects, names(r.Objects)) {
			t.Fatalf("record %+v, want %+v", r, mr)
		}
	}
	if !slices.Equal(ids, m.ids()) {
		t.Fatalf("records %v, want %v", ids, m.ids())
	}
	var newest, owed dataflow.CheckpointID
	if r := c.Newest(); r != nil {
		newest = r.ID
	}
	if line := m.line(); len(line) == 0 && newest != 0 || len(line) > 0 && newest != line[len(line)-1] {
		t.Fatalf("the newest is %d of %v", newest, line)
	}
	for _, id := range m.ids() {
		if m.records[id].owed {
			owed = id
		}
	}
	if r := c.Owed(); (r == nil) != (owed == 0) || r != nil && r.ID != owed {
		t.Fatalf("owed %+v, want %d", r, owed)
	}
	marked := all(c.Garbage())
	if !maps.Equal(marked, m.marked) {
		t.Fatalf("marked %v, want %v", marked, m.marked)
	}
	for _, p := range []string{"p/", "q/"} {
		for n := uint64(1); n < 20; n++ {
			if name := fmt.Sprintf("%s%d", p, n); c.Refers(p, n) != m.refers(name) {
				t.Fatalf("refers to %s: %v, want %v", name, c.Refers(p, n), m.refers(name))
			}
		}
	}
}

var someRuns = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) snapshot.Run {
	lo := rapid.IntRange(1, 14).Draw(t, "lo")
	return snapshot.Run{
		Prefix: rapid.SampledFrom([]string{"p/", "q/"}).Draw(t, "prefix"),
		Lo:     uint64(lo), Hi: uint64(lo + rapid.IntRange(0, 4).Draw(t, "length")),
	}
}), 0, 4)

var someone = rapid.SampledFrom([]string{"x", catalog.PinHold})

func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, m := catalog.New(), &model{records: map[dataflow.CheckpointID]*modelRecord{}, marked: map[string]bool{}}
		retained := rapid.IntRange(1, 4).Draw(t, "retained")
		last := dataflow.CheckpointID(0)
		some := func() dataflow.CheckpointID {
			return dataflow.CheckpointID(rapid.IntRange(max(1, int(last)-5), int(last)+1).Draw(t, "id"))
		}
		t.Repeat(map[string]func(*rapid.T){
			"complete": func(t *rapid.T) {
				last++
				r := catalog.Record{ID: last, Metadata: metadata(last), Objects: someRuns.Draw(t, "objects"), Owed: rapid.Bool().Draw(t, "owed")}
				r.Holds = map[string]bool{}
				if r.Savepoint = rapid.SampledFrom([]bool{true, false, false}).Draw(t, "savepoint"); r.Savepoint {
					r.Holds["x"] = true
				}
				released := someRuns.Draw(t, "released")
				next, change, err := c.Complete(r, released, retained)
				objects := names(r.Objects)
				for name := range objects {
					if m.marked[name] {
						if !errors.Is(err, catalog.ErrMarked) {
							t.Fatalf("names marked %s: got %v", name, err)
						}
						return
					}
				}
				if err != nil {
					t.Fatal(err)
				}
				before := maps.Clone(m.marked)
				m.records[last] = &modelRecord{objects: objects, owed: r.Owed, holds: maps.Clone(r.Holds), savepoint: r.Savepoint}
				for name := range names(released) {
					if !m.refers(name) {
						m.marked[name] = true
					}
				}
				if dropped := m.trim(retained); !slices.Equal(dropped, change.Dropped) {
					t.Fatalf("dropped %v, want %v", change.Dropped, dropped)
				}
				if news := all(change.Marked); !maps.Equal(news, without(m.marked, before)) {
					t.Fatalf("newly marked %v, want %v", news, without(m.marked, before))
				}
				c = next
			},
			"confirm": func(t *rapid.T) {
				id := some()
				c, _ = c.Confirm(id, retained)
				for i, r := range m.records {
					r.owed = r.owed && i > id
				}
				m.trim(retained)
			},
			"hold": func(t *rapid.T) {
				id := some()
				who := someone.Draw(t, "who")
				next, err := c.Hold(id, who)
				if r := m.records[id]; (r == nil) != errors.Is(err, catalog.ErrUnknown) {
					t.Fatalf("hold %d: %v", id, err)
				} else if r != nil {
					r.holds[who] = true
				}
				c = next
			},
			"unhold": func(t *rapid.T) {
				id := some()
				who := someone.Draw(t, "who")
				c, _ = c.Unhold(id, who, retained)
				if r := m.records[id]; r != nil && r.holds[who] {
					delete(r.holds, who)
					m.trim(retained)
				}
			},
			"delete": func(t *rapid.T) {
				id := some()
				next, _, err := c.Delete(id, true)
				r, line := m.records[id], m.line()
				switch {
				case r == nil:
					if !errors.Is(err, catalog.ErrUnknown) {
						t.Fatal(err)
					}
				case r.owed || len(r.holds) > 0 || len(line) > 0 && id == line[len(line)-1] || r.savepoint && id > m.newest():
					if !errors.Is(err, catalog.ErrNeeded) {
						t.Fatal(err)
					}
				default:
					m.drop(id)
					c = next
				}
			},
			"delete all": func(t *rapid.T) {
				if rapid.IntRange(0, 5).Draw(t, "rarely") > 0 {
					return
				}
				c, _ = c.DeleteAll()
				for _, id := range m.ids() {
					if r := m.records[id]; !r.owed && len(r.holds) == 0 {
						m.drop(id)
					}
				}
			},
			"rewind": func(t *rapid.T) {
				id := some()
				next, _, err := c.Rewind(id)
				if r := m.records[id]; r == nil || r.savepoint {
					if !errors.Is(err, catalog.ErrUnknown) {
						t.Fatalf("rewind to %d: %v", id, err)
					}
					return
				}
				for _, newer := range m.line() {
					switch r := m.records[newer]; {
					case newer <= id:
					case len(r.holds) > 0:
						r.owed, r.savepoint = false, true
					default:
						m.drop(newer)
					}
				}
				c = next
			},
			"let go": func(t *rapid.T) {
				next, change := c.LetGo()
				if dropped := m.letGo(last + 1); !slices.Equal(dropped, change.Dropped) {
					t.Fatalf("let go of %v, want %v", change.Dropped, dropped)
				}
				c = next
			},
			"forget": func(t *rapid.T) {
				g := catalog.Garbage{Runs: someRuns.Draw(t, "gone")}
				if single := c.Garbage().Single; len(single) > 0 {
					g.Single = single[:1]
					delete(m.marked, single[0].Key)
				}
				for name := range names(g.Runs) {
					delete(m.marked, name)
				}
				next, err := c.Forget(g)
				if err != nil {
					t.Fatal(err)
				}
				c = next
			},
			"restart": func(t *rapid.T) {
				data, err := cbor.Marshal(c)
				if err != nil {
					t.Fatal(err)
				}
				again := catalog.New()
				if err := cbor.Unmarshal(data, again); err != nil {
					t.Fatal(err)
				}
				if data2, _ := cbor.Marshal(again); !bytes.Equal(data, data2) {
					t.Fatalf("not canonical: %x and %x", data, data2)
				}
				c = again
			},
			"": func(t *rapid.T) { m.check(t, c) },
		})
	})
}

// TestOldCatalogsStayAsTheyWere: a value that a reader or a snapshot holds does
// not change.
func TestOldCatalogsStayAsTheyWere(t *testing.T) {
	c := catalog.New()
	var olds []*catalog.Catalog
	var images [][]byte
	for i := range 30 {
		olds, images = append(olds, c), append(images, encode(t, c))
		id := dataflow.CheckpointID(i + 1)
		c, _ = complete(t, c, id, 3, runs("p/", 1+i, 5+i, "q/", 1, 1+i), nil)
		if i%4 == 0 {
			c, _ = c.Hold(id, "x")
		}
		if i%5 == 0 {
			c, _ = c.Forget(c.Garbage())
		}
	}
	for i, old := range olds {
		if !bytes.Equal(encode(t, old), images[i]) {
			t.Fatalf("catalog %d changed", i)
		}
	}
}
