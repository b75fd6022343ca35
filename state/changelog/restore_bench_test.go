package changelog_test

import (
	"context"
	"encoding/binary"
	"io"
	"runtime"
	"testing"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/file"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/changelog"
	"github.com/cairnstream/cairn/state/memory"
)

// The engine's restores are slower if it is none, and nothing else would tell.
var _ changelog.BatchLoader = (*memory.Store)(nil)

const (
	benchGroups = 128
	benchKeys   = 3 << 20 // of 8 bytes
	benchValue  = 92      // bytes, 60 of which do not compress
)

// benchState makes a store's state durable, as an image or as changes only.
func benchState(b *testing.B, bucket objectstore.Bucket, image bool) snapshot.Keyed {
	b.Helper()
	cfg := changelog.Config{Bucket: bucket, Prefix: "p/", LogBytes: 1 << 50, RecoveryTarget: 1 << 60}
	if image {
		cfg.LogBytes = 1
	}
	u, err := changelog.New(cfg)
	check(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- u.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	log, err := u.Log("l", 0, benchGroups-1)
	check(b, err)
	s, err := memory.Open(memory.Config{GroupHi: benchGroups - 1, Log: log})
	check(b, err)
	h, err := s.Register(state.Definition{Name: "s", Kind: "value", Schema: "bytes", ValueSize: benchValue})
	check(b, err)
	for i := range uint64(benchKeys) {
		key := binary.LittleEndian.AppendUint64(nil, i*0x9e3779b97f4a7c15)
		s.SetKey(dataflow.KeyGroup(dataflow.KeyHash(key), benchGroups), key)
		v, _, err := s.Update(h, nil, benchValue)
		check(b, err)
		binary.LittleEndian.PutUint64(v, i)
		for at := 32; at+8 <= len(v); at += 8 {
			binary.LittleEndian.PutUint64(v[at:], (i+uint64(at))*0xbf58476d1ce4e5b9*(i|1))
		}
		if i%1024 == 1023 {
			check(b, s.EndBatch())
		}
	}
	for id := dataflow.CheckpointID(1); ; id++ {
		check(b, s.EndBatch())
		seal, err := u.Seal(ctx, id, map[*changelog.Log]state.Cut{log: s.Cut(id)})
		check(b, err)
		u.Completed(id)
		if k := seal.Keyed[log]; !image || k.Segments[0].Base {
			return k
		}
		runtime.Gosched()
	}
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkRestore restores three million entries into the memory backend, and
// compares that with reading the same objects and doing nothing. The folder is
// in the page cache.
func BenchmarkRestore(b *testing.B) {
	for _, kind := range []string{"image", "log"} {
		bucket, err := file.Open(b.TempDir(), file.Options{Create: true})
		check(b, err)
		k := benchState(b, bucket, kind == "image")
		var size int64
		objects := map[string]bool{}
		for _, s := range k.Segments {
			size += s.Ref.Length
			objects[s.Ref.Key] = true
		}
		b.Run("from="+kind, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				s, err := memory.Open(memory.Config{GroupHi: benchGroups - 1})
				check(b, err)
				_, err = changelog.Restore(b.Context(), bucket, []snapshot.Keyed{k}, 0, benchGroups-1, s, nil)
				check(b, err)
			}
			b.ReportMetric(benchKeys*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
		b.Run("plain="+kind, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				for key := range objects {
					r, err := bucket.Reader(b.Context(), key)
					check(b, err)
					_, err = io.Copy(io.Discard, r)
					check(b, err)
					check(b, r.Close())
				}
			}
		})
		check(b, bucket.Close())
	}
}
