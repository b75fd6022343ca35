//go:build unix

package bench

import (
	"os"
	"path/filepath"
	"testing"
)

// TestScratchOfAKilledRunGoes: its lock is free. One that lives, and what only looks
// like one, stays.
func TestScratchOfAKilledRunGoes(t *testing.T) {
	parent := t.TempDir()
	first, err := newScratch(parent)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(first.dir, "bucket"), make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(parent, scratchPrefix+"notes")
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	second, err := newScratch(parent)
	if err != nil {
		t.Fatal(err)
	}
	there(t, first.dir, true)
	if err := first.lock.Close(); err != nil { // as the kernel does for one that is killed
		t.Fatal(err)
	}
	third, err := newScratch(parent)
	if err != nil {
		t.Fatal(err)
	}
	there(t, first.dir, false)
	there(t, second.dir, true)
	there(t, other, true)
	for _, s := range []*scratch{second, third} {
		if err := s.remove(); err != nil {
			t.Error(err)
		}
		there(t, s.dir, false)
	}
}

func there(t *testing.T, dir string, want bool) {
	t.Helper()
	if _, err := os.Stat(dir); (err == nil) != want {
		t.Errorf("%s: %v, want it there: %v", dir, err, want)
	}
}
