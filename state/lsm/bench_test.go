package lsm

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/cairnstream/cairn/state"
)

// discard is a log that keeps nothing but the last block.
type discard struct{ image bool }

func (*discard) Define(state.Handle, state.Definition)    {}
func (*discard) Append(block []byte, _ int) (next []byte) { return block[:0] }
func (d *discard) WantsImage(int64) bool                  { return d.image }
func (d *discard) Image(state.Image)                      {}

const (
	benchBatch  = 1024
	benchGroups = 1024
	benchValue  = 100
)

// bench is a store of so many keys.
type bench struct {
	s      *Store
	h      state.Handle
	keys   int
	rnd    *rand.Rand
	ids    [benchBatch][8]byte
	wanted [benchBatch]state.Wanted
}

func openBench(b testing.TB, keys int, memory int64) *bench {
	s, err := Open(Config{GroupHi: benchGroups - 1, Log: &discard{}, Dir: filepath.Join(b.TempDir(), "store"), MemoryBytes: memory})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	h, err := s.Register(state.Definition{Name: "a", Kind: "value", Schema: "bytes", SubSize: 0, ValueSize: benchValue})
	if err != nil {
		b.Fatal(err)
	}
	return &bench{s: s, h: h, keys: keys, rnd: rand.New(rand.NewPCG(1, 2))}
}

func (x *bench) fill(b testing.TB) {
	for at := 0; at < x.keys; at += benchBatch {
		x.batch(b, func(i int) int { return min(at+i, x.keys-1) })
	}
}

// batch updates a batch of keys, each of them chosen by its place in it.
func (x *bench) batch(b testing.TB, key func(i int) int) {
	for i := range benchBatch {
		n := uint64(key(i)) * 0x9E3779B97F4A7C15
		binary.LittleEndian.PutUint64(x.ids[i][:], n)
		x.wanted[i] = state.Wanted{Handle: x.h, Group: int(n >> 54), Key: x.ids[i][:]}
	}
	if err := x.s.Prefetch(x.wanted[:]); err != nil {
		b.Fatal(err)
	}
	for i := range x.wanted {
		w := &x.wanted[i]
		x.s.SetKey(w.Group, w.Key)
		v, _, err := x.s.Update(x.h, nil, benchValue)
		if err != nil {
			b.Fatal(err)
		}
		v[0]++
	}
	if err := x.s.EndBatch(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkUpdate updates uniformly random keys; ns/op is for one update.
func BenchmarkUpdate(b *testing.B) {
	for _, c := range []struct {
		keys   int
		cached string
		memory int64
	}{
		{1e6, "all", 512 << 20}, {1e6, "10%", 24 << 20}, {10e6, "10%", 256 << 20},
	} {
		b.Run(fmt.Sprintf("keys=%d/cached=%s", c.keys, c.cached), func(b *testing.B) {
			x := openBench(b, c.keys, c.memory)
			x.fill(b)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if n%benchBatch == 0 {
					x.batch(b, func(int) int { return x.rnd.IntN(x.keys) })
				}
				n++
			}
			b.ReportMetric(float64(x.s.footprint())/(1<<20), "MiB-cache")
			b.ReportMetric(float64(x.s.states[0].table.Len()), "cached")
		})
	}
}

// BenchmarkRestore opens an image of the same key groups, and copies out half of it.
func BenchmarkRestore(b *testing.B) {
	const keys = 500_000
	log := newSpy(0, groups-1)
	from := setup(b, log)
	fill(b, from, register(b, from, "a"), keys)
	cut(b, from, log)
	bytes := log.parts()[0].fileBytes()
	for name, hi := range map[string]int{"same": groups - 1, "half": groups/2 - 1} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(bytes)
			for i := 0; b.Loop(); i++ {
				s := openIn(b, filepath.Join(b.TempDir(), "store"), 0, hi, nil)
				if _, err := loadFiles(s, log.parts()[0].image, 0, hi); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*keys*(hi+1)/groups)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

// BenchmarkOpen tells what a store without state takes.
func BenchmarkOpen(b *testing.B) {
	shared := NewShared(1 << 20)
	b.Cleanup(shared.Close)
	b.ReportAllocs()
	folder := b.TempDir()
	for i := 0; b.Loop(); i++ {
		s, err := Open(Config{GroupHi: 63, Dir: filepath.Join(folder, fmt.Sprint(i)), MemoryBytes: 12 << 20, Shared: shared})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
