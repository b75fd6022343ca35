package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/state"
)

const imageGroups = 16

var imageStates = []state.Definition{
	{Name: "sum", Kind: "value", Schema: "fixed", ValueSize: 32},
	{Name: "name", Kind: "value", Schema: "string", ValueSize: state.Variable},
	{Name: "counts", Kind: "map", Schema: "a -> b", SubSize: 4, ValueSize: 8},
	{Name: "large", Kind: "value", Schema: "x", ValueSize: 300},
}

// imageWorld is a store and a reference for it.
type imageWorld struct {
	t     *testing.T
	rnd   *rand.Rand
	store *Store
	log   *keeper
	model map[string]string
}

func openImageStore(t *testing.T, log state.Log) *Store {
	t.Helper()
	s, err := Open(Config{GroupLo: 0, GroupHi: imageGroups - 1, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range imageStates {
		if _, err := s.Register(d); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (w *imageWorld) batch(n int) {
	for range n {
		h := w.rnd.IntN(len(imageStates))
		d := imageStates[h]
		key := fmt.Appendf(nil, "%08d", w.rnd.IntN(3000))
		if w.rnd.IntN(50) == 0 {
			key = append(key, "another size"...)
		}
		var sub []byte
		if d.SubSize > 0 {
			sub = fmt.Appendf(nil, "%04d", w.rnd.IntN(20))
		}
		w.store.SetKey(dataflow.KeyGroup(dataflow.KeyHash(key), imageGroups), key)
		name := fmt.Sprintf("%d/%s/%s", h, key, sub)
		size := d.ValueSize
		if size < 0 {
			size = w.rnd.IntN(100)
		}
		switch w.rnd.IntN(6) {
		case 0, 1:
			_ = w.store.Delete(state.Handle(h), sub)
			delete(w.model, name)
		default:
			v := bytes.Repeat([]byte{byte(w.rnd.IntN(256))}, size)
			_ = w.store.Put(state.Handle(h), sub, v)
			w.model[name] = string(v)
		}
	}
	_ = w.store.EndBatch()
}

// load restores a store from the blocks of an image, several at once.
func loadImage(t *testing.T, blocks []state.Block) *Store {
	t.Helper()
	s := openImageStore(t, nil)
	var loads sync.WaitGroup
	groups := make([]sync.Mutex, imageGroups)
	for _, b := range blocks {
		if b.Format != state.RecordBlock {
			continue
		}
		loads.Go(func() {
			n := 0
			err := state.ReadRecords(b.Data, func(r state.Records, group int, data []byte) error {
				if group < b.GroupLo || group > b.GroupHi {
					return fmt.Errorf("group %d in a block of %d to %d", group, b.GroupLo, b.GroupHi)
				}
				n += len(data) / r.Size()
				groups[group].Lock()
				defer groups[group].Unlock()
				return s.LoadRecords(r, group, data)
			})
			if err != nil || n != b.Entries {
				t.Errorf("%d records of %d: %v", n, b.Entries, err)
			}
		})
	}
	loads.Wait()
	for _, b := range blocks {
		for data := b.Data; b.Format == state.EntryBlock && len(data) > 0; {
			e, n, err := state.ReadEntry(data)
			if err == nil {
				err = s.Load(e)
			}
			if err != nil {
				t.Fatal(err)
			}
			data = data[n:]
		}
	}
	return s
}

func (w *imageWorld) compare(s *Store, want map[string]string) {
	w.t.Helper()
	got := map[string]string{}
	for h := range imageStates {
		_ = s.ScanAll(state.Handle(h), func(_ int, key, sub, value []byte) bool {
			got[fmt.Sprintf("%d/%s/%s", h, key, sub)] = string(value)
			return true
		})
	}
	entries, size := s.Size()
	var wantSize int64
	for name, v := range want {
		if g, ok := got[name]; !ok || g != v {
			w.t.Fatalf("%s is %x, %v, want %x", name, g, ok, v)
		}
		wantSize += int64(len(name) - 3 + len(v))
	}
	if len(got) != len(want) || int(entries) != len(want) || size != wantSize {
		w.t.Fatalf("%d entries, want %d; size says %d with %d bytes, want %d", len(got), len(want), entries, size, wantSize)
	}
}

// TestImageWhileStoreGoesOn restores stores from images that were written while the
// store changed.
func TestImageWhileStoreGoesOn(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			w := &imageWorld{t: t, rnd: rand.New(rand.NewPCG(seed, 5)), log: &keeper{want: true}, model: map[string]string{}}
			w.store = openImageStore(t, w.log)
			for range 5 {
				w.batch(w.rnd.IntN(4000))
				w.store.Cut(1)
				image, want := w.log.image, maps.Clone(w.model)
				var blocks []state.Block
				written := make(chan error, 1)
				go func() {
					defer image.Close()
					written <- image.Write(context.Background(), func(b state.Block) error { blocks = append(blocks, b); return nil })
				}()
				for range 20 {
					w.batch(200)
				}
				if err := <-written; err != nil {
					t.Fatal(err)
				}
				w.compare(loadImage(t, blocks), want)
				w.compare(w.store, w.model)
			}
		})
	}
}

func TestImageEndsWithYieldsError(t *testing.T) {
	w := &imageWorld{t: t, rnd: rand.New(rand.NewPCG(1, 5)), log: &keeper{want: true}, model: map[string]string{}}
	w.store = openImageStore(t, w.log)
	w.batch(5000)
	w.store.Cut(1)
	full := errors.New("the disk is full")
	n := 0
	if err := w.log.image.Write(context.Background(), func(state.Block) error { n++; return full }); !errors.Is(err, full) || n != 1 {
		t.Errorf("%d blocks, error %v", n, err)
	}
	w.store.Cut(2)
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(full)
	if err := w.log.image.Write(ctx, func(state.Block) error { return nil }); !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
}

func TestLoadRecordsRefusesWhatDoesNotFit(t *testing.T) {
	s := openImageStore(t, nil)
	r := state.Records{Handle: 0, KeySize: 8, ValueSize: 32}
	for name, err := range map[string]error{
		"a group outside":  s.LoadRecords(r, imageGroups, make([]byte, 40)),
		"half a record":    s.LoadRecords(r, 1, make([]byte, 60)),
		"an unknown state": s.LoadRecords(state.Records{Handle: 9, KeySize: 8}, 1, make([]byte, 8)),
		"records of none":  s.LoadRecords(state.Records{Handle: 0}, 1, nil),
	} {
		if err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
