package stream

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestCut compares the arithmetic of slices with windows that are listed one by one.
func TestCut(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		w := Sliding(time.Duration(1+r.IntN(40))*time.Millisecond, time.Duration(1+r.IntN(40))*time.Millisecond)
		if r.IntN(3) == 0 {
			w = Tumbling(time.Duration(1+r.IntN(40)) * time.Millisecond)
		}
		w = w.Offset(time.Duration(r.IntN(100)-50) * time.Millisecond)
		checkCut(t, w, r.Int64N(400)-200)
	}
}

func checkCut(t *testing.T, w Windows, at int64) {
	t.Helper()
	c := newCut(w)
	slice, next := c.slice(at)
	if slice > at || at >= next {
		t.Fatalf("%+v: %d is in the slice [%d, %d)", w, at, slice, next)
	}
	var ends []int64 // of the windows that hold at
	first := int64(math.MaxInt64)
	for begin := at - 100; begin <= at+100; begin++ {
		if modulo(begin-w.offset, w.slide) != 0 {
			continue
		}
		end := begin + w.size
		if begin <= at && at < end {
			ends = append(ends, end)
			if slice < begin || next > end {
				t.Fatalf("%+v: the window [%d, %d) has a part of the slice [%d, %d)", w, begin, end, slice, next)
			}
		}
		if end > at {
			first = min(first, end)
		}
	}
	if c.covered(slice) != (len(ends) > 0) || c.endAfter(at) != first {
		t.Fatalf("%+v: %d is in windows that end at %v; covered %v, first end %d", w, at, ends, c.covered(slice), c.endAfter(at))
	}
	if len(ends) > 0 && (c.endAfter(slice) != ends[0] || c.lastEnd(slice) != ends[len(ends)-1]) {
		t.Fatalf("%+v: %d is in windows that end at %v; first %d, last %d", w, at, ends, c.endAfter(slice), c.lastEnd(slice))
	}
	if begin := c.begin(first); c.end(begin) != first || begin > first-w.size {
		t.Fatalf("%+v: the window that ends at %d begins at %d", w, first, begin)
	}
}

// TestRoster compares a roster with a map.
func TestRoster(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var got roster
	want := map[int64][]string{}
	now := int64(0)
	for range 2000 {
		now += r.Int64N(3)
		start, key := now-r.Int64N(20), fmt.Sprint("key", r.IntN(1000))
		got.add(start, r.IntN(5000), []byte(key))
		want[start] = append(want[start], key)
		if n := r.IntN(len(got.slices) + 1); r.IntN(10) == 0 {
			for _, l := range got.slices[:n] {
				delete(want, l.start)
			}
			got.drop(n)
		}
		from := now - r.Int64N(20)
		to := from + r.Int64N(20)
		for _, l := range got.within(from, to) {
			if l.start < from || l.start >= to || !slices.Equal(keysOf(l), want[l.start]) {
				t.Fatalf("slice %d of [%d, %d) has %v, want %v", l.start, from, to, keysOf(l), want[l.start])
			}
		}
	}
	if len(got.slices) != len(want) || !slices.IsSortedFunc(got.slices, func(a, b *keyList) int { return int(a.start - b.start) }) {
		t.Errorf("%d slices, want %d in order", len(got.slices), len(want))
	}
}

func keysOf(l *keyList) (all []string) {
	for at := 0; at < len(l.bytes); {
		var key []byte
		_, key, at = l.next(at)
		all = append(all, string(key))
	}
	return all
}

// TestChangedList: what is added comes out, in order, whatever is dropped in between.
func TestChangedList(t *testing.T) {
	var l changedList
	added, dropped := int64(0), int64(0)
	for range 100 {
		for range 7 {
			l.add(int(added%300), fmt.Append(nil, added), math.MinInt64+added)
			added++
		}
		n := l.first(5)
		for at := 0; at < n; dropped++ {
			var group int
			var key []byte
			var begin int64
			group, key, begin, at = l.next(at)
			if group != int(dropped%300) || string(key) != fmt.Sprint(dropped) || begin != math.MinInt64+dropped {
				t.Fatalf("window %d is key group %d, key %s, begin %d", dropped, group, key, begin)
			}
		}
		l.drop(n)
	}
	if l.drop(l.first(1000)); added != 700 || dropped != 500 || !l.empty() || l.size() != 0 {
		t.Errorf("%d added, %d dropped, %d bytes left of the rest", added, dropped, l.size())
	}
}

// TestKeyNumbers compares numbers with a map: a key keeps its number while it has users.
func TestKeyNumbers(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var numbers keyNumbers
	users, number := map[string]int{}, map[string]uint32{}
	var uses []string
	for round := range 20_000 {
		if len(uses) > 0 && r.IntN(1000) < 450+round%100 {
			i := r.IntN(len(uses))
			key := uses[i]
			uses[i] = uses[len(uses)-1]
			uses = uses[:len(uses)-1]
			users[key]--
			numbers.letGo(number[key])
			continue
		}
		key := fmt.Sprint("key", r.IntN(5000))
		n := numbers.use(len(key), []byte(key))
		if users[key] > 0 && number[key] != n {
			t.Fatalf("%s was number %d and is %d", key, number[key], n)
		}
		number[key] = n
		users[key]++
		uses = append(uses, key)
	}
	owner := map[uint32]string{}
	for key, n := range users {
		if n == 0 {
			continue
		}
		x := numbers.all[number[key]]
		if other := owner[number[key]]; other != "" || string(numbers.key(number[key])) != key || int(x.users) != n || int(x.group) != len(key) {
			t.Fatalf("number %d is %q with %d users, and %q; want %s with %d", number[key], numbers.key(number[key]), x.users, other, key, n)
		}
		owner[number[key]] = key
	}
	for _, key := range uses {
		numbers.letGo(number[key])
	}
	for i := range len(numbers.table) { // it looks at what is idle when the table is half full
		numbers.letGo(numbers.use(0, fmt.Append(nil, "other", i)))
	}
	if n := len(numbers.table); n > 4*numbersMin {
		t.Errorf("a table of %d places for nothing", n)
	}
}
