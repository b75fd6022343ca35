package controller

import (
	"testing"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
)

// TestMetadataThatNeverBecameACheckpointIsCollected, and only that: not what the
// catalog names, and not what may still become a checkpoint.
func TestMetadataThatNeverBecameACheckpointIsCollected(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		c.startAgents(2, 1)
		id := c.submit(func(o *dataflow.Options) { o.Retained = 5 })
		c.awaitCompleted(id, 2)
		_, l := c.leader()
		put := func(checkpoint dataflow.CheckpointID) string {
			key := checkpointstore.MetadataKey(l.cluster(), id, checkpoint, 1, "0123456789abcdef")
			if err := c.bucket.Put(t.Context(), key, []byte("{}"), objectstore.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			return key
		}
		exists := func(key string) bool {
			_, err := c.bucket.Get(t.Context(), key, 0, -1)
			return err == nil
		}
		stray, coming := put(1), put(1_000_000)
		c.pass(3 * collectAgain)
		if exists(stray) {
			t.Error("metadata of another try of checkpoint 1 is still there")
		}
		if !exists(coming) {
			t.Error("metadata that may still become a checkpoint is gone")
		}
		for _, r := range c.record(id).Catalog.Records() {
			if !exists(r.Metadata.Key) {
				t.Errorf("metadata of checkpoint %d is gone", r.ID)
			}
		}
	})
}
