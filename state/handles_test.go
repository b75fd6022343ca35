package state_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/memory"
)

const groups = 16

func openStore(t testing.TB) *memory.Store {
	t.Helper()
	s, err := memory.Open(memory.Config{GroupHi: groups - 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func setKey(s state.Store, key string) {
	s.SetKey(dataflow.KeyGroup(dataflow.KeyHash([]byte(key)), groups), []byte(key))
}

// clock is a clock that a test sets.
type clock struct{ now int64 }

func (c *clock) read() int64 { return c.now }

// flat is a type of fixed size, loose one without, gappy one with padding.
type (
	flat  struct{ Count, Sum, Min, Max int64 }
	loose struct {
		Name string
		N    int
	}
	gappy struct {
		A int8
		B int64
	}
)

func TestValueOfEverySort(t *testing.T) {
	t.Run("fixed", func(t *testing.T) { testValue(t, flat{1, 2, 3, 4}, func(v *flat) { v.Sum += 5 }) })
	t.Run("padded", func(t *testing.T) { testValue(t, gappy{1, 2}, func(v *gappy) { v.B++ }) })
	t.Run("variable", func(t *testing.T) { testValue(t, loose{"a", 1}, func(v *loose) { v.Name += "longer" }) })
}

func testValue[T comparable](t *testing.T, first T, change func(*T)) {
	for _, ttl := range []time.Duration{0, time.Hour} {
		s := openStore(t)
		c := &clock{now: 1}
		v, err := state.NewValue[T](s, "v", state.WithTTL(state.NewLifetimes(s, c.read), state.TTL{After: ttl}))
		if err != nil {
			t.Fatal(err)
		}
		setKey(s, "k")
		check(t, v.Update(func(v *T, existed bool) {
			var zero T
			if existed || *v != zero {
				t.Errorf("a value before there was one: %v", *v)
			}
			*v = first
		}))
		want := first
		change(&want)
		check(t, v.Update(func(v *T, existed bool) {
			if !existed || *v != first {
				t.Errorf("%v, %v, want %v", *v, existed, first)
			}
			change(v)
		}))
		if got, ok, err := v.Get(); got != want || !ok || err != nil {
			t.Errorf("%v, %v, %v, want %v", got, ok, err, want)
		}
		check(t, v.Set(first))
		if got, ok, err := v.Get(); got != first || !ok || err != nil {
			t.Errorf("%v, %v, %v, want %v", got, ok, err, first)
		}
		v.Clear()
		if _, ok, err := v.Get(); ok || err != nil {
			t.Errorf("a cleared value is there: %v", err)
		}
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestReducingAndAggregating(t *testing.T) {
	s := openStore(t)
	r, err := state.NewReducing(s, "max", func(a, b int64) int64 { return max(a, b) })
	check(t, err)
	mean, err := state.NewAggregating(s, "mean", state.Aggregate[float64, flat, string]{
		Init:   func() flat { return flat{Min: 100} },
		Add:    func(a flat, v float64) flat { return flat{a.Count + 1, a.Sum + int64(v), min(a.Min, int64(v)), a.Max} },
		Result: func(a flat) string { return fmt.Sprint(a.Sum/a.Count, " ", a.Min) },
	})
	check(t, err)
	setKey(s, "k")
	if _, ok, err := mean.Get(); ok || err != nil {
		t.Errorf("a result before there was one: %v", err)
	}
	for _, v := range []int64{-3, -7, 5, 1} {
		check(t, r.Add(v))
		check(t, mean.Add(float64(v)))
		if v == -7 {
			if got, ok, err := r.Get(); got != -3 || !ok || err != nil {
				t.Errorf("the first one is folded with nothing: %d, %v, %v", got, ok, err)
			}
		}
	}
	if got, _, _ := r.Get(); got != 5 {
		t.Errorf("max %d", got)
	}
	if got, ok, err := mean.Get(); got != "-1 -7" || !ok || err != nil {
		t.Errorf("mean %q, %v, %v", got, ok, err)
	}
	r.Clear()
	mean.Clear()
	if entries, _ := s.Size(); entries != 0 {
		t.Errorf("%d entries are left", entries)
	}
}

func TestNamespacesAreApart(t *testing.T) {
	s := openStore(t)
	windows, err := codec.Ordered[int64]()
	check(t, err)
	in := state.Namespaced[int64](windows)
	v, err := state.NewValue[int64](s, "v", in)
	check(t, err)
	m, err := state.NewMap[string, int64](s, "m", in)
	check(t, err)
	l, err := state.NewList[string](s, "l", in)
	check(t, err)
	setKey(s, "k")
	enter := func(w int64) {
		ns := windows.Append(nil, &w)
		v.In(ns)
		m.In(ns)
		l.In(ns)
	}
	for w := range int64(3) {
		enter(w)
		check(t, v.Set(w))
		check(t, m.Put("a", w))
		check(t, m.Put("b", 10*w))
		check(t, l.Append(fmt.Sprint("first of ", w)))
		check(t, l.Append("second"))
	}
	enter(1)
	m.Clear()
	for w := range int64(3) {
		enter(w)
		got, _, err := v.Get()
		check(t, err)
		all, err := l.All()
		check(t, err)
		if got != w || !slices.Equal(all, []string{fmt.Sprint("first of ", w), "second"}) || l.Len() != 2 {
			t.Errorf("namespace %d has %d and %q", w, got, all)
		}
		if want := 2; m.Len() != want && w != 1 || m.Len() != 0 && w == 1 {
			t.Errorf("the map in namespace %d has %d entries", w, m.Len())
		}
	}
	defer func() {
		if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), "want 8") {
			t.Errorf("a namespace of another size: %v", p)
		}
	}()
	v.In([]byte("x"))
}

// TestSweepGivesMemoryBack: what has expired and is never met again goes away as
// other records come.
func TestSweepGivesMemoryBack(t *testing.T) {
	s := openStore(t)
	c := &clock{now: 1000}
	lives := state.NewLifetimes(s, c.read)
	v, err := state.NewValue[int64](s, "v", state.WithTTL(lives, state.TTL{After: time.Second}))
	check(t, err)
	for i := range 10_000 {
		setKey(s, fmt.Sprint("key", i))
		check(t, v.Set(int64(i)))
	}
	check(t, s.EndBatch())
	c.now += 1000
	looked := 0
	for entries := int64(10_000); entries > 1; entries, _ = s.Size() {
		if looked += 8 * 100; looked > 4*10_000 {
			t.Fatalf("%d entries are left after looking at %d", entries, looked)
		}
		c.now += 10
		setKey(s, "alive")
		check(t, v.Set(1))
		check(t, s.EndBatch())
		check(t, lives.Sweep(100))
	}
	setKey(s, "alive")
	if got, ok, err := v.Get(); got != 1 || !ok || err != nil {
		t.Errorf("the one that lives: %d, %v, %v", got, ok, err)
	}
}

func TestValueWithoutItsTime(t *testing.T) {
	s := openStore(t)
	v, err := state.NewValue[string](s, "v", state.WithTTL(state.NewLifetimes(s, (&clock{}).read), state.TTL{After: time.Second}))
	check(t, err)
	setKey(s, "k")
	check(t, s.Put(v.Handle(), nil, []byte("short")))
	if _, _, err := v.Get(); !errors.Is(err, state.ErrCorrupt) || !strings.Contains(err.Error(), `value state "v"`) {
		t.Errorf("got %v", err)
	}
}

// TestHotPathDoesNotAllocate: a record costs no memory.
func TestHotPathDoesNotAllocate(t *testing.T) {
	s := openStore(t)
	c := &clock{now: 1}
	ttl := state.WithTTL(state.NewLifetimes(s, c.read), state.TTL{After: time.Hour})
	v, err := state.NewValue[flat](s, "v")
	check(t, err)
	aging, err := state.NewValue[flat](s, "aging", ttl)
	check(t, err)
	m, err := state.NewMap[int64, flat](s, "m")
	check(t, err)
	r, err := state.NewReducing(s, "r", func(a, b int64) int64 { return a + b })
	check(t, err)
	var key [8]byte
	n := 0
	step := func() {
		n++
		binary.LittleEndian.PutUint64(key[:], uint64(n%100))
		s.SetKey(n%groups, key[:])
		_ = v.Update(func(v *flat, _ bool) { v.Count += int64(n) })
		_ = aging.Update(func(v *flat, _ bool) { v.Count += int64(n) })
		_ = m.Update(int64(n%10), func(v *flat, _ bool) { v.Count += int64(n) })
		_ = r.Add(int64(n))
		x, _, _ := v.Get()
		_ = v.Set(x)
	}
	for range 10_000 {
		step()
	}
	check(t, s.EndBatch())
	if allocs := testing.AllocsPerRun(1000, step); allocs > 0 {
		t.Errorf("%v allocations per record", allocs)
	}
}

func BenchmarkValue(b *testing.B) {
	s := openStore(b)
	v, err := state.NewValue[flat](s, "v")
	check(b, err)
	const keys = 100_000
	var key [8]byte
	run := func(name string, f func(i int)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				binary.LittleEndian.PutUint64(key[:], uint64(i)*2654435761%keys)
				s.SetKey(i%groups, key[:])
				f(i)
				if i%1024 == 0 {
					check(b, s.EndBatch())
				}
			}
		})
	}
	run("update", func(i int) { _ = v.Update(func(v *flat, _ bool) { v.Count += int64(i) }) })
	run("get and set", func(i int) {
		x, _, _ := v.Get()
		x.Count += int64(i)
		_ = v.Set(x)
	})
	run("store alone", func(int) {
		if b, _, err := s.Update(v.Handle(), nil, 32); err == nil {
			b[0]++
		}
	})
}
