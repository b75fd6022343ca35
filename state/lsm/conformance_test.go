package lsm

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/statetest"
)

// TestStore runs the suite of all backends with a cache that holds all, and with one
// that holds next to nothing, so that everything is on disk.
func TestStore(t *testing.T) {
	for name, bound := range map[string]int64{"in memory": 8 << 20, "on disk": 16 << 10} {
		t.Run(name, func(t *testing.T) {
			shared := NewShared(8 << 20)
			t.Cleanup(shared.Close)
			folder, n := t.TempDir(), atomic.Int64{}
			statetest.Run(t, func(groupLo, groupHi int, log state.Log) (statetest.Store, error) {
				s, err := Open(Config{
					GroupLo: groupLo, GroupHi: groupHi, Log: log, Shared: shared,
					Dir: filepath.Join(folder, fmt.Sprint(n.Add(1))), MemoryBytes: memoryMin,
				})
				if err != nil {
					return nil, err
				}
				s.bound = bound
				return s, nil
			})
		})
	}
}
