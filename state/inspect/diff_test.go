package inspect_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/inspect"
	"github.com/cairnstream/cairn/state/inspect/inspecttest"
)

// changes is a diff as lines, in the order in which it came.
func changes(t *testing.T, r *inspect.Reader, a, b *inspect.Operator) []string {
	t.Helper()
	var lines []string
	err := r.Diff(t.Context(), a, b, func(c inspect.Change) error {
		text := func(o *inspect.Operator, e inspect.Entry) string {
			if e.State == nil {
				return "-"
			}
			p, err := printer(t, o).Print(e)
			if err != nil {
				t.Fatal(err)
			}
			return line(p)
		}
		lines = append(lines, fmt.Sprintf("%v: %s, %s", c.Kind, text(a, c.Old), text(b, c.New)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestDiffTellsWhatChanged(t *testing.T) {
	b := mem.New()
	c := start(t, b)
	c.fill("AA")
	c.fill("DL")
	first := inspect.Operators([]snapshot.Process{c.p.Checkpoint(1)})[0]
	i := c.set("AA")
	c.days[i].Delete("mon")
	if err := c.days[i].Put("wed", 3); err != nil {
		t.Fatal(err)
	}
	if err := c.delays[i].Set(delay{Flights: 9}); err != nil {
		t.Fatal(err)
	}
	second := inspect.Operators([]snapshot.Process{c.p.Checkpoint(2)})[0]

	r := &inspect.Reader{Bucket: b}
	want := []string{
		`removed: AA by day[mon] = 1, -`,
		`added: -, AA by day[wed] = 3`,
		`changed: AA delay = {"Flights":2,"Worst":"AA-1"}, AA delay = {"Flights":9,"Worst":""}`,
	}
	if got := changes(t, r, first, second); !slices.Equal(got, want) {
		t.Errorf("there\n%s", strings.Join(got, "\n"))
	}
	if got := changes(t, r, second, second); len(got) > 0 {
		t.Errorf("nothing has changed, but\n%s", strings.Join(got, "\n"))
	}
	if got := changes(t, r, nil, second); len(got) != 2*len(filled("AA")) || !strings.HasPrefix(got[0], "added: -, ") {
		t.Errorf("a new operator:\n%s", strings.Join(got, "\n"))
	}
	if got := changes(t, r, second, nil); len(got) != 2*len(filled("AA")) || !strings.HasPrefix(got[0], "removed: ") {
		t.Errorf("an operator that has gone:\n%s", strings.Join(got, "\n"))
	}
}

// TestDiffAgreesWithAModel makes random changes between two checkpoints, at another
// parallelism each, and compares with a map. The seed is printed.
func TestDiffAgreesWithAModel(t *testing.T) {
	for range 20 {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { diffModel(t, seed) })
	}
}

func diffModel(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	b := mem.New()
	model := map[string]int64{} // "key sub"
	take := func(n int) (*inspect.Operator, map[string]int64) {
		p := inspecttest.Start(t, inspecttest.Config{
			Bucket: b, Prefix: fmt.Sprintf("c/jobs/j/%d/p/", n), UID: "count", KeySchema: "string", KeyGroups: 16, Parallelism: 1 + random.IntN(4),
		})
		keys := must[codec.Codec[string]](t)(codec.Key[string]())
		var states []*state.Map[int32, int64]
		for _, s := range p.Stores() {
			states = append(states, must[*state.Map[int32, int64]](t)(state.NewMap[int32, int64](s, "m")))
		}
		for range random.IntN(200) {
			id := fmt.Sprintf("%d %d", random.IntN(30), random.IntN(3))
			if delete(model, id); random.IntN(3) > 0 {
				model[id] = random.Int64N(4)
			}
		}
		for id, v := range model {
			var key string
			var sub int32
			fmt.Sscan(id, &key, &sub)
			if err := states[p.SetKey(keys.Append(nil, &key))].Put(sub, v); err != nil {
				t.Fatal(err)
			}
		}
		return inspect.Operators([]snapshot.Process{p.Checkpoint(dataflow.CheckpointID(n))})[0], maps.Clone(model)
	}
	first, old := take(1)
	second, new := take(2)
	got := changes(t, &inspect.Reader{Bucket: b, SliceBytes: 1 + random.Int64N(2000)}, first, second)
	slices.Sort(got)
	if want := modelChanges(old, new); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// modelChanges is what changes should print, sorted.
func modelChanges(old, new map[string]int64) []string {
	text := func(id string, v int64) string {
		key, sub, _ := strings.Cut(id, " ")
		return fmt.Sprintf("%s m[%s] = %d", key, sub, v)
	}
	var all []string
	for id, v := range old {
		switch w, ok := new[id]; {
		case !ok:
			all = append(all, fmt.Sprintf("removed: %s, -", text(id, v)))
		case v != w:
			all = append(all, fmt.Sprintf("changed: %s, %s", text(id, v), text(id, w)))
		}
	}
	for id, v := range new {
		if _, ok := old[id]; !ok {
			all = append(all, fmt.Sprintf("added: -, %s", text(id, v)))
		}
	}
	slices.Sort(all)
	return all
}

func TestDiffComparesValuesInTheNewSchema(t *testing.T) {
	type v1 struct{ N int64 }
	type v2 struct {
		N     int64
		Label string
	}
	b := mem.New()
	first := evolved[v1](t, b, 1, []v1{{1}, {2}})
	second := evolved[v2](t, b, 2, []v2{{1, ""}, {2, "two"}})
	want := []string{`changed: 1 v = {"N":2}, 1 v = {"N":2,"Label":"two"}`}
	if got := changes(t, &inspect.Reader{Bucket: b}, first, second); !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	pairs := inspect.Evolved(first, second)
	if len(pairs) != 1 || pairs[0][0].Schema != "fixed {N:int64}" || pairs[0][1].Schema != "{N:int64,Label:string}" {
		t.Errorf("evolved: %+v", pairs)
	}
	if pairs := inspect.Evolved(first, first); len(pairs) > 0 {
		t.Errorf("evolved into itself: %+v", pairs)
	}
}

// evolved is a checkpoint of one value state, of keys 0, 1, ...
func evolved[T any](t *testing.T, b *mem.Bucket, n int, values []T) *inspect.Operator {
	t.Helper()
	keys := must[codec.Codec[int64]](t)(codec.Key[int64]())
	p := inspecttest.Start(t, inspecttest.Config{
		Bucket: b, Prefix: fmt.Sprintf("c/jobs/j/%d/p/", n), UID: "count", KeySchema: keys.Schema(), KeyGroups: 16, Parallelism: 1,
	})
	s := must[*state.Value[T]](t)(state.NewValue[T](p.Stores()[0], "v"))
	for i, v := range values {
		key := int64(i)
		p.SetKey(keys.Append(nil, &key))
		if err := s.Set(v); err != nil {
			t.Fatal(err)
		}
	}
	return inspect.Operators([]snapshot.Process{p.Checkpoint(dataflow.CheckpointID(n))})[0]
}

func TestDiffItems(t *testing.T) {
	items := func(all ...string) *inspect.Operator {
		i := inspect.Items{Name: "splits", Kind: inspect.KindSplit}
		for _, s := range all {
			i.Items = append(i.Items, []byte(s))
		}
		return &inspect.Operator{UID: "read", Items: []inspect.Items{i}}
	}
	a, b := items("one", "two", "two"), items("two", "three")
	want := inspect.ItemsDiff{Name: "splits", Kind: inspect.KindSplit, Added: 1, AddedBytes: 5, Removed: 2, RemovedBytes: 6}
	if got := inspect.DiffItems(a, b); len(got) != 1 || got[0] != want {
		t.Errorf("got %+v", got)
	}
	if got := inspect.DiffItems(nil, b); len(got) != 1 || got[0].Added != 2 || got[0].Removed != 0 {
		t.Errorf("new: %+v", got)
	}
}
