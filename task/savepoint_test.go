package task

import (
	"strings"
	"testing"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/objectstore/open"
	"github.com/cairnstream/cairn/wire"
)

// TestWriteSavepoint: into the cluster's bucket or another one, whose folder is made. What
// can't be written is said, and the process waits for its end.
func TestWriteSavepoint(t *testing.T) {
	a := setup(t)
	f := a.checkpoint(7)
	write := func(folder string, change func(*wire.WriteSavepoint)) *wire.SavepointWritten {
		t.Helper()
		o := &wire.WriteSavepoint{Job: jobID, Savepoint: 7, Folder: folder,
			MetadataKey: f.MetadataKey, MetadataSize: f.MetadataSize, MetadataSha256: f.MetadataSha256}
		if change != nil {
			change(o)
		}
		a.orders <- &wire.TaskOrder{Body: &wire.TaskOrder_WriteSavepoint{WriteSavepoint: o}}
		return a.await("savepoint", func(m *wire.TaskMessage) bool { return m.GetSavepointWritten().GetFolder() == folder }).GetSavepointWritten()
	}
	if got := write("f1/", nil); got.Error != "" || got.MetadataKey != "f1/"+checkpointstore.SavepointMetadata || got.MetadataSize == 0 {
		t.Fatalf("written: %v", got)
	}
	damaged := write("f2/", func(o *wire.WriteSavepoint) { o.MetadataSha256 = strings.Repeat("0", 64) })
	if !strings.Contains(damaged.Error, "read checkpoint 7") || damaged.MetadataKey != "" {
		t.Fatalf("damaged: %v", damaged)
	}
	if got := write("f3/", func(o *wire.WriteSavepoint) { o.Store = "ftp://x" }); !strings.Contains(got.Error, "ftp") {
		t.Fatalf("no store: %v", got)
	}
	store := "file://" + t.TempDir() + "/made"
	got := write("f4/", func(o *wire.WriteSavepoint) { o.Store = store })
	if got.Error != "" {
		t.Fatalf("another bucket: %v", got)
	}
	b, err := open.Open(t.Context(), store, open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(t.Context(), got.MetadataKey, 0, got.MetadataSize); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	a.stop(2, true)
	if err := a.awaitResult(); err != nil {
		t.Fatal(err)
	}
}
