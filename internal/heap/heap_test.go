package heap

import (
	"os"
	"runtime"
	"testing"
)

var garbage []byte

// collections counts the collections while so many megabytes become garbage.
func collections(megabytes int) uint32 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range megabytes << 4 {
		garbage = make([]byte, 64<<10)
	}
	runtime.ReadMemStats(&after)
	return after.NumGC - before.NumGC
}

func TestFloorMakesCollectionsRare(t *testing.T) {
	if os.Getenv("GOGC") != "" {
		t.Setenv("GOGC", "")
	}
	t.Cleanup(func() { ballast.Store(nil) })
	without := collections(512)
	Floor(64 << 20)
	with := collections(512)
	if with == 0 || with > 512/32+2 || without < 2*with {
		t.Errorf("%d collections with a floor and %d without", with, without)
	}
}

func TestFloorHeedsGOGC(t *testing.T) {
	t.Setenv("GOGC", "50")
	if Floor(64 << 20); ballast.Load() != nil {
		t.Error("GOGC is set, and there is a floor")
	}
}
