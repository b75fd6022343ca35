package statetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/mem"
)

// flaky is a bucket whose uploads fail now and then, before or after the object
// is there.
type flaky struct {
	*mem.Bucket
	fails bool

	mu  sync.Mutex
	rnd *rand.Rand
}

func newFlaky(seed uint64, fails bool) *flaky {
	return &flaky{Bucket: mem.New(), fails: fails, rnd: rand.New(rand.NewPCG(seed, 1))}
}

var errFlaky = errors.New("the store does not feel like it")

// Put implements objectstore.Bucket.
func (f *flaky) Put(ctx context.Context, key string, data []byte, o objectstore.PutOptions) error {
	f.mu.Lock()
	before, after := f.fails && f.rnd.IntN(8) == 0, f.fails && f.rnd.IntN(8) == 0
	f.mu.Unlock()
	if before {
		return errFlaky
	}
	if err := f.Bucket.Put(ctx, key, data, o); err != nil || !after {
		return err
	}
	return errFlaky
}

// damageCopies changes a byte in some of the machine's local files, or cuts them
// short, as a crash does to files that were not synced.
func (w *world) damageCopies() {
	if w.local == "" {
		return
	}
	files, err := filepath.Glob(filepath.Join(w.local, "objects", "*"))
	check(w.t, err)
	for _, path := range files {
		data, err := os.ReadFile(path)
		check(w.t, err)
		switch w.rnd.IntN(6) {
		case 0:
			data = data[:w.rnd.IntN(len(data)+1)]
		case 1:
			if len(data) > 0 {
				data[w.rnd.IntN(len(data))] ^= 1
			}
		}
		check(w.t, os.WriteFile(path, data, 0o600))
	}
}
