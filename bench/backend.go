package bench

import (
	"fmt"
	"path/filepath"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/changelog"
	"github.com/cairnstream/cairn/state/lsm"
	"github.com/cairnstream/cairn/state/memory"
)

// backends are the state backends.
var backends = []string{dataflow.BackendMemory, dataflow.BackendLSM}

// cacheShare is the part of a process's memory for state that its stores share, as
// in the engine.
const cacheShare = 4

// loader is a store that a restore fills.
type loader interface {
	state.Store
	changelog.Loader
}

// backend opens the stores of one process, as the engine does.
type backend struct {
	dir    string // of the databases of lsm
	memory int64  // for all stores of lsm together
	shared *lsm.Shared
	opened int
}

// openBackend prepares a backend whose process has a folder on this machine's disk.
func openBackend(name, localDir string) *backend {
	b := &backend{}
	if name == dataflow.BackendLSM {
		total := dataflow.Options{}.WithDefaults().State.MemoryBytes
		b.dir = filepath.Join(localDir, "lsm")
		b.memory = total - total/cacheShare
		b.shared = lsm.NewShared(total / cacheShare)
	}
	return b
}

// open opens an empty store for the key groups lo to hi; of is how many share
// the process.
func (b *backend) open(lo, hi, of int, log state.Log) (loader, error) {
	if b.shared == nil {
		return memory.Open(memory.Config{GroupLo: lo, GroupHi: hi, Log: log})
	}
	b.opened++
	return lsm.Open(lsm.Config{
		GroupLo: lo, GroupHi: hi, Log: log, Dir: filepath.Join(b.dir, fmt.Sprint(b.opened)), MemoryBytes: b.memory / int64(of), Shared: b.shared,
	})
}

// close lets go of what the stores shared. They are closed.
func (b *backend) close() {
	if b.shared != nil {
		b.shared.Close()
	}
}
