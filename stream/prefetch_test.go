package stream

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/memory"
)

// dearStore is a store in which a miss is dear; it does nothing else.
type dearStore struct {
	state.Store
	wanted []string
}

func (s *dearStore) Ahead() bool { return true }

func (s *dearStore) Prefetch(wanted []state.Wanted) error {
	for _, w := range wanted {
		s.wanted = append(s.wanted, fmt.Sprintf("%d %d %s %x", w.Handle, w.Group, w.Key, w.Sub))
	}
	return nil
}

// TestPrefetchTellsOfDueTimers: and of nothing that is not due.
func TestPrefetchTellsOfDueTimers(t *testing.T) {
	inner, err := memory.Open(memory.Config{GroupHi: 7})
	if err != nil {
		t.Fatal(err)
	}
	store := &dearStore{Store: inner}
	timers, err := state.NewTimers(store, "timers")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := codec.Fixed[[3]byte]()
	if err != nil {
		t.Fatal(err)
	}
	tracker := newKeyTracker(&engine.OpContext{Store: store, KeyGroups: 8}, func(v string) [3]byte { return [3]byte([]byte(v)) }, keys)
	const due = 3000
	for i := range 2 * due {
		inner.SetKey(i%8, fmt.Appendf(nil, "%03d", i%100))
		timers.Register(int64(i), []byte("tag"))
	}
	handle, _ := timers.Entry(nil, 0, nil)
	fired := 0
	err = tracker.popDue(timers, due-1, tracker.wantAll([]state.Handle{77}), func(group int, key, tag []byte, at int64) error {
		fired++
		want := fmt.Sprintf("%d %d %s %016x%x", handle, group, key, uint64(at)^(1<<63), tag)
		if !slices.Contains(store.wanted, want) || !slices.Contains(store.wanted, fmt.Sprintf("77 %d %s ", group, key)) {
			t.Fatalf("timer %d fires and %q was not told", at, want)
		}
		return nil
	})
	if err != nil || fired != due || len(store.wanted) > 3*2*due {
		t.Errorf("%d fired of %d, %v; %d entries were told of", fired, due, err, len(store.wanted))
	}
	if err := inner.Close(); err != nil {
		t.Error(err)
	}
}

// TestPrefetchTellsOfTheWholeBatch: every record's key, with each of the states.
func TestPrefetchTellsOfTheWholeBatch(t *testing.T) {
	keys, err := codec.Fixed[[3]byte]()
	if err != nil {
		t.Fatal(err)
	}
	store := &dearStore{}
	of := func(v string) [3]byte { return [3]byte([]byte(v)) }
	tracker := newKeyTracker(&engine.OpContext{Store: store, KeyGroups: 8}, of, keys)
	b := &engine.Batch[string]{}
	var want []string
	for i := range 100 {
		key := fmt.Sprintf("%03d", i)
		b.Append(key, NoTime)
		group := dataflow.KeyGroup(dataflow.KeyHash([]byte(key)), 8)
		want = append(want, fmt.Sprintf("4 %d %s ", group, key), fmt.Sprintf("7 %d %s ", group, key))
	}
	for range 2 {
		store.wanted = nil
		if err := tracker.prefetch(b, []state.Handle{4, 7}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(store.wanted, want) {
			t.Errorf("wanted %q, want %q", store.wanted, want)
		}
	}
}
