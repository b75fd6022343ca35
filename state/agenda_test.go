package state_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cairnstream/cairn/state"
)

// TestAgenda compares an agenda with a sorted list.
func TestAgenda(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	type item struct {
		at    int64
		group int
		key   string
	}
	order := func(a, b item) int {
		return slices.Compare([]int64{a.at, int64(a.group)}, []int64{b.at, int64(b.group)})
	}
	var agenda state.Agenda
	var want []item
	for now := range int64(500) {
		for range r.IntN(10) {
			it := item{now + r.Int64N(50) - 5, r.IntN(100), fmt.Sprint("key", r.IntN(1e6))}
			agenda.Add(it.at, it.group, []byte(it.key))
			want = append(want, it)
		}
		slices.SortFunc(want, order)
		var ahead, got []item
		agenda.EachDue(now, 3, func(group int, key []byte) { ahead = append(ahead, item{0, group, string(key)}) })
		for {
			at, group, key, ok := agenda.Pop(now)
			if !ok {
				break
			}
			got = append(got, item{at, group, string(key)})
		}
		for i, it := range ahead {
			if got[i].group != it.group || got[i].key != it.key {
				t.Fatalf("%v was to come at %d, and %v came", it, now, got[i])
			}
		}
		n := len(got)
		if len(ahead) != min(n, 3) || n > len(want) || (n < len(want) && want[n].at <= now) || slices.CompareFunc(got, want[:n], order) != 0 {
			t.Fatalf("%v came at %d, ahead %v, want the first of %v", got, now, ahead, want)
		}
		if want = want[n:]; agenda.Len() != len(want) {
			t.Fatalf("%d are left, want %d", agenda.Len(), len(want))
		}
	}
}
