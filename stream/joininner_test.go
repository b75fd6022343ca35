package stream

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/memory"
)

const innerGroups = 8

// bareJoin is a join without an engine: pairs are what it joined, since tests see no
// outputs.
type bareJoin struct {
	ctx   *engine.OpContext
	keys  trackers[int64, int64, int64]
	pairs []string
}

// newBareJoin makes one over a store; records are their own keys, but for their last digit.
func newBareJoin(t *testing.T, store state.Store) *bareJoin {
	t.Helper()
	keys, err := codec.Key[int64]()
	if err != nil {
		t.Fatal(err)
	}
	of := func(v int64) int64 { return v / 10 }
	j := &bareJoin{ctx: &engine.OpContext{
		Store: store, States: state.NewOperator(0, snapshot.Operator{}), KeyGroups: innerGroups, BatchRows: 1024, RestoredWatermark: NoTime,
	}}
	j.keys = trackers[int64, int64, int64]{newKeyTracker(j.ctx, of, keys), newKeyTracker(j.ctx, of, keys)}
	return j
}

func (j *bareJoin) pair(a, b int64) int64 {
	j.pairs = append(j.pairs, fmt.Sprint(a, " ", b))
	return a
}

// take is what was joined since the last call, in order.
func (j *bareJoin) take() string {
	slices.Sort(j.pairs)
	text := strings.Join(j.pairs, ", ")
	j.pairs = nil
	return text
}

func batchAt(time int64, values ...int64) *engine.Batch[int64] {
	b := &engine.Batch[int64]{}
	for _, v := range values {
		b.Append(v, time)
	}
	return b
}

func openMemory(t *testing.T) *memory.Store {
	t.Helper()
	store, err := memory.Open(memory.Config{GroupHi: innerGroups - 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// TestWindowJoinOfGroupsThatWereBehind: after a restore with another parallelism, key
// groups go on from where each of them was: what had fired does not fire again, and what had
// not does at the next watermark.
func TestWindowJoinOfGroupsThatWereBehind(t *testing.T) {
	store := openMemory(t)
	windows := Sliding(100*time.Millisecond, 50*time.Millisecond)
	open := func() (*bareJoin, *windowJoin[int64, int64, int64, int64]) {
		bare := newBareJoin(t, store)
		j, err := openWindowJoin(bare.ctx, bare.keys, windows, false, bare.pair)
		if err != nil {
			t.Fatal(err)
		}
		return bare, j.(*windowJoin[int64, int64, int64, int64])
	}
	bare, j := open()
	ahead, behind := int64(10), int64(20) // two keys of different groups
	for ; bare.groupOf(behind) == bare.groupOf(ahead); behind += 10 {
	}
	must(t, j.ProcessFirst(batchAt(120, ahead, behind)))
	must(t, j.ProcessSecond(batchAt(130, ahead+1, behind+1)))
	must(t, store.EndBatch())

	bare, j = open()
	j.wm, j.behind = 160, make([]int64, innerGroups)
	for group := range j.behind {
		j.behind[group] = 160
	}
	j.behind[bare.groupOf(behind)] = 110
	must(t, j.Watermark(100)) // the sources are behind all
	if got, want := bare.take(), fmt.Sprint(behind, " ", behind+1); got != want {
		t.Errorf("after the restore: joined %q, want %q, whose window 50..150 had not fired", got, want)
	}
	must(t, j.Watermark(250))
	if got, want := bare.take(), fmt.Sprintf("%d %d, %d %d", ahead, ahead+1, behind, behind+1); got != want {
		t.Errorf("window 100..200: joined %q, want %q", got, want)
	}
	if entries, _ := store.Size(); entries != 0 {
		t.Errorf("%d entries are left", entries)
	}
}

func (j *bareJoin) groupOf(record int64) int {
	return j.keys.first.group(&engine.Batch[int64]{}, 0, j.keys.first.append(nil, record))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tellTale is a store in which a miss is dear, and that knows which extents were read
// without being told of.
type tellTale struct {
	*memory.Store
	names  map[state.Handle]string
	told   map[string]bool
	missed []string
}

func (s *tellTale) Register(d state.Definition) (state.Handle, error) {
	h, err := s.Store.Register(d)
	s.names[h] = d.Name
	return h, err
}

func (s *tellTale) Ahead() bool { return true }

func (s *tellTale) Prefetch(wanted []state.Wanted) error {
	for _, w := range wanted {
		s.told[fmt.Sprintf("%d %d %x %x", w.Handle, w.Group, w.Key, w.Sub)] = true
	}
	s.Store.SetKey(0, nil) // the key is undefined afterwards
	return nil
}

func (s *tellTale) see(h state.Handle, sub []byte) {
	group, key := s.Key()
	at := fmt.Sprintf("%d %d %x %x", h, group, key, sub)
	if strings.HasSuffix(s.names[h], ".extents") && !s.told[at] {
		s.missed = append(s.missed, s.names[h]+": "+at)
	}
}

func (s *tellTale) Get(h state.Handle, sub []byte) ([]byte, bool, error) {
	s.see(h, sub)
	return s.Store.Get(h, sub)
}

func (s *tellTale) Update(h state.Handle, sub []byte, size int) ([]byte, bool, error) {
	s.see(h, sub)
	return s.Store.Update(h, sub, size)
}

// TestJoinsTellAhead: no extent is read that the store was not told of, neither for a
// batch nor for a watermark.
func TestJoinsTellAhead(t *testing.T) {
	type opener func(b *bareJoin) (engine.Transform2[int64, int64], error)
	for name, open := range map[string]opener{
		"join": func(b *bareJoin) (engine.Transform2[int64, int64], error) { return openJoin(b.ctx, b.keys, 0, b.pair) },
		"window join": func(b *bareJoin) (engine.Transform2[int64, int64], error) {
			return openWindowJoin(b.ctx, b.keys, Sliding(50*time.Millisecond, 20*time.Millisecond), false, b.pair)
		},
		"first match": func(b *bareJoin) (engine.Transform2[int64, int64], error) {
			return openWindowJoin(b.ctx, b.keys, Tumbling(50*time.Millisecond), true, b.pair)
		},
		"interval join": func(b *bareJoin) (engine.Transform2[int64, int64], error) {
			return openIntervalJoin(b.ctx, b.keys, newInterval(-7*time.Millisecond, 20*time.Millisecond), b.pair)
		},
		"temporal join": func(b *bareJoin) (engine.Transform2[int64, int64], error) {
			return openTemporalJoin(b.ctx, b.keys, func(a, v int64, _ bool) (int64, bool) { return b.pair(a, v), true })
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := &tellTale{Store: openMemory(t), names: map[state.Handle]string{}, told: map[string]bool{}}
			bare := newBareJoin(t, store)
			j, err := open(bare)
			must(t, err)
			for at := int64(100); at < 400; at += 10 {
				must(t, j.ProcessFirst(batchAt(at, 10, 20, 31, 12)))
				must(t, j.ProcessSecond(batchAt(at+5, 11, 21, 33)))
				must(t, j.Watermark(at-20))
			}
			must(t, j.Watermark(engine.MaxWatermark))
			if len(store.missed) > 0 {
				t.Errorf("%d extents are read and were not told of, first %s", len(store.missed), store.missed[0])
			}
			if len(bare.pairs) < 30*4 {
				t.Errorf("%d pairs only", len(bare.pairs))
			}
		})
	}
}
