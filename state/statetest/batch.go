package statetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/state"
)

// updateBatch changes random entries of a state together, some of them twice.
func (w *world) updateBatch() {
	w.t.Helper()
	s := w.subtasks[w.rnd.IntN(len(w.subtasks))]
	p, ok := s.store.(state.Batcher)
	if !ok {
		return
	}
	i := w.rnd.IntN(len(definitions))
	size := len(randomValue(w.rnd, definitions[i]))
	var b state.Batch
	var names []string
	for range w.rnd.IntN(40) {
		key := fmt.Sprint("key", w.rnd.IntN(60))
		group := dataflow.KeyGroup(dataflow.KeyHash([]byte(key)), groups)
		if group < s.lo || group > s.hi {
			continue
		}
		sub := randomSub(w.rnd, definitions[i])
		names = append(names, entryName(i, key, sub))
		b.Bytes = append(b.Bytes, key...)
		b.EndKey(group)
		b.Bytes = append(b.Bytes, sub...)
		b.EndSub()
	}
	next := 0
	check(w.t, p.UpdateBatch(s.handles[i], &b, size, func(n int, got []byte, existed bool) {
		w.t.Helper()
		old, had := w.model[names[n]]
		want := make([]byte, size)
		copy(want, old)
		if n != next || existed != had || string(got) != string(want) {
			w.t.Fatalf("entry %d of a batch, %s: number %d, existed %v, %q; want %v, %q", next, names[n], n, existed, got, had, want)
		}
		for j := range got {
			got[j] = byte('0' + n%10)
		}
		w.model[names[n]] = string(got)
		next++
	}))
	if next != len(names) {
		w.t.Fatalf("%d of the %d entries of a batch were changed", next, len(names))
	}
}

// counted is a value of a fixed size; named has none.
type counted struct{ Sum, N int64 }

type named struct {
	Name string
	N    int64
}

func testUpdateBatch(t *testing.T, open Open) {
	s, log := setup(t, open)
	now := int64(1000)
	lives := state.NewLifetimes(s, func() int64 { return now })
	plain, err := state.NewValue[counted](s, "plain")
	check(t, err)
	mortal, err := state.NewValue[counted](s, "mortal", state.WithTTL(lives, state.TTL{After: time.Second}))
	check(t, err)
	byNumber, err := state.NewMap[int64, named](s, "map")
	check(t, err)
	const keys, rows = 300, 1000
	for round := range int64(3) {
		now += 10_000 * (round / 2) // what is mortal is gone before the last round
		var b, subs state.Batch
		for i := range rows {
			k := i * i % keys
			b.Bytes = binary.BigEndian.AppendUint64(b.Bytes, uint64(k))
			b.EndKey(k % groups)
			subs.Bytes = binary.BigEndian.AppendUint64(subs.Bytes, uint64(k))
			subs.EndKey(k % groups)
			subs.Bytes = byNumber.AppendSub(subs.Bytes, int64(i%3))
			subs.EndSub()
		}
		add := func(_ int, v *counted, existed bool) {
			if existed != (v.N > 0) {
				t.Errorf("existed %v and %d added", existed, v.N)
			}
			v.Sum += round
			v.N++
		}
		check(t, plain.UpdateBatch(&b, add))
		check(t, mortal.UpdateBatch(&b, add))
		check(t, byNumber.UpdateBatch(&subs, func(i int, v *named, _ bool) { v.Name, v.N = fmt.Sprint(v.Name, i%10), v.N+1 }))
		check(t, s.EndBatch())
	}
	log.take()
	times, perSub := map[int]int64{}, map[[2]int]int64{}
	for i := range rows {
		times[i*i%keys]++
		perSub[[2]int{i * i % keys, i % 3}]++
	}
	for k, n := range times {
		s.SetKey(k%groups, binary.BigEndian.AppendUint64(nil, uint64(k)))
		for state, want := range map[*state.Value[counted]]counted{plain: {3 * n, 3 * n}, mortal: {2 * n, n}} {
			if got, ok, err := state.Get(); !ok || err != nil || got != want {
				t.Errorf("key %d: %v, %v, %v; want %v", k, got, ok, err, want)
			}
		}
	}
	for at, n := range perSub {
		s.SetKey(at[0]%groups, binary.BigEndian.AppendUint64(nil, uint64(at[0])))
		if got, ok, err := byNumber.Get(int64(at[1])); !ok || err != nil || got.N != 3*n || len(got.Name) != int(3*n) {
			t.Errorf("%v: %v, %v, %v; want %d", at, got, ok, err, 3*n)
		}
	}
}

func testUpdateBatchOfNothing(t *testing.T, open Open) {
	s, _ := setup(t, open)
	v, err := state.NewValue[counted](s, "v")
	check(t, err)
	if err := v.UpdateBatch(&state.Batch{}, func(int, *counted, bool) { t.Error(errors.New("called")) }); err != nil {
		t.Error(err)
	}
}
