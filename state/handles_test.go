package state_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
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

// TestHandlesAgainstAModel runs random operations on states of every sort, with and
// without a TTL, against plain maps with times.
func TestHandlesAgainstAModel(t *testing.T) {
	base := uint64(time.Now().UnixNano())
	for seed := base; seed < base+30; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { runHandles(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

// aged is what a model holds: a value and when it was used.
type aged struct {
	value string
	at    int64
}

// handles are the states of a random program and their models, by key.
type handles struct {
	t     *testing.T
	r     *rand.Rand
	s     *memory.Store
	clock *clock
	ttl   state.TTL
	lives *state.Lifetimes

	value *state.Value[loose]
	byN   *state.Map[int32, flat]
	list  *state.List[int64]

	values map[string]aged
	maps   map[string]map[int32]aged
	lists  map[string][]aged
}

func runHandles(t *testing.T, r *rand.Rand) {
	s := openStore(t)
	h := &handles{t: t, r: r, s: s, clock: &clock{now: 1000}, values: map[string]aged{}, maps: map[string]map[int32]aged{}, lists: map[string][]aged{}}
	if r.IntN(3) > 0 {
		h.ttl = state.TTL{After: 100 * time.Millisecond, OnRead: r.IntN(2) == 0}
	}
	h.lives = state.NewLifetimes(s, h.clock.read)
	o := state.WithTTL(h.lives, h.ttl)
	var err error
	h.value, err = state.NewValue[loose](s, "value", o)
	check(t, err)
	h.byN, err = state.NewMap[int32, flat](s, "map", o)
	check(t, err)
	h.list, err = state.NewList[int64](s, "list", o)
	check(t, err)
	for range 3000 {
		key := fmt.Sprint("key", r.IntN(8))
		setKey(s, key)
		h.step(key)
		if r.IntN(20) == 0 {
			check(t, s.EndBatch())
			check(t, h.lives.Sweep(20))
			h.clock.now += int64(r.IntN(40))
		}
	}
}

func (h *handles) dead(a aged) bool {
	return h.ttl.After > 0 && h.clock.now-a.at >= h.ttl.After.Milliseconds()
}

func (h *handles) read(a aged) aged {
	if h.ttl.OnRead {
		a.at = h.clock.now
	}
	return a
}

func (h *handles) step(key string) {
	switch h.r.IntN(3) {
	case 0:
		h.stepValue(key)
	case 1:
		h.stepMap(key)
	default:
		h.stepList(key)
	}
}

func (h *handles) stepValue(key string) {
	want, ok := h.values[key]
	if ok = ok && !h.dead(want); !ok {
		want = aged{}
	}
	n := h.r.IntN(100)
	text := fmt.Sprint(n)
	switch h.r.IntN(4) {
	case 0:
		got, there, err := h.value.Get()
		check(h.t, err)
		if there != ok || got.Name != want.value {
			h.t.Fatalf("value of %s: %v, %v, want %q, %v", key, got, there, want.value, ok)
		}
		if ok {
			h.values[key] = h.read(want)
		}
	case 1:
		check(h.t, h.value.Set(loose{text, n}))
		h.values[key] = aged{text, h.clock.now}
	case 2:
		check(h.t, h.value.Update(func(v *loose, existed bool) {
			if existed != ok || v.Name != want.value {
				h.t.Fatalf("update of %s: %v, %v, want %q, %v", key, v, existed, want.value, ok)
			}
			v.Name += text
		}))
		h.values[key] = aged{want.value + text, h.clock.now}
	default:
		if h.r.IntN(3) == 0 {
			h.value.Clear()
			delete(h.values, key)
		}
	}
}

func (h *handles) stepMap(key string) {
	if h.maps[key] == nil {
		h.maps[key] = map[int32]aged{}
	}
	m := h.maps[key]
	maps.DeleteFunc(m, func(_ int32, a aged) bool { return h.dead(a) })
	k := int32(h.r.IntN(10) - 5)
	n := h.r.Int64N(1000)
	switch h.r.IntN(6) {
	case 0:
		check(h.t, h.byN.Put(k, flat{Sum: n}))
		m[k] = aged{fmt.Sprint(n), h.clock.now}
	case 1:
		check(h.t, h.byN.Update(k, func(v *flat, existed bool) {
			if _, ok := m[k]; ok != existed {
				h.t.Fatalf("update of %s/%d: existed is %v", key, k, existed)
			}
			v.Sum = n
		}))
		m[k] = aged{fmt.Sprint(n), h.clock.now}
	case 2:
		h.byN.Delete(k)
		delete(m, k)
	case 3:
		h.compareMap(key, m)
	case 4:
		if h.byN.Len() != len(m) {
			h.t.Fatalf("map of %s has %d entries, want %d", key, h.byN.Len(), len(m))
		}
	default:
		v, ok, err := h.byN.Get(k)
		check(h.t, err)
		if a, there := m[k]; ok != there || ok && fmt.Sprint(v.Sum) != a.value {
			h.t.Fatalf("map of %s at %d: %v, %v, want %v", key, k, v, ok, a)
		}
		if ok {
			m[k] = h.read(m[k])
		}
	}
}

func (h *handles) compareMap(key string, m map[int32]aged) {
	var got, want []string
	check(h.t, h.byN.Range(func(k int32, v flat) bool {
		got = append(got, fmt.Sprint(k, "=", v.Sum))
		m[k] = h.read(m[k])
		return true
	}))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		want = append(want, fmt.Sprint(k, "=", m[k].value))
	}
	if !slices.Equal(got, want) {
		h.t.Fatalf("map of %s: %q, want %q", key, got, want)
	}
}

func (h *handles) stepList(key string) {
	l := slices.DeleteFunc(h.lists[key], h.dead)
	n := h.r.Int64N(1000)
	switch h.r.IntN(6) {
	case 0, 1, 2:
		check(h.t, h.list.Append(n))
		l = append(l, aged{fmt.Sprint(n), h.clock.now})
	case 3:
		if h.r.IntN(4) == 0 {
			check(h.t, h.list.Replace([]int64{n, n + 1}))
			l = []aged{{fmt.Sprint(n), h.clock.now}, {fmt.Sprint(n + 1), h.clock.now}}
		}
	case 4:
		if h.r.IntN(4) == 0 {
			h.list.Clear()
			l = nil
		}
	default:
		all, err := h.list.All()
		check(h.t, err)
		if len(all) != len(l) || h.list.Len() != len(l) {
			h.t.Fatalf("list of %s: %v, want %v", key, all, l)
		}
		for i := range l {
			if fmt.Sprint(all[i]) != l[i].value {
				h.t.Fatalf("list of %s: %v, want %v", key, all, l)
			}
			l[i] = h.read(l[i])
		}
	}
	h.lists[key] = l
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
