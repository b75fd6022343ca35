package engine

import (
	"fmt"
	"testing"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// operatorParts is a checkpoint of three subtasks with operator state of every kind.
func operatorParts() *restored {
	r := &restored{}
	for i := range 3 {
		item := func(n int) []byte { return []byte(fmt.Sprint(i, n)) }
		r.parts = append(r.parts, snapshot.Operator{
			Lists:     map[string][][]byte{"l": {item(0), item(1)}, watermarkList: {{0, 0, 0, 0, 0, 0, 0, 9}}},
			Unions:    map[string][][]byte{"u": {item(0)}},
			Broadcast: map[string][][]byte{"b": {[]byte("k"), []byte("v")}},
			Schemas:   map[string]string{"l": "bytes", "u": "bytes", "b": "bytes -> bytes"},
		})
	}
	return r
}

func TestOperatorStateIsDealtOut(t *testing.T) {
	for _, c := range []struct {
		parallelism int
		want        []string // lists of the subtasks
	}{
		{3, []string{"[0 0 0 1]", "[1 0 1 1]", "[2 0 2 1]"}},
		{2, []string{"[0 0 2 0 1 1]", "[1 0 0 1 2 1]"}},
		{4, []string{"[0 0 1 1]", "[1 0 2 1]", "[2 0]", "[0 1]"}},
	} {
		for subtask := range c.parallelism {
			var got snapshot.Operator
			operatorParts().operatorState(subtask, c.parallelism).Snapshot(&got)
			if list := fmt.Sprintf("%s", got.Lists["l"]); list != c.want[subtask] {
				t.Errorf("subtask %d of %d has %s, want %s", subtask, c.parallelism, list, c.want[subtask])
			}
			if got.Lists[watermarkList] != nil {
				t.Errorf("the engine's own list is the program's")
			}
			if union := fmt.Sprintf("%s", got.Unions["u"]); subtask == 0 && union != "[0 0 1 0 2 0]" {
				t.Errorf("union %s", union)
			}
			if len(got.Broadcast["b"]) != 2 || got.Schemas["b"] != "bytes -> bytes" {
				t.Errorf("broadcast %s", got.Broadcast["b"])
			}
		}
	}
}

// TestOperatorStateIsMissed: a program without the operator would lose it.
func TestOperatorStateIsMissed(t *testing.T) {
	p := &Program{Graph: &dataflow.Graph{}, Operators: map[dataflow.UID]Operator{}}
	for name, o := range map[string]snapshot.Operator{
		"list":      {Lists: map[string][][]byte{"l": {{1}}}},
		"union":     {Unions: map[string][][]byte{"u": {{1}}}},
		"broadcast": {Broadcast: map[string][][]byte{"b": {{1}, {2}}}},
	} {
		o.UID = "gone"
		r := &Restore{Processes: []snapshot.Process{{Subtasks: []snapshot.Subtask{{Operators: []snapshot.Operator{o}}}}}}
		if err := checkRestore(p, r); err == nil {
			t.Errorf("%s: nobody misses it", name)
		}
	}
}

func TestEnginesNamesAreItsOwn(t *testing.T) {
	s := state.NewOperator(0, snapshot.Operator{})
	if err := checkNames(s); err != nil {
		t.Fatal(err)
	}
	if _, err := state.NewUnionList[int](s, splitsList); err != nil {
		t.Fatal(err)
	}
	if err := checkNames(s); err == nil {
		t.Error("a program's list has a name of the engine's")
	}
}
