package memory

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/state"
)

// keeper is a log that keeps nothing but the blocks it is given.
type keeper struct {
	free    [][]byte
	entries int
	bytes   int64
	want    bool
	image   state.Image
}

func (k *keeper) Define(state.Handle, state.Definition) {}
func (k *keeper) WantsImage(int64) bool                 { return k.want }
func (k *keeper) Image(i state.Image)                   { k.image = i }

func (k *keeper) Append(block []byte, entries int) []byte {
	k.entries += entries
	k.bytes += int64(len(block))
	k.free = append(k.free, block)
	if len(k.free) < 32 {
		return make([]byte, 0, 2*blockBytes)
	}
	next := k.free[0]
	k.free = append(k.free[:0], k.free[1:]...)
	return next[:0]
}

// cpuTime is the CPU time of the benchmark's thread: on a machine that others use too it says
// more than the clock.
type cpuTime time.Duration

func startCPU() cpuTime {
	runtime.LockOSThread()
	return cpuTime(threadTime())
}

func threadTime() time.Duration {
	const thread = 1 // RUSAGE_THREAD
	var u syscall.Rusage
	_ = syscall.Getrusage(thread, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (c cpuTime) report(b *testing.B, n int) {
	b.ReportMetric(float64(threadTime()-time.Duration(c))/float64(n), "cpu-ns/op")
	runtime.UnlockOSThread()
}

const (
	benchGroups = 1024
	benchBatch  = 1024
)

// filled returns a store with n entries of 8-byte keys and 32-byte values.
func filled(b *testing.B, n int, log state.Log) (*Store, state.Handle) {
	b.Helper()
	s, err := Open(Config{GroupLo: 0, GroupHi: benchGroups - 1, Log: log, ImageSlice: 1 << 40})
	if err != nil {
		b.Fatal(err)
	}
	h, err := s.Register(state.Definition{Name: "sum", Kind: "value", Schema: "fixed", ValueSize: 32})
	if err != nil {
		b.Fatal(err)
	}
	var key [8]byte
	for i := range n {
		group := benchKey(&key, uint64(i))
		s.SetKey(group, key[:])
		if _, _, err := s.Update(h, nil, 32); err != nil {
			b.Fatal(err)
		}
		if i%benchBatch == 0 {
			_ = s.EndBatch()
		}
	}
	_ = s.EndBatch()
	return s, h
}

// benchKey is key number i: a random one.
func benchKey(key *[8]byte, i uint64) (group int) {
	i *= 0x9E3779B97F4A7C15
	i ^= i >> 29
	i *= 0xBF58476D1CE4E5B9
	i ^= i >> 32
	binary.LittleEndian.PutUint64(key[:], i)
	return dataflow.KeyGroup(i, benchGroups)
}

// batches are the keys that benchmarks use, made before: the numbers are the store's alone.
type batches struct {
	keys   []byte
	groups []int32
}

func makeBatches(n, count int) *batches {
	rnd := rand.New(rand.NewPCG(1, 2))
	k := &batches{}
	var key [8]byte
	for range count {
		g := benchKey(&key, rnd.Uint64N(uint64(n)))
		k.keys = append(k.keys, key[:]...)
		k.groups = append(k.groups, int32(g))
	}
	return k
}

// want lists the batch that begins at at.
func (k *batches) want(wanted []state.Wanted, h state.Handle, at int) {
	for i := range wanted {
		wanted[i] = state.Wanted{Handle: h, Group: int(k.groups[at+i]), Key: k.keys[(at+i)*8 : (at+i)*8+8]}
	}
}

// BenchmarkUpdate changes random keys, in batches, as an operator does.
func BenchmarkUpdate(b *testing.B) {
	for _, n := range []int{1000, 10_000, 1_000_000, 10_000_000} {
		for _, log := range []state.Log{nil, &keeper{}} {
			b.Run(fmt.Sprintf("keys=%dK/log=%v", n/1000, log != nil), func(b *testing.B) {
				s, h := filled(b, n, log)
				k := makeBatches(n, 1<<20)
				b.ReportAllocs()
				i, cpu := 0, startCPU()
				wanted := make([]state.Wanted, benchBatch)
				for b.Loop() {
					at := i & (1<<20 - 1)
					if i%benchBatch == 0 && s.Ahead() {
						k.want(wanted, h, at)
						_ = s.Prefetch(wanted)
					}
					s.SetKey(int(k.groups[at]), k.keys[at*8:at*8+8])
					v, _, _ := s.Update(h, nil, 32)
					binary.LittleEndian.PutUint64(v, binary.LittleEndian.Uint64(v)+1)
					binary.LittleEndian.PutUint64(v[8:], uint64(i))
					if i++; i%benchBatch == 0 {
						_ = s.EndBatch()
					}
				}
				cpu.report(b, b.N)
				b.ReportMetric(float64(s.Footprint())/float64(n), "B/entry")
			})
		}
	}
}

// BenchmarkUpdateBatch is BenchmarkUpdate with a batch's entries changed together.
func BenchmarkUpdateBatch(b *testing.B) {
	for _, n := range []int{1000, 10_000, 1_000_000, 10_000_000} {
		for _, log := range []state.Log{nil, &keeper{}} {
			b.Run(fmt.Sprintf("keys=%dK/log=%v", n/1000, log != nil), func(b *testing.B) {
				s, h := filled(b, n, log)
				k := makeBatches(n, 1<<20)
				b.ReportAllocs()
				var batch state.Batch
				each := func(i int, v []byte, _ bool) {
					binary.LittleEndian.PutUint64(v, binary.LittleEndian.Uint64(v)+1)
					binary.LittleEndian.PutUint64(v[8:], uint64(i))
				}
				at, cpu := 0, startCPU()
				b.ResetTimer()
				for range b.N/benchBatch + 1 {
					batch.Reset()
					for i := at; i < at+benchBatch; i++ {
						batch.Bytes = append(batch.Bytes, k.keys[i*8:i*8+8]...)
						batch.EndKey(int(k.groups[i]))
					}
					if err := s.UpdateBatch(h, &batch, 32, each); err != nil {
						b.Fatal(err)
					}
					_ = s.EndBatch()
					at = (at + benchBatch) & (1<<20 - 1)
				}
				cpu.report(b, (b.N/benchBatch+1)*benchBatch)
			})
		}
	}
}

// BenchmarkInsert is the growth of a table from nothing.
func BenchmarkInsert(b *testing.B) {
	cpu := startCPU()
	for b.Loop() {
		filled(b, 1_000_000, nil)
	}
	cpu.report(b, b.N*1_000_000)
}

func BenchmarkFreeze(b *testing.B) {
	log := &keeper{want: true}
	s, _ := filled(b, 10_000_000, log)
	cpu := startCPU()
	for b.Loop() {
		s.Cut(1)
		log.image.Close()
	}
	cpu.report(b, b.N)
}

// BenchmarkUpdateWhileImage is the worst case: every page is copied.
func BenchmarkUpdateWhileImage(b *testing.B) {
	const n = 1_000_000
	log := &keeper{want: true}
	s, h := filled(b, n, log)
	k := makeBatches(n, 1<<20)
	i, cpu := 0, startCPU()
	for b.Loop() {
		if i%(1<<20) == 0 {
			if log.image != nil {
				log.image.Close()
			}
			_ = s.EndBatch()
			s.Cut(1)
		}
		at := i & (1<<20 - 1)
		s.SetKey(int(k.groups[at]), k.keys[at*8:at*8+8])
		v, _, _ := s.Update(h, nil, 32)
		v[0]++
		if i++; i%benchBatch == 0 {
			_ = s.EndBatch()
		}
	}
	cpu.report(b, b.N)
}

// BenchmarkMap is the same as BenchmarkUpdate for Go's map, to compare with.
func BenchmarkMap(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprintf("keys=%dK", n/1000), func(b *testing.B) {
			m := map[uint64][4]uint64{}
			k := makeBatches(n, 1<<20)
			for i := range 1 << 20 {
				m[binary.LittleEndian.Uint64(k.keys[i*8:])] = [4]uint64{}
			}
			i, cpu := 0, startCPU()
			for b.Loop() {
				key := binary.LittleEndian.Uint64(k.keys[i&(1<<20-1)*8:])
				v := m[key]
				v[0]++
				v[1] = uint64(i)
				m[key] = v
				i++
			}
			cpu.report(b, b.N)
		})
	}
}

// BenchmarkMemory is what the machine gives at the moment: a change of 32 bytes at a random
// place of 64 MB.
func BenchmarkMemory(b *testing.B) {
	mem := make([]byte, 64<<20)
	k := makeBatches(1_000_000, 1<<20)
	clear(mem)
	i, cpu := 0, startCPU()
	for b.Loop() {
		at := binary.LittleEndian.Uint64(k.keys[i&(1<<20-1)*8:]) & (1<<20 - 1) * 64
		mem[at]++
		mem[at+31]++
		i++
	}
	cpu.report(b, b.N)
}

func imageOf(b *testing.B, s *Store, log *keeper) (blocks [][]byte) {
	log.want = true
	s.Cut(1)
	defer log.image.Close()
	err := log.image.Write(context.Background(), func(x state.Block) error { blocks = append(blocks, x.Data); return nil })
	if err != nil {
		b.Fatal(err)
	}
	return blocks
}

func BenchmarkImage(b *testing.B) {
	log := &keeper{}
	s, _ := filled(b, 1_000_000, log)
	cpu := startCPU()
	for b.Loop() {
		imageOf(b, s, log)
	}
	cpu.report(b, b.N*1_000_000)
}

func BenchmarkLoadRecords(b *testing.B) {
	log := &keeper{}
	s, _ := filled(b, 2_000_000, log)
	blocks := imageOf(b, s, log)
	cpu := startCPU()
	for b.Loop() {
		to, _ := Open(Config{GroupLo: 0, GroupHi: benchGroups - 1})
		_, _ = to.Register(state.Definition{Name: "sum", Kind: "value", Schema: "fixed", ValueSize: 32})
		for _, block := range blocks {
			if err := state.ReadRecords(block, to.LoadRecords); err != nil {
				b.Fatal(err)
			}
		}
		if n, _ := to.Size(); n != 2_000_000 {
			b.Fatalf("%d entries", n)
		}
	}
	cpu.report(b, b.N*2_000_000)
}

// BenchmarkLoadEntries replays changes in the batches that a restore makes.
func BenchmarkLoadEntries(b *testing.B) {
	const batch = 128
	k := makeBatches(1_000_000, 1<<20)
	entries := make([]state.Entry, 1<<20)
	value := make([]byte, 32)
	for i, g := range k.groups {
		entries[i] = state.Entry{Group: int(g), Key: k.keys[i*8 : i*8+8], Value: value}
	}
	cpu := startCPU()
	for b.Loop() {
		to, _ := Open(Config{GroupLo: 0, GroupHi: benchGroups - 1})
		_, _ = to.Register(state.Definition{Name: "sum", Kind: "value", Schema: "fixed", SubSize: state.Variable, ValueSize: state.Variable})
		for e := entries; len(e) > 0; e = e[batch:] {
			if err := to.LoadEntries(e[:batch]); err != nil {
				b.Fatal(err)
			}
		}
	}
	cpu.report(b, b.N*(1<<20))
}

func BenchmarkLoad(b *testing.B) {
	k := makeBatches(1_000_000, 1<<20)
	value := make([]byte, 32)
	cpu := startCPU()
	for b.Loop() {
		to, _ := Open(Config{GroupLo: 0, GroupHi: benchGroups - 1})
		h, _ := to.Register(state.Definition{Name: "sum", Kind: "value", Schema: "fixed", SubSize: state.Variable, ValueSize: state.Variable})
		for i, g := range k.groups {
			if err := to.Load(state.Entry{Handle: h, Group: int(g), Key: k.keys[i*8 : i*8+8], Value: value}); err != nil {
				b.Fatal(err)
			}
		}
	}
	cpu.report(b, b.N*(1<<20))
}

// BenchmarkGC is the CPU time of a garbage collection over 10 million entries, beyond that
// of one without them.
func BenchmarkGC(b *testing.B) {
	collect := func() time.Duration {
		runtime.GC()
		var from, to syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &from)
		for range 10 {
			runtime.GC()
		}
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &to)
		return time.Duration(to.Utime.Nano()+to.Stime.Nano()-from.Utime.Nano()-from.Stime.Nano()) / 10
	}
	empty := collect()
	s, _ := filled(b, 10_000_000, nil)
	for b.Loop() {
		b.ReportMetric(float64(collect().Microseconds())/1000, "ms-CPU")
		b.ReportMetric(float64(empty.Microseconds())/1000, "ms-CPU-empty")
	}
	runtime.KeepAlive(s)
}
