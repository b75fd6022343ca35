package state_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/memory"
)

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
