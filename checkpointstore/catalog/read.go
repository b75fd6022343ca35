package catalog

import (
	"cmp"
	"slices"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

// Newest is the newest completed checkpoint that is no savepoint, from which a new
// attempt restores; nil if there is none. It must not be changed.
func (c *Catalog) Newest() *Record {
	for _, r := range slices.Backward(c.records) {
		if !r.Savepoint {
			return r
		}
	}
	return nil
}

// Last is the record with the highest id, savepoint or not; nil if there is none.
// It must not be changed.
func (c *Catalog) Last() *Record {
	if len(c.records) == 0 {
		return nil
	}
	return c.records[len(c.records)-1]
}

// Record is the record of an id, or nil. It must not be changed.
func (c *Catalog) Record(id dataflow.CheckpointID) *Record {
	if i, found := c.find(id); found {
		return c.records[i]
	}
	return nil
}

// Records are all records, oldest first. They must not be changed.
func (c *Catalog) Records() []*Record { return slices.Clip(c.records) }

// Owed is the newest record whose sink commits are not confirmed, or nil. Its
// metadata object lists all that is left to commit, also of older checkpoints.
func (c *Catalog) Owed() *Record {
	for _, r := range slices.Backward(c.records) {
		if r.Owed {
			return r
		}
	}
	return nil
}

// Garbage is everything that is marked and not forgotten: it may be deleted
// from the store as soon as the entry that marked it is committed.
func (c *Catalog) Garbage() Garbage {
	return Garbage{Runs: c.marked.runs(), Single: slices.Clone(c.single)}
}

// Refers tells whether any record refers to the object of this writer and number.
func (c *Catalog) Refers(prefix string, number uint64) bool {
	return c.index[prefix].spans.overlaps(number, number)
}

// RefersKey tells whether any record refers to the object with this key: a state
// object by its writer's prefix and number, or a metadata object.
func (c *Catalog) RefersKey(key string) bool {
	if prefix, number, ok := snapshot.ObjectNumber(key); ok {
		return c.Refers(prefix, number)
	}
	return slices.ContainsFunc(c.records, func(r *Record) bool { return r.Metadata.Key == key })
}

// Needs tells whether a restore of the record reads the object with this key.
func (r *Record) Needs(key string) bool {
	if r.Metadata.Key == key {
		return true
	}
	prefix, number, ok := snapshot.ObjectNumber(key)
	return ok && slices.ContainsFunc(r.Objects, func(run snapshot.Run) bool {
		return run.Prefix == prefix && run.Lo <= number && number <= run.Hi
	})
}

func (c *Catalog) find(id dataflow.CheckpointID) (int, bool) {
	return slices.BinarySearchFunc(c.records, id, func(r *Record, id dataflow.CheckpointID) int { return cmp.Compare(r.ID, id) })
}
