package changelog

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/file"
	"github.com/cairnstream/cairn/state"
)

// nowhere is a bucket that forgets what it is given.
type nowhere struct{ objectstore.Bucket }

func (nowhere) Put(context.Context, string, []byte, objectstore.PutOptions) error { return nil }

func benchmark(b *testing.B, c Config) *Uploader {
	b.Helper()
	c.Prefix = "p/1/"
	u, err := New(c)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = u.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-ended })
	return u
}

// fill writes n entries of aggregates to b.
func fill(b []byte, n int) []byte {
	var key [8]byte
	value := make([]byte, 32)
	for range n {
		binary.LittleEndian.PutUint64(key[:], rand.Uint64())
		copy(value, key[:3])
		b = state.AppendEntry(b, state.Entry{Group: int(key[0]), Key: key[:], Value: value})
	}
	return b
}

// BenchmarkAppend is what the log costs the task's goroutine, per batch, as long as
// the uploader keeps up; the rest is others' work.
func BenchmarkAppend(b *testing.B) {
	for _, entries := range []int{8, 128, 1024} {
		b.Run(fmt.Sprintf("entries=%d", entries), func(b *testing.B) {
			u := benchmark(b, Config{Bucket: nowhere{}, Compression: CompressNone})
			l, err := u.Log("a", 0, 255)
			if err != nil {
				b.Fatal(err)
			}
			batch := fill(nil, entries)
			var block []byte
			var position uint64
			var spent time.Duration
			for b.Loop() {
				block = append(block[:0], batch...)
				began := time.Now()
				block = l.Append(block, entries)
				spent += time.Since(began)
				if position += uint64(entries); position%(64*uint64(entries)) == 0 {
					if _, err := u.Seal(b.Context(), 1, cutAt(l, position)); err != nil {
						b.Fatal(err)
					}
					u.forget(l)
				}
			}
			b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N), "ns-in-append/op")
			b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N*entries), "ns-in-append/entry")
		})
	}
}

// forget drops the log's durable segments, so that handles stay short.
func (u *Uploader) forget(l *Log) {
	u.mu.Lock()
	defer u.mu.Unlock()
	l.segments = nil
}

// BenchmarkEncode is what encoding and compression cost other goroutines.
func BenchmarkEncode(b *testing.B) {
	for _, c := range []string{CompressNone, CompressS2, CompressZstd} {
		b.Run(c, func(b *testing.B) {
			kind, err := parseCompression(c)
			if err != nil {
				b.Fatal(err)
			}
			data := fill(nil, 1<<20/45)
			p := part{log: "a", blocks: []block{{data, 1 << 20 / 45}}, segment: &segment{}}
			e := newEncoder()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				e.out = e.out[:len(magic)]
				e.segment(&p, kind)
			}
			b.ReportMetric(float64(len(data))/float64(len(e.out)), "ratio")
		})
	}
}

// BenchmarkSealBesideImage is how long a checkpoint of a megabyte of changes takes
// while a gigabyte of an image is written beside it, and while not.
func BenchmarkSealBesideImage(b *testing.B) {
	for _, beside := range []bool{false, true} {
		b.Run(fmt.Sprintf("image=%v", beside), func(b *testing.B) {
			bucket, err := file.Open(b.TempDir(), file.Options{})
			if err != nil {
				b.Fatal(err)
			}
			u := benchmark(b, Config{Bucket: bucket})
			l, err := u.Log("small", 0, 255)
			if err != nil {
				b.Fatal(err)
			}
			large, err := u.Log("large", 0, 255)
			if err != nil {
				b.Fatal(err)
			}
			page := fill(nil, 1<<20/45)
			picture := &endless{page: page}
			if beside {
				large.Image(picture)
			}
			var id dataflow.CheckpointID
			var position uint64
			var took []time.Duration
			for b.Loop() {
				for range 10 {
					l.Append(slices.Clone(page[:100<<10]), 1)
					position++
				}
				id++
				began := time.Now()
				if _, err := u.Seal(b.Context(), id, cutAt(l, position)); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
				<-time.After(20 * time.Millisecond)
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2].Seconds()*1000, "median-ms")
			b.ReportMetric(took[len(took)*95/100].Seconds()*1000, "p95-ms")
			b.ReportMetric(float64(u.Stats().ImageBytes)/1e6/b.Elapsed().Seconds(), "image-MB/s")
		})
	}
}

// endless is an image that never ends by itself.
type endless struct{ page []byte }

func (e *endless) Write(_ context.Context, yield func(state.Block) error) error {
	for {
		if err := yield(state.Block{GroupHi: 255, Entries: 1, Data: e.page}); err != nil {
			return err
		}
	}
}
func (*endless) Fuzzy() bool { return false }
func (*endless) Close()      {}
