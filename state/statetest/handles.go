package statetest

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/state"
)

func timers(t *testing.T, s state.Store) *state.Timers {
	t.Helper()
	ts, err := state.NewTimers(s, "timers")
	if err != nil {
		t.Fatal(err)
	}
	return ts
}

func setTimer(s state.Store, ts *state.Timers, group int, key string, at int64, tag string) {
	s.SetKey(group, []byte(key))
	ts.Register(at, []byte(tag))
}

// fired pops until the watermark and describes what fired.
func fired(t *testing.T, s state.Store, ts *state.Timers, watermark int64) []string {
	t.Helper()
	var out []string
	err := ts.PopUntil(watermark, func(group int, key, tag []byte, at int64) error {
		if g, k := s.Key(); g != group || string(k) != string(key) {
			t.Errorf("the store is set to %d %q while %d %q fires", g, k, group, key)
		}
		out = append(out, fmt.Sprintf("%d %d %s %s", at, group, key, tag))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func testTimersInOrder(t *testing.T, open Open) {
	s, _ := setup(t, open)
	ts := timers(t, s)
	for _, x := range []struct {
		at    int64
		group int
		key   string
		tag   string
	}{
		{5, 1, "b", "y"}, {5, 1, "b", "x"}, {5, 1, "a", "z"}, {5, 0, "c", ""}, {-3, 9, "z", ""},
		{math.MinInt64, 2, "m", ""}, {7, 0, "a", ""}, {5, 1, "a", "z"}, {math.MaxInt64, 0, "a", "end"},
	} {
		setTimer(s, ts, x.group, x.key, x.at, x.tag)
	}
	if at, ok := ts.Next(); !ok || at != math.MinInt64 || ts.Len() != 8 {
		t.Errorf("next at %d, %v; %d timers", at, ok, ts.Len())
	}
	s.EndBatch()
	want := []string{fmt.Sprintf("%d 2 m ", math.MinInt64), "-3 9 z ", "5 0 c ", "5 1 a z", "5 1 b x", "5 1 b y"}
	equal(t, "until 6", fired(t, s, ts, 6), want)
	equal(t, "again", fired(t, s, ts, 6), nil)
	equal(t, "until 7", fired(t, s, ts, 7), []string{"7 0 a "})
	if ts.Len() != 1 {
		t.Errorf("%d timers are left", ts.Len())
	}
}

func testTimersDeleted(t *testing.T, open Open) {
	s, _ := setup(t, open)
	ts := timers(t, s)
	setTimer(s, ts, 1, "a", 5, "x")
	setTimer(s, ts, 1, "a", 6, "x")
	ts.Delete(5, []byte("x"))
	ts.Delete(5, []byte("x"))
	ts.Delete(6, []byte("other"))
	setTimer(s, ts, 1, "a", 7, "x")
	ts.Delete(7, []byte("x"))
	setTimer(s, ts, 1, "a", 7, "x")
	if ts.Len() != 2 {
		t.Errorf("%d timers", ts.Len())
	}
	equal(t, "fired", fired(t, s, ts, 10), []string{"6 1 a x", "7 1 a x"})
	if ts.Len() != 0 {
		t.Errorf("%d timers are left", ts.Len())
	}
}

func testTimerSetsTimer(t *testing.T, open Open) {
	s, _ := setup(t, open)
	ts := timers(t, s)
	setTimer(s, ts, 1, "a", 1, "")
	var at []int64
	err := ts.PopUntil(5, func(_ int, key, _ []byte, now int64) error {
		at = append(at, now)
		ts.Register(now+1, []byte("next"))
		return nil
	})
	if err != nil || !slices.Equal(at, []int64{1, 2, 3, 4, 5}) || ts.Len() != 1 {
		t.Errorf("fired at %v, %d left, error %v", at, ts.Len(), err)
	}
	stop := errors.New("stop")
	if err := ts.PopUntil(9, func(int, []byte, []byte, int64) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("error %v", err)
	}
}

func testTimersRestored(t *testing.T, open Open) {
	s, log := setup(t, open)
	ts := timers(t, s)
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		setTimer(s, ts, rnd.IntN(groups), fmt.Sprint(rnd.IntN(50)), rnd.Int64N(100), fmt.Sprint(rnd.IntN(3)))
	}
	fired(t, s, ts, 20)
	s.EndBatch()
	again, _ := setup(t, open)
	register := timers(t, again) // empty, but defines the handle
	if register.Len() != 0 {
		t.Error("timers in an empty store")
	}
	for _, e := range log.entries {
		if err := again.Load(e); err != nil {
			t.Fatal(err)
		}
	}
	restored := timers(t, again)
	if restored.Len() != ts.Len() {
		t.Errorf("%d timers restored of %d", restored.Len(), ts.Len())
	}
	equal(t, "fired", fired(t, again, restored, 100), fired(t, s, ts, 100))
}

func testManyDeletedTimers(t *testing.T, open Open) {
	s, _ := setup(t, open)
	ts := timers(t, s)
	var want []string
	for i := range 10000 {
		at := int64(i)
		setTimer(s, ts, 1, "a", at, "x")
		if ts.Delete(at, []byte("x")); i%100 == 0 {
			ts.Register(at, []byte("x"))
			want = append(want, fmt.Sprintf("%d 1 a x", at))
		}
	}
	if ts.Len() != len(want) {
		t.Errorf("%d timers, want %d", ts.Len(), len(want))
	}
	equal(t, "fired", fired(t, s, ts, math.MaxInt64), want)
}

func testTypedHandles(t *testing.T, open Open) {
	s, _ := setup(t, open)
	v, err := state.NewValue[struct{ N int }](s, "v")
	if err != nil {
		t.Fatal(err)
	}
	m, err := state.NewMap[int, string](s, "m")
	if err != nil {
		t.Fatal(err)
	}
	s.SetKey(1, []byte("k"))
	if _, ok, err := v.Get(); ok || err != nil {
		t.Errorf("empty value: %v, %v", ok, err)
	}
	check(t, v.Set(struct{ N int }{7}))
	if got, ok, err := v.Get(); !ok || err != nil || got.N != 7 {
		t.Errorf("value %v, %v, %v", got, ok, err)
	}
	v.Clear()
	if _, ok, _ := v.Get(); ok {
		t.Error("a cleared value is there")
	}
	for _, i := range []int{3, -1, 1000, 0} {
		check(t, m.Put(i, fmt.Sprint("n", i)))
	}
	m.Delete(0)
	var got []string
	check(t, m.Range(func(k int, v string) bool { got = append(got, fmt.Sprint(k, v)); return k < 3 }))
	equal(t, "range", got, []string{"-1n-1", "3n3"})
	if v, ok, err := m.Get(1000); v != "n1000" || !ok || err != nil || m.Len() != 3 {
		t.Errorf("get %q, %v, %v; %d entries", v, ok, err, m.Len())
	}
	m.Clear()
	if m.Len() != 0 {
		t.Errorf("%d entries after clear", m.Len())
	}
	if _, err := state.NewValue[string](s, "v"); err == nil || !strings.Contains(err.Error(), "{N:int64}") {
		t.Errorf("another type: %v", err)
	}
	if _, err := state.NewMap[[]int, int](s, "x"); err == nil {
		t.Error("a map state with keys that have no order")
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func testBadBytes(t *testing.T, open Open) {
	s, _ := setup(t, open)
	v, err := state.NewValue[string](s, "words")
	check(t, err)
	m, err := state.NewMap[int64, string](s, "counts")
	check(t, err)
	s.SetKey(1, []byte("k"))
	put := func(name, kind, schema string, sub, value []byte) {
		h, err := s.Register(state.Definition{Name: name, Kind: kind, Schema: schema, SubSize: state.Variable, ValueSize: state.Variable})
		check(t, err)
		s.Put(h, sub, value)
	}
	for _, bad := range [][]byte{{}, {200}, {1, 'a', 'b'}} {
		put("words", "value", "string", nil, bad)
		if _, _, err := v.Get(); !errors.Is(err, state.ErrCorrupt) || !strings.Contains(err.Error(), `"words"`) {
			t.Errorf("%v decodes: %v", bad, err)
		}
	}
	put("counts", "map", "ordered int64 -> string", []byte("short"), []byte{0})
	if err := m.Range(func(int64, string) bool { return true }); !errors.Is(err, state.ErrCorrupt) {
		t.Errorf("a bad key decodes: %v", err)
	}
}
