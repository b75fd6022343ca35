package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
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
	return openSliced(t, log, 1<<30) // exact
}

// openSliced opens a store whose images freeze about so many bytes at once.
func openSliced(t *testing.T, log state.Log, slice int) *Store {
	t.Helper()
	s, err := Open(Config{GroupLo: 0, GroupHi: imageGroups - 1, Log: log, ImageSlice: slice})
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
		if b.Format == state.EntryBlock {
			loadEntries(t, s, b.Data)
		}
	}
	return s
}

func loadEntries(t *testing.T, s *Store, data []byte) {
	t.Helper()
	for len(data) > 0 {
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

// replayed is a keeper that knows the changes since the last image began.
type replayed struct {
	keeper
	since []byte
}

func (r *replayed) Append(block []byte, entries int) []byte {
	r.since = append(r.since, block...)
	return r.keeper.Append(block, entries)
}

func (r *replayed) Image(i state.Image) {
	r.since = nil
	r.keeper.Image(i)
}

// TestSlicedImage restores stores from fuzzy images and the changes since they began.
func TestSlicedImage(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			log := &replayed{keeper: keeper{want: true}}
			w := &imageWorld{t: t, rnd: rand.New(rand.NewPCG(seed, 5)), model: map[string]string{}}
			w.store = openSliced(t, log, 1+w.rnd.IntN(200_000))
			for range 5 {
				w.batch(w.rnd.IntN(4000))
				w.store.Cut(1)
				image := log.image
				var blocks []state.Block
				written := make(chan error, 1)
				go func() {
					defer image.Close()
					written <- image.Write(context.Background(), func(b state.Block) error { blocks = append(blocks, b); return nil })
				}()
				for done := false; !done; {
					select {
					case err := <-written:
						if done = true; err != nil {
							t.Fatal(err)
						}
					default:
						w.batch(200)
					}
				}
				s := loadImage(t, blocks)
				loadEntries(t, s, log.since)
				w.compare(s, w.model)
				w.compare(w.store, w.model)
			}
		})
	}
}

// TestSlicedImageOfAQuietStore is whole after the second barrier.
func TestSlicedImageOfAQuietStore(t *testing.T) {
	log := &replayed{keeper: keeper{want: true}}
	w := &imageWorld{t: t, rnd: rand.New(rand.NewPCG(1, 5)), model: map[string]string{}}
	w.store = openSliced(t, log, 1)
	w.batch(4000)
	w.store.Cut(1)
	image := log.image
	if !image.Fuzzy() {
		t.Fatal("an image of many slices is said to be exact")
	}
	log.want = false
	var blocks []state.Block
	first, written := make(chan struct{}), make(chan error, 1)
	go func() {
		defer image.Close()
		<-first
		written <- image.Write(context.Background(), func(b state.Block) error { blocks = append(blocks, b); return nil })
	}()
	close(first)
	for id := dataflow.CheckpointID(2); ; id++ {
		w.store.Cut(id)
		select {
		case err := <-written:
			if err != nil {
				t.Fatal(err)
			}
			w.compare(loadImage(t, blocks), w.model)
			return
		default:
			runtime.Gosched()
		}
	}
}

// TestImageIsClosedBetweenSlices leaves nothing frozen.
func TestImageIsClosedBetweenSlices(t *testing.T) {
	log := &replayed{keeper: keeper{want: true}}
	w := &imageWorld{t: t, rnd: rand.New(rand.NewPCG(1, 5)), model: map[string]string{}}
	w.store = openSliced(t, log, 1)
	w.batch(4000)
	w.store.Cut(1)
	log.image.Close()
	log.want = false
	w.batch(10)
	if w.store.image != nil {
		t.Error("the store goes on with an image that is closed")
	}
	w.batch(4000)
	w.compare(w.store, w.model)
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
