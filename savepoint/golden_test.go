package savepoint_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/file"
	"github.com/cairnstream/cairn/savepoint"
	"github.com/cairnstream/cairn/state/changelog"
)

var rewrite = flag.Bool("rewrite", false, "write a savepoint of today's format to testdata/version-3, which is then another one")

// TestSavepointOfVersion3: a savepoint that was written when the format was new is whole and
// has the same entries, at another parallelism and on each backend.
func TestSavepointOfVersion3(t *testing.T) {
	const dir = "testdata/version-3"
	if *rewrite {
		writeGolden(t, dir)
	}
	moved := t.TempDir()
	check(t, os.CopyFS(moved, os.DirFS(dir)))
	bucket := must[objectstore.Bucket](t)(file.Open(moved, file.Options{}))
	m := must[*checkpointstore.Metadata](t)(savepoint.Open(t.Context(), bucket, "folder"))
	check(t, savepoint.Verify(t.Context(), bucket, "folder"))
	want := strings.Split(strings.TrimSpace(string(must[[]byte](t)(os.ReadFile(filepath.Join(dir, "entries.txt"))))), "\n")
	for _, backend := range []string{"memory", "lsm"} {
		if got := entries(t, changelog.CopyConfig{Bucket: bucket, Prefix: "folder/"}, m, backend, 3, true); !slices.Equal(got, want) {
			t.Errorf("restored on %s: %d entries, want %d", backend, len(got), len(want))
		}
	}
}

func writeGolden(t *testing.T, dir string) {
	t.Helper()
	w := start(t, "memory", 2, false)
	for i := range 80 {
		w.change(fmt.Sprint("key", i%11), i, int64(i))
	}
	m := w.checkpoint(false)
	check(t, os.RemoveAll(dir))
	check(t, os.MkdirAll(dir, 0o755))
	all := entries(t, changelog.CopyConfig{Bucket: w.bucket}, m, "memory", 1, false)
	check(t, os.WriteFile(filepath.Join(dir, "entries.txt"), []byte(strings.Join(all, "\n")+"\n"), 0o644))
	to := t.TempDir()
	_, err := savepoint.Write(t.Context(), savepoint.WriteConfig{
		Bucket: w.bucket, Metadata: m, To: must[objectstore.Bucket](t)(file.Open(to, file.Options{})), Folder: "folder/",
	})
	check(t, err)
	check(t, os.CopyFS(filepath.Join(dir, "folder"), os.DirFS(filepath.Join(to, "folder"))))
}
