package state_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/cairnstream/cairn/state"
)

// TestAll: every entry of every key comes once, and an error ends it.
func TestAll(t *testing.T) {
	s := openStore(t)
	v, err1 := state.NewValue[int64](s, "v")
	m, err2 := state.NewMap[int64, string](s, "m")
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for i := range int64(100) {
		s.SetKey(int(i%8), fmt.Append(nil, "k", i))
		if err := errors.Join(v.Set(i), m.Put(i, "x"), m.Put(-i-1, "y")); err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{fmt.Sprint("v ", i), fmt.Sprint("m ", i, "x"), fmt.Sprint("m ", -i-1, "y"), fmt.Sprint("n ", i), fmt.Sprint("n ", -i-1)} {
			want[fmt.Sprint(i%8, " k", i, " ", line)] = true
		}
	}
	got := map[string]bool{}
	note := func(group int, key []byte, line string) error {
		got[fmt.Sprint(group, " ", string(key), " ", line)] = true
		return nil
	}
	err := errors.Join(
		v.All(func(group int, key []byte, v int64) error { return note(group, key, fmt.Sprint("v ", v)) }),
		m.All(func(group int, key []byte, k int64, v string) error { return note(group, key, fmt.Sprint("m ", k, v)) }),
		m.AllKeys(func(group int, key []byte, k int64) error { return note(group, key, fmt.Sprint("n ", k)) }),
	)
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%v; got %q, want %q", err, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
	stop, calls := errors.New("stop"), 0
	for _, err := range []error{
		v.All(func(int, []byte, int64) error { calls++; return stop }),
		m.All(func(int, []byte, int64, string) error { calls++; return stop }),
		m.AllKeys(func(int, []byte, int64) error { calls++; return stop }),
	} {
		if !errors.Is(err, stop) {
			t.Errorf("got %v, want stop", err)
		}
	}
	if calls != 3 {
		t.Errorf("%d calls, want one each", calls)
	}
}

// TestUpdateRuns: equal entries that follow each other are one value, and one change.
func TestUpdateRuns(t *testing.T) {
	s := openStore(t)
	m, err := state.NewMap[int64, string](s, "m")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var b state.Batch
		for _, at := range []struct{ key, sub int64 }{{1, 1}, {1, 1}, {1, 2}, {2, 2}, {2, 2}, {2, 2}, {1, 1}} {
			b.Bytes = fmt.Append(b.Bytes, at.key)
			b.EndKey(int(at.key))
			b.Bytes = m.AppendSub(b.Bytes, at.sub)
			b.EndSub()
		}
		err := m.UpdateBatch(&b, func(i int, v *string, existed bool) {
			if existed != (*v != "") {
				t.Errorf("entry %d existed: %v, and is %q", i, existed, *v)
			}
			*v += fmt.Sprint(i)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for at, want := range map[[2]int64]string{{1, 1}: "016016", {1, 2}: "22", {2, 2}: "345345"} {
		s.SetKey(int(at[0]), fmt.Append(nil, at[0]))
		if got, ok, err := m.Get(at[1]); got != want || !ok || err != nil {
			t.Errorf("%v is %q, %v, %v; want %q", at, got, ok, err, want)
		}
	}
}
