package state_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

func TestOperatorStateComesBack(t *testing.T) {
	o := state.NewOperator(0, snapshot.Operator{})
	list, err := state.NewSplitList[loose](o, "list")
	check(t, err)
	union, err := state.NewUnionList[int64](o, "union")
	check(t, err)
	rules, err := state.NewBroadcast[string, flat](o, "rules")
	check(t, err)
	list.Add(loose{"a", 1})
	list.Add(loose{"b", 2})
	union.Replace([]int64{7, -7})
	rules.Put("x", flat{Sum: 1})
	rules.Put("y", flat{Sum: 2})
	rules.Put("z", flat{Sum: 3})
	rules.Delete("y")

	var snap snapshot.Operator
	o.Snapshot(&snap)
	o = state.NewOperator(0, snap)
	list, err = state.NewSplitList[loose](o, "list")
	check(t, err)
	union, err = state.NewUnionList[int64](o, "union")
	check(t, err)
	rules, err = state.NewBroadcast[string, flat](o, "rules")
	check(t, err)
	if got := list.Items(); !slices.Equal(got, []loose{{"a", 1}, {"b", 2}}) {
		t.Errorf("list %v", got)
	}
	if got := union.Items(); !slices.Equal(got, []int64{7, -7}) {
		t.Errorf("union %v", got)
	}
	var keys []string
	rules.Range(func(k string, v flat) bool { keys = append(keys, k); return true })
	if v, ok := rules.Get("z"); v.Sum != 3 || !ok || rules.Len() != 2 || !slices.Equal(keys, []string{"x", "z"}) {
		t.Errorf("rules %v, %v, %v", keys, v, ok)
	}
}

// TestOperatorStateThatNobodyAsksFor is kept for the version that does, and a union
// is not multiplied by that.
func TestOperatorStateThatNobodyAsksFor(t *testing.T) {
	one := [][]byte{{2}}
	restored := snapshot.Operator{
		Lists: map[string][][]byte{"l": one}, Unions: map[string][][]byte{"u": one}, Broadcast: map[string][][]byte{"b": {{0}, {1}}},
		Schemas: map[string]string{"l": "int64", "u": "int64", "b": "string -> int64"},
	}
	for subtask := range 2 {
		var snap snapshot.Operator
		state.NewOperator(subtask, restored).Snapshot(&snap)
		if len(snap.Lists["l"]) != 1 || len(snap.Broadcast["b"]) != 2 || len(snap.Unions["u"]) != 1-subtask || snap.Schemas["b"] != "string -> int64" {
			t.Errorf("subtask %d keeps %+v", subtask, snap)
		}
	}
}

func TestOperatorStateEvolves(t *testing.T) {
	restored := snapshot.Operator{
		Lists:     map[string][][]byte{"l": {{1, 'a'}}, "bad": {{9}}},
		Broadcast: map[string][][]byte{"b": {{1, 'k'}, {4}}},
		Schemas:   map[string]string{"l": "{Name:string}", "bad": "{Name:string}", "b": "string -> int32"},
	}
	o := state.NewOperator(0, restored)
	l, err := state.NewSplitList[loose](o, "l")
	check(t, err)
	b, err := state.NewBroadcast[string, int64](o, "b")
	check(t, err)
	if v, _ := b.Get("k"); !slices.Equal(l.Items(), []loose{{"a", 0}}) || v != 2 {
		t.Errorf("%v, %v", l.Items(), v)
	}
	for _, tc := range []struct {
		err  error
		want string
		is   error
	}{
		{listErr(state.NewSplitList[loose](state.NewOperator(0, restored), "bad")), `split list "bad"`, state.ErrCorrupt},
		{listErr(state.NewSplitList[struct{ Name int }](state.NewOperator(0, restored), "l")), "field Name: string can't become int64", state.ErrIncompatible},
		{listErr(state.NewUnionList[loose](state.NewOperator(0, restored), "l")), "it was a split list", state.ErrIncompatible},
		{listErr(state.NewSplitList[loose](o, "l")), "there is an operator state of that name already", nil},
		{listErr(state.NewSplitList[func()](o, "f")), `split list "f"`, nil},
	} {
		if tc.err == nil || tc.is != nil && !errors.Is(tc.err, tc.is) || !strings.Contains(tc.err.Error(), tc.want) {
			t.Errorf("got %v, want %q", tc.err, tc.want)
		}
	}
}

func listErr[T any](_ *state.OperatorList[T], err error) error { return err }
