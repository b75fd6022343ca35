package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/changelog"
)

func TestUnknownBackendIsRefused(t *testing.T) {
	_, err := newBackend(dataflow.StateOptions{Backend: "rocksdb"}, "", 1)
	if err == nil || !strings.Contains(err.Error(), `"rocksdb"`) || !strings.Contains(err.Error(), `"lsm"`) {
		t.Errorf("error %v should say what was given and what there is", err)
	}
}

// TestBackendTidiesUp: what an attempt that was killed has left goes, but for the
// files that a restore may want, and so does what this one makes.
func TestBackendTidiesUp(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"1-0.0-1", "files"} {
		if err := os.MkdirAll(filepath.Join(dir, "lsm", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b, log := openBackend(t, dir)
	if _, err := os.Stat(filepath.Join(dir, "lsm", "1-0.0-1")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old database: %v", err)
	}
	if _, err := b.open("2-0.0-1", 0, 3, log); err != nil {
		t.Fatal(err)
	}
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(dir, "lsm"))
	if err != nil || len(left) != 1 || left[0].Name() != "files" {
		t.Errorf("left: %v, error %v", left, err)
	}
}

func openBackend(t *testing.T, dir string) (*backend, *changelog.Log) {
	t.Helper()
	b, err := newBackend(dataflow.StateOptions{Backend: dataflow.BackendLSM, MemoryBytes: 32 << 20}, dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	u, err := changelog.New(changelog.Config{Bucket: mem.New(), Prefix: "p/"})
	if err != nil {
		t.Fatal(err)
	}
	log, err := u.Log("l", 0, 3)
	if err != nil {
		t.Fatal(err)
	}
	return b, log
}

// TestCheckpointsDescribeTheirStates: also those that only a restore has brought.
func TestCheckpointsDescribeTheirStates(t *testing.T) {
	b, log := openBackend(t, t.TempDir())
	s, err := b.open("1-0.0-1", 0, 3, log)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	s.keySchema = "string"
	if _, err := s.loader.Register(state.Definition{Name: "old", Kind: "value", Schema: "int64", ValueSize: state.Variable}); err != nil {
		t.Fatal(err)
	}
	program := s.forProgram()
	if _, ok := program.(state.Prefetcher); !ok {
		t.Error("the program does not see that a miss is dear")
	}
	_, err = program.Register(state.Definition{Name: "new", Kind: "value", Schema: "string", ValueSize: state.Variable, TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	var k snapshot.Keyed
	s.describe(&k)
	if k.Backend != "lsm" || k.KeySchema != "string" || len(k.States) != 2 ||
		k.States[0] != (snapshot.State{Name: "old", Kind: "value", Schema: "int64"}) ||
		k.States[1] != (snapshot.State{Name: "new", Kind: "value", Schema: "string", TTL: time.Hour}) {
		t.Errorf("described as %+v", k)
	}
}

func TestOtherKeysAreRefused(t *testing.T) {
	r := &restored{checkpoint: 7, parts: []snapshot.Operator{{Keyed: &snapshot.Keyed{KeySchema: "int64"}}}}
	if err := r.checkKeys("int64"); err != nil {
		t.Errorf("the same keys: %v", err)
	}
	if err := r.checkKeys("string"); !errors.Is(err, state.ErrIncompatible) || !strings.Contains(err.Error(), "int64") {
		t.Errorf("other keys: %v", err)
	}
}
